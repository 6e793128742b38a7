"""Counters: what a cache did since it was opened, and the seconds it saved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from hitrate.savings import Ledger

if TYPE_CHECKING:
    from hitrate.breaker import BreakerState

REMEMBERED_MISSES = 8192
COUNTED_NAMESPACES = 4096

_NAME = itemgetter(0)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache did since it was opened, and what it holds now.

    Attributes:
        hits: keys found.
        misses: keys asked for and not found.
        sets: entries stored.
        deletes: keys given to ``delete``, or set with a TTL of 0 or less, that were there.
        evictions: entries removed to stay within ``max_bytes`` or ``max_entries``.
        expirations: entries removed because their TTL had passed.
        errors: reads and writes that failed and were turned into misses or dropped.
        entries: entries held now.
        bytes: bytes held now: keys, payloads and a fixed overhead an entry.
        seconds_saved: seconds that hits spared, by the time each value took from its miss to its set.
        disk_bytes: bytes on this machine's disk: of an SQLite file and its -wal, free pages included; 0 elsewhere.
        breaker: of a cache across a network, ``"open"`` while its server fails and is only tried now and then,
            ``"half-open"`` during such a try, and otherwise ``"closed"``, as of every other cache.
        tokens_saved: tokens that hits of an adapter for models spared, by model: ``{"input": ..., "output": ...}``.
    """

    hits: int = 0
    misses: int = 0
    sets: int = 0
    deletes: int = 0
    evictions: int = 0
    expirations: int = 0
    errors: int = 0
    entries: int = 0
    bytes: int = 0
    seconds_saved: float = 0.0
    disk_bytes: int = 0
    breaker: BreakerState = "closed"
    tokens_saved: dict[str, dict[str, int]] = field(default_factory=dict, hash=False)

    @property
    def hit_rate(self) -> float:
        """Hits as a fraction of the keys asked for; 0.0 when none was."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class CacheInfo(NamedTuple):
    """What a cached function's ``cache_info`` tells, as that of ``functools.lru_cache``.

    Attributes:
        hits: calls in this process that were answered from the cache.
        misses: calls in this process that were not: the function ran, or ran already for others.
        maxsize: entries that the cache holds at most, of all functions together; None for no limit.
        currsize: entries that it holds of this function, those of other processes included; None if its store does not
            list what it holds.
    """

    hits: int
    misses: int
    maxsize: int | None
    currsize: int | None


@dataclass(frozen=True, slots=True)
class NamespaceStats:
    """What a cache did in one namespace.

    Attributes:
        hits: keys found.
        misses: keys asked for and not found.
        sets: entries stored.
        deletes: keys given to ``delete``, or set with a TTL of 0 or less, that were there.
        evictions: entries removed to stay within ``max_bytes`` or ``max_entries``; a cache in memory knows whose they
            were, others count them for no namespace.
        seconds_saved: seconds that hits spared.
        tokens_saved: tokens that hits of an adapter for models spared, by model: ``{"input": ..., "output": ...}``.
    """

    hits: int = 0
    misses: int = 0
    sets: int = 0
    deletes: int = 0
    evictions: int = 0
    seconds_saved: float = 0.0
    tokens_saved: dict[str, dict[str, int]] = field(default_factory=dict, hash=False)

    @property
    def hit_rate(self) -> float:
        """Hits as a fraction of the keys asked for; 0.0 when none was."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


COUNTED = ("hits", "misses", "sets", "deletes", "evictions", "seconds_saved")


class Counts:
    """The running counts of one namespace.

    Each is changed by a single ``+=`` of a number at hand, within which CPython switches no threads. There must be no
    call to the right of it, because the count is loaded first and a call may switch.
    """

    __slots__ = COUNTED

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.sets = 0
        self.deletes = 0
        self.evictions = 0
        self.seconds_saved = 0.0


NO_COUNTS = Counts()


class OwnCounts(Counts):
    """The counts of a cached function on its fast path, beside those of its namespace.

    When it is collected, they are added to the counts of the namespace.

    Args:
        whole: those counts.
    """

    __slots__ = ("__weakref__", "whole")

    def __init__(self, whole: Counts) -> None:
        super().__init__()
        self.whole = whole

    def __del__(self) -> None:
        whole = getattr(self, "whole", None)
        if whole is not None:  # if it is None, an interrupt came before it was made
            hits, saved = self.hits, self.seconds_saved
            whole.hits += hits
            whole.seconds_saved += saved


