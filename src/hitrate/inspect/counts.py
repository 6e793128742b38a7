"""What a cache did until now, in all programs that use it; a cache in memory is used by this one alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from hitrate.base import Namespace
from hitrate.compute.cache import ComputingCache
from hitrate.langchain.saved import Prices, dollars
from hitrate.stats import CacheStats, NamespaceStats

Cache = ComputingCache[Any]


class PricedStats(NamedTuple):
    """What a cache did, and what it holds.

    Attributes:
        stats: the numbers.
        dollars: what the tokens that were saved would have cost; None if no price is known.
    """

    stats: CacheStats
    dollars: float | None


def counts_of(cache: Cache, prices: Prices) -> PricedStats:
    """Return what a cache did.

    Raises:
        StoreError: its store failed.
        ClosedError: it is closed.
    """
    cache._open_store().usage()  # raises if the store fails; stats() would say 0 entries
    stats = cache.stats(lifetime=True)
    return PricedStats(stats, _cost(stats, prices))


def counts_by_namespace(cache: Cache) -> dict[Namespace, NamespaceStats]:
    """Return what was done in each namespace; what is counted of none is left out."""
    found = cache.stats(by="namespace", lifetime=True)
    return {namespace: did for namespace, did in found.items() if namespace is not None}


def _cost(stats: CacheStats, prices: Prices) -> float | None:
    costs = [
        dollars(model, stats.hits, tokens.get("input", 0), tokens.get("output", 0), prices)
        for model, tokens in stats.tokens_saved.items()
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
