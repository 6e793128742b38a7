"""The cache in several tiers: a near one for speed, farther ones for what is shared and kept."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hitrate.base import TTL, FullKey, ValueT
from hitrate.cache import _MISS, Cache, _listed
from hitrate.clock import wall_clock
from hitrate.codec import Codec
from hitrate.compute.cache import ComputingCache
from hitrate.entry import seconds_of
from hitrate.errors import ClosedError, DecodeError, StoreError
from hitrate.failsafe import OnError
from hitrate.memory import InMemoryCache
from hitrate.memory_codec import TieredCodec
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stats import COUNTED, NO_COUNTS, CacheStats, Counts, added
from hitrate.stores.base import Found, Usage
from hitrate.stores.tiered import TieredStore
from hitrate.stores.tiered.tiers import Tiers


class TieredCache(ComputingCache[ValueT]):
    """Caches in tiers, near to far: ``TieredCache(InMemoryCache(), SqliteCache(path="cache.db"))``.

    The entries of the farthest tier count; the nearer ones hold copies. A read looks in one tier after the other and
    leaves copies, as stored bytes with their remaining TTL, in those that had none. Writes go to all tiers.

    What another process writes, deletes or clears in a farther tier is dropped from the nearer ones: before the next
    read where the farther tier is an SQLite file. Where a tier cannot tell what changes in it, or for a time cannot be
    reached, a copy is used for ``staleness`` seconds at most.

    When a tier fails, the others go on. Keys whose write or removal it did not take are not read from it until they are
    removed there, which later calls do; if the process ends before, the old values stay.

    The tiers belong to this cache: it closes them. Their limits are their own; their ``default_ttl`` and ``on_error``
    are not used. ``stats()`` tells what this cache did, and what the farthest tier that answers holds; ``evictions``
    and ``expirations`` are that tier's too, and those of each are in its own ``stats()``.

    Args:
        tiers: hitrate caches, two or more, near to far, all with the same serializer.
        staleness: seconds (or a timedelta) that a copy is used at most while a farther tier does not tell of changes;
            0 or None for not at all.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns the failure of a tier into misses and dropped writes of that tier; ``"raise"`` raises
            it, after the other tiers did their part.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.

    Raises:
        TypeError: a tier is not a hitrate cache, or an option is of the wrong type.
        ValueError: there are fewer than two tiers, one is given twice, their serializers differ, or ``staleness`` is
            negative or NaN.
    """

    _store: TieredStore

    def __init__(
        self,
        *tiers: Cache[Any],
        staleness: TTL | None = 5.0,
        default_ttl: TTL | None = None,
        on_error: OnError = "miss",
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        _check_tiers(tiers)
        self._tiers = tiers
        near = tiers[0]
        self._near = near if isinstance(near, InMemoryCache) else None
        store = TieredStore(
            Tiers(
                [tier._store for tier in tiers],
                staleness=_seconds(staleness),
                start=0 if self._near is None else 1,
                report=partial(_tier_failed, weakref.ref(self)),  # no reference cycle, so that it is freed at once
                clock=clock,
                near_hits=lambda: near._counters.total().hits,
            )
        )
        super().__init__(
            store,
            serde=near.serde,
            default_ttl=default_ttl,
            on_error=on_error,
            clock=clock,
            codec=Codec if self._near is None else partial(TieredCodec, self._near._codec),
        )
        self._read_call = (store, "look")
        self._in_step, self._state, self._stands = store.in_step, store.state, store.stands
        # A nearest tier that is not in memory is read by the store of tiers alone.
        self._near_get: Callable[[Sequence[FullKey]], dict[FullKey, Any]] = lambda keys: {}
        self._near_hit: Callable[[FullKey], Any] = lambda key: _MISS
        self._before: dict[Any, Counts] = {}
        if self._near is not None:
            self._near_get, self._near_hit = self._near.get, self._near._fast_path()
            self._before = self._near._counters.by_name()

    @property
    def tiers(self) -> tuple[Cache[Any], ...]:
        """The caches, near to far: to look at their ``stats()``, say."""
        return self._tiers

    # Reading

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Get the cached values for the given keys; as ``Cache.get``."""
        # Fast path: most reads end here.
        if type(keys) is not list:
            keys = _listed(keys)
        if not self._in_step() and not self._store.catch_up():
            return super().get(keys)
        if len(keys) == 1:
            key = keys[0]
            try:
                value = self._near_hit(key)
                if value is not _MISS:
                    return {key: value}
            except (LookupError, TypeError, ValueError, ClosedError):  # the usual path below raises what is wrong
                pass
        state = self._state()
        near = self._near_values(keys)
        if len(near) == len(keys) and near:
            return near
        missing = [key for key in keys if key not in near]
        if not missing and keys:
            return near
        far = super().get(missing)
        if not near or self._stands(state):
            return _merged(keys, near, far)
        return carry_out(self._reading_again(keys, {*near, *far}))

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Asynchronously get the cached values for the given keys; as ``get``."""
        if type(keys) is not list:
            keys = _listed(keys)
        state = self._state()
        near = self._near_values(keys) if self._in_step() or self._store.catch_up() else {}
        if len(near) == len(keys) and near:
            return near
        missing = [key for key in keys if key not in near]
        if not missing and keys:
            return near
        far = await super().aget(missing)
        if not near or self._stands(state):
            return _merged(keys, near, far)
        return await acarry_out(self._reading_again(keys, {*near, *far}))

    def _reading_again(self, keys: Sequence[FullKey], before: set[FullKey]) -> Plan[dict[FullKey, ValueT]]:
        """Read all keys in the farther tiers, since something changed after some keys had been found in the nearest.

        Args:
            keys: full keys.
            before: those that were found at first, which was counted; what differs is counted here.
        """
        encoded = self._encode_keys(keys)
        try:
            found: Sequence[Found] = yield self._store, "get", encoded
        except StoreError as error:
            found = self._read_failed(error, len(encoded))
        values: dict[FullKey, ValueT] = {}
        for full_key, encoded_key, entry in zip(keys, encoded, found, strict=True):
            try:
                value = self._opened(encoded_key, entry) if type(entry) is tuple else _MISS
            except DecodeError as error:
                value = _MISS
                if full_key in before:  # else it was counted at first
                    self._entry_failed(full_key, error)
            if value is not _MISS:
                values[full_key] = value
            more = (full_key in values) - (full_key in before)
            if more:
                counts = self._counters[encoded_key[0]]
                counts.hits += more
                counts.misses -= more
        return values

    def _near_values(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Return what the nearest tier has in memory, in the form that serves hits best."""
        try:
            return self._near_get(keys)
        except (DecodeError, ClosedError):  # a farther tier may have it, and raises if not
            return {}

    # The cache as a whole

    def _stats_with(self, usage: Usage) -> CacheStats:
        stats = super()._stats_with(usage)
        hits, saved = self._near_counts()
        return replace(stats, hits=stats.hits + hits, seconds_saved=stats.seconds_saved + saved)

    def _counts_by_name(self) -> dict[Any, Counts]:
        counts = super()._counts_by_name()
        for name, near in self._near_by_name().items():
            added(counts.setdefault(name, Counts()), near)
        return {name: each for name, each in counts.items() if any(getattr(each, counter) for counter in COUNTED)}

    def _near_by_name(self) -> dict[Any, Counts]:
        """Return what the nearest tier counted since this cache was opened, of what is this cache's: its hits."""
        found: dict[Any, Counts] = {}
        for namespace, counts in ({} if self._near is None else self._near._counters.by_name()).items():
            before = self._before.get(namespace, NO_COUNTS)
            mine = found[None if namespace is None else self._name_of(namespace)] = Counts()
            mine.hits = counts.hits - before.hits
            mine.seconds_saved = counts.seconds_saved - before.seconds_saved
        return found

    def _hits_by_tier(self, stats: CacheStats) -> dict[str, int]:
        near = self._near_counts()[0]
        return {"near": near, "far": stats.hits - near}

    def _near_counts(self) -> tuple[int, float]:
        """Return the hits in the nearest tier, which counts them, and the seconds that they saved."""
        counts = self._near_by_name().values()
        return sum(each.hits for each in counts), sum(each.seconds_saved for each in counts)

    def _described(self) -> Iterator[str]:
        yield from map(repr, self._tiers)
        if self._closed:
            yield "closed"

    def _watch_store(self, told: Callable[[Any, Any, Any], None] | None) -> None:
        self._tiers[-1]._watch_store(told)  # an entry that leaves a nearer tier is still found farther off

    def close(self) -> None:
        """Close the cache and its tiers. Calling it again does nothing."""
        if not self._closed:
            super().close()
            for tier in self._tiers:
                tier.close()

    async def aclose(self) -> None:
        """Asynchronously close the cache and its tiers; as ``close``."""
        if not self._closed:
            await super().aclose()
            for tier in self._tiers:
                await tier.aclose()