class Counters(dict[Any, Counts]):
    """The running counts of one cache: by namespace, as its store has it, for a bounded number of them.

    Attributes:
        rest: the counts of all other namespaces, and what cannot be told apart.
        errors: failures, of all.
        ledger: what hits of adapters for models spared.
    """

    def __init__(self) -> None:
        self.rest = Counts()
        self.errors = 0
        self.ledger = Ledger()
        self._own: WeakSet[OwnCounts] = WeakSet()
        self._begin: Callable[[], object] | None = None

    def when_used(self, begin: Callable[[], object]) -> None:
        """Have a function called when something is first counted."""
        self._begin = begin

    def __missing__(self, name: Any) -> Counts:
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()
        return self.rest if len(self) >= COUNTED_NAMESPACES else self.setdefault(name, Counts())

    def own(self, name: Any) -> OwnCounts:
        """Return counts for a cached function's fast path, which count for its namespace, too."""
        counts = OwnCounts(self[name])
        self._own.add(counts)
        return counts

    def count_read(
        self, keys: Sequence[tuple[Any, Any]], found: Sequence[Any], missed: Collection[tuple[Any, Any]], saved: float
    ) -> None:
        """Count a read.

        Args:
            keys: those that were asked for, encoded.
            found: what the store found for each.
            missed: those that were missed.
            saved: the seconds that hits saved.
        """
        names = {*map(_NAME, keys)}
        if len(names) > 1:
            missing = set(missed)
            for (name, key), entry in zip(keys, found, strict=True):
                if (name, key) in missing:
                    self[name].misses += 1
                else:
                    counts, seconds = self[name], entry[3]
                    counts.hits += 1
                    counts.seconds_saved += seconds
            return
        for name in names:
            counts, misses = self[name], len(missed)
            hits = len(keys) - misses
            counts.hits += hits
            counts.misses += misses
            counts.seconds_saved += saved

    def count_sets(self, names: Collection[Any], stored: int) -> None:
        """Count entries that were stored: the namespace of each that should have been, and how many were."""
        if len(names) == stored:
            for name in names:
                self[name].sets += 1
        else:  # some were too large, and the store does not say which
            counts = self._of_all(names)
            counts.sets += stored

    def count_removed(self, names: Collection[Any], removed: int) -> None:
        """Count entries that were removed: the namespace of each that should have been, and how many were there."""
        if removed:
            counts = self._of_all(names)
            counts.deletes += removed

    def _of_all(self, names: Collection[Any]) -> Counts:
        """Return the counts of the namespace that all are of; those of the rest if they are of several."""
        different = set(names)
        return self[different.pop()] if len(different) == 1 else self.rest

    def by_name(self) -> dict[Any, Counts]:
        """Return the counts by namespace as they are now, those of the rest under None, but none that are zero."""
        own = list(self._own)  # a copy that holds them, so that none is added to the others meanwhile
        found: dict[Any, Counts] = {}
        names = {id(counts): name for name, counts in list(self.items())}
        for counts in (*list(self.values()), self.rest):
            found[names.get(id(counts))] = added(Counts(), counts)
        for counts in own:
            added(found[names.get(id(counts.whole))], counts)
        return {name: counts for name, counts in found.items() if any(getattr(counts, each) for each in COUNTED)}

    def total(self) -> Counts:
        """Return the counts of all namespaces together."""
        total = Counts()
        for counts in (*list(self._own), *list(self.values()), self.rest):
            added(total, counts)
        return total


def added(to: Counts, more: Counts) -> Counts:
    """Add counts to others, and return these."""
    to.hits += more.hits
    to.misses += more.misses
    to.sets += more.sets
    to.deletes += more.deletes
    to.evictions += more.evictions
    to.seconds_saved += more.seconds_saved
    return to


class MissTimes(dict[Any, float]):
    """When keys were missed, so that their set can tell how many seconds the value took; the latest few thousand."""

    def note(self, keys: Sequence[Any], now: float) -> None:
        """Remember that keys were missed now."""
        for key in keys:
            self[key] = now
        if len(self) > REMEMBERED_MISSES:
            self.forget(len(keys))

    def forget(self, latest: int) -> None:
        """Forget the older half, but nothing of the latest read.

        Args:
            latest: how many keys that read missed.
        """
        for key in [*islice(self, max(0, len(self) - max(latest, REMEMBERED_MISSES // 2)))]:
            self.pop(key, None)

    def seconds_since(self, key: Any, now: float) -> float:
        """Return the seconds from the miss of a key until now and forget it; 0.0 if it was not missed here."""
        missed = self.pop(key, None)
        return 0.0 if missed is None else max(0.0, now - missed)
