"""The answer of ``stats()``: of a cache since it was opened, or of all caches on its backend until now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hitrate.base import Namespace
from hitrate.errors import StoreError
from hitrate.stats import COUNTED, NO_COUNTS, CacheStats, NamespaceStats
from hitrate.stores.base import Amounts, Usage

if TYPE_CHECKING:
    from hitrate.open_cache import OpenCache


def stats_with(cache: OpenCache[Any], usage: Usage) -> CacheStats:
    """Return what a cache did since it was opened, and how much it holds."""
    counts = cache._counters.total()
    return CacheStats(
        hits=counts.hits,
        misses=counts.misses,
        sets=counts.sets,
        deletes=counts.deletes,
        evictions=usage.evictions,
        expirations=usage.expirations,
        errors=cache._counters.errors,
        entries=usage.entries,
        bytes=usage.bytes,
        seconds_saved=counts.seconds_saved,
        disk_bytes=usage.disk_bytes,
        breaker=cache._store.breaker,
        tokens_saved=cache._counters.ledger.tokens_saved(),
    )


def stats_by_namespace(cache: OpenCache[Any]) -> dict[Namespace | None, NamespaceStats]:
    """Return what a cache did in each namespace since it was opened."""
    decode = cache._codec.key_decoder()
    tokens = cache._counters.ledger.tokens_by_namespace()
    counts = {None if name is None else decode(name, b"")[0]: each for name, each in cache._counts_by_name().items()}
    return {
        namespace: NamespaceStats(
            **{each: getattr(counts.get(namespace, NO_COUNTS), each) for each in COUNTED},
            tokens_saved={} if namespace is None else tokens.get(namespace, {}),
        )
        for namespace in dict.fromkeys([*counts, *tokens])
    }


def with_lifetime(cache: OpenCache[Any], stats: CacheStats) -> CacheStats:
    """Put what all caches on the backend did in the place of what one did."""
    from hitrate.lifetime import totals_of

    return replace(stats, **totals_of(_read_lifetime(cache)))


def lifetime_by_namespace(cache: OpenCache[Any]) -> dict[Namespace | None, NamespaceStats]:
    """Return what all caches on the backend did in each namespace."""
    from hitrate.lifetime import by_namespace

    return by_namespace(_read_lifetime(cache))


def _read_lifetime(cache: OpenCache[Any]) -> Amounts:
    try:
        return cache._lifetime.read()
    except StoreError as error:
        cache._failsafe.failed("stats", error)
        return cache._lifetime.owed()