def _merged(keys: Sequence[FullKey], near: dict[FullKey, ValueT], far: dict[FullKey, ValueT]) -> dict[FullKey, ValueT]:
    """Return what was found near and far, in the order asked."""
    if not near:
        return far
    return {key: near[key] if key in near else far[key] for key in keys if key in near or key in far}


def _check_tiers(tiers: Sequence[Any]) -> None:
    for tier in tiers:
        if not isinstance(tier, Cache):
            raise TypeError(f"a tier is a hitrate cache, not one of type {type(tier).__name__}")
    if len(tiers) < 2:
        raise ValueError(f"a TieredCache takes two tiers or more, near to far, not {len(tiers)}")
    if len({id(tier) for tier in tiers}) < len(tiers):
        raise ValueError("a cache is given twice among the tiers")
    for tier in tiers[1:]:
        if tier.serde is not tiers[0].serde:
            raise ValueError(
                f"the tiers are to have one serializer, for bytes move between them as they are; {type(tier).__name__} "
                f"has another than {type(tiers[0]).__name__}: give both the same object as `serde`"
            )


def _seconds(staleness: Any) -> float:
    if staleness is None:
        return 0.0
    seconds = seconds_of("staleness", staleness)
    if not seconds >= 0:
        raise ValueError(f"staleness is 0 seconds or more, or None, not {staleness!r}")
    return float(seconds)


def _tier_failed(ref: weakref.ref[TieredCache[Any]], doing: str, error: StoreError) -> None:
    cache = ref()
    if cache is not None:
        cache._failsafe.failed(doing, error)
