"""What a cache did: the one place that asks for it.

Of a cache that counts in its backend, the numbers are those of all programs, from the first on; of another they are
those of this process.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

from hitrate.base import Namespace
from hitrate.compute.cache import ComputingCache
from hitrate.langchain.saved import Prices, dollars
from hitrate.stats import CacheStats

Cache = ComputingCache[Any]


class Counts(NamedTuple):
    """What a cache did, and what it holds.

    Attributes:
        stats: the numbers.
        lifetime: whether they are of all programs, and not of this process alone.
        dollars: what the tokens that were saved would have cost; None if no price is known.
    """

    stats: CacheStats
    lifetime: bool
    dollars: float | None


def counts_of(cache: Cache, prices: Prices) -> Counts:
    """Return what a cache did.

    Raises:
        StoreError: its store failed.
        ClosedError: it is closed.
    """
    cache._open_store().usage()  # stats() of a cache that turns failures into misses would tell of 0 entries
    lifetime = _offers(cache, "lifetime")
    options: dict[str, Any] = {"lifetime": True} if lifetime else {}
    stats: CacheStats = cache.stats(**options)
    return Counts(stats, lifetime, _cost(stats, prices))


def counts_by_namespace(cache: Cache) -> dict[Namespace, Any] | None:
    """Return for each namespace what was done in it, with the names of ``CacheStats``; None if that is not kept."""
    if not _offers(cache, "by"):
        return None
    options: dict[str, Any] = {"by": "namespace", **({"lifetime": True} if _offers(cache, "lifetime") else {})}
    found: Any = cache.stats(**options)
    return {namespace: did for namespace, did in found.items() if namespace is not None}  # None: of no namespace


def _offers(cache: Cache, parameter: str) -> bool:
    return parameter in inspect.signature(cache.stats).parameters


def _cost(stats: CacheStats, prices: Prices) -> float | None:
    costs = [
        dollars(model, stats.hits, tokens.get("input", 0), tokens.get("output", 0), prices)
        for model, tokens in stats.tokens_saved.items()
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
