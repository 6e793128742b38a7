"""Limits: how much the tables may hold, how near that is, and how room is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import length_hint
from typing import NamedTuple

from hitrate.failsafe import log
from hitrate.sieve import sweep
from hitrate.stores.postgres.binary import int8, int8_array
from hitrate.stores.postgres.statements import BEGIN, COMMIT, STEP, Statements
from hitrate.stores.postgres.wire import Conversation, Request, Rows

NO_LIMIT = (1 << 62) - 1

_RESERVE = 8
"""The reserve is one part in so many of a limit: once only that much is free, writers take turns."""

_SHARE = 64
"""So many writers at once fit into the reserve."""

_SPARE_ENTRIES, _SPARE_BYTES, _SPARE_SHARE = 255, 1 << 20, 128
"""Beyond what is needed an eviction makes room for writes to come: a share of the limit, no more than these."""

_RING_ROWS = 256
_MARK_AT, _MARK_AGAIN_AFTER, _SEEN_AT_MOST = 1024, 8192, 50_000
_EMPTIED_AT = 256
"""Namespaces that are looked at together: one that is filled and emptied by turns is not to be looked at each time."""


class Limits(NamedTuple):
    """How much there may be."""

    entries: int
    bytes: int


class Room:
    """Keeps the tables within limits, and counts what leaves them.

    Args:
        statements: for the tables.
        limits: how much they may hold.

    Attributes:
        limits: as given.
        near_at: totals from which on writers take turns and count exactly what they replace.
        is_near: whether the limits were near when the totals were last known.
        seen: ids of rows that were read since they were last marked as visited.
        emptied: numbers of namespaces whose last entry may be gone.
        litter: whether there are entries to be removed because their namespace was cleared.
        evictions: entries removed for room.
        expirations: entries removed because their TTL had passed.
    """

    def __init__(self, statements: Statements, limits: Limits) -> None:
        self._statements = statements
        self.limits = limits
        self.near_at = Limits(*(limit - limit // _RESERVE for limit in limits))
        self.is_bounded = limits != (NO_LIMIT, NO_LIMIT)
        self.is_near = False
        self.seen: set[int] = set()
        self.emptied: set[int] = set()
        self.litter = False
        self.evictions = 0
        self.expirations = 0
        self._mark_at = _MARK_AT

    # What is known

    def is_small(self, entries: int, size: int) -> bool:
        """Tell whether a write is so small that several of them at once fit into the reserve."""
        share = _RESERVE * _SHARE
        return entries <= self.limits.entries // share and size <= self.limits.bytes // share

    def note(self, entries: int, size: int) -> None:
        """Take note of the latest totals."""
        if self.is_near and entries < self.near_at.entries * 3 // 4 and size < self.near_at.bytes * 3 // 4:
            self.is_near = False

    def note_purged(self, rows: Rows) -> int:
        """Take note of what a purge returned; return how many entries it removed."""
        ((purged, self.litter, emptied),) = rows
        self.expirations += purged
        self.emptied.update(emptied)
        return int(purged)

    def note_seen(self, ids: Iterable[int]) -> None:
        """Take note of rows that were read."""
        if self.is_bounded:
            self.seen.update(ids)

    def count_evicted(self, evicted: int) -> None:
        """Count evictions, and tell of the first."""
        if evicted and not self.evictions:
            entries, size = (None if limit == NO_LIMIT else limit for limit in self.limits)
            log.warning(
                "the cache in table %s is full (max_entries=%s, max_bytes=%s) and evicts from now on",
                *(self._statements.names.entries, entries, size),
            )
        self.evictions += evicted

    @property
    def wants_keeping(self) -> bool:
        """Whether there is something to do in the background."""
        return self.litter or len(self.emptied) >= _EMPTIED_AT or len(self.seen) >= self._mark_at

    def recount(self) -> Conversation[None]:
        """Count anew what is held, in a transaction of its own."""
        yield (Request(BEGIN), *(Request(each) for each in self._statements.bounds.recount), Request(COMMIT))

    # Making room

    def make(self, entries: int, size: int, spared: Sequence[int] | None, now: bytes | None) -> Conversation[None]:
        """Make room for a write, in a transaction of its own: it locks rows in another order than writes do."""
        yield (Request(BEGIN), Request(self._statements.bounds.lock))
        yield from self.make_now(entries, size, spared, now)
        yield (Request(COMMIT),)

    def make_now(self, entries: int, size: int, spared: Sequence[int] | None, now: bytes | None) -> Conversation[None]:
        """Make room for a write, in a transaction that makes writers take turns.

        What was cleared goes first, then what has expired, then what SIEVE chooses, but for the rows that it replaces.
        """
        bounds, purge = self._statements.bounds, self._statements.removals.purge
        (totals,) = yield (Request(bounds.totals),)
        over = self._excess(totals, entries, size)
        if max(over) > 0:  # before anything is removed because of what the totals say
            (((miscounted,),),) = yield (Request(bounds.is_miscounted),)
            if miscounted:
                *_, totals = yield (*(Request(each) for each in bounds.recount), Request(bounds.totals))
                over = self._excess(totals, entries, size)
        littered = self.litter
        while littered and max(over) > 0:
            littered = yield from self.remove_litter()
            (totals,) = yield (Request(bounds.totals),)
            over = self._excess(totals, entries, size)
        purged = True
        while purged and max(over) > 0:
            result, totals = yield (Request(purge, (now,)), Request(bounds.totals))
            purged = self.note_purged(result) > 0
            over = self._excess(totals, entries, size)
        if max(over) > 0:
            yield from self._evict(over, totals[0][2], frozenset(spared or ()))

    def _excess(self, totals: Rows, entries: int, size: int) -> Limits:
        ((held, held_bytes, _, self.litter),) = totals
        return Limits(held + entries - self.limits.entries, held_bytes + size - self.limits.bytes)

    def _evict(self, over: Limits, hand: int, spared: frozenset[int]) -> Conversation[None]:
        statements = self._statements
        if self.seen:
            yield (self._mark_seen(),)
        excess_entries, excess_bytes = over
        if excess_entries > 0:
            excess_entries += min(self.limits.entries // _SPARE_SHARE, _SPARE_ENTRIES)
        if excess_bytes > 0:
            excess_bytes += min(self.limits.bytes // _SPARE_SHARE, _SPARE_BYTES)
        ring: list[tuple[int, bool, int]] = []
        laps: list[int] = []  # where in the ring the hand begins another lap
        asked, last = _RING_ROWS, hand
        while True:
            (page,) = yield (Request(statements.bounds.ring, (int8(last), int8(asked))),)
            ring += ((row_id, visited, size) for row_id, visited, size in page if row_id not in spared)
            if page:
                last = page[-1][0]
            else:
                last = 0
                laps.append(len(ring))
            walk = iter(ring)
            decided = sweep(walk, excess_bytes, excess_entries)
            steps = len(ring) - length_hint(walk)
            enough = sum(size for _, size in decided.evicted) >= excess_bytes and len(decided.evicted) >= excess_entries
            if enough or len(laps) == 3:
                break
            asked *= 2
        rests_at = ring[steps - 1][0] if steps else hand
        ((evicted, emptied),), *_ = yield (
            Request(statements.bounds.evict, (int8_array([each for each, _ in decided.evicted]),)),
            Request(statements.bounds.move_hand, (int8(rests_at),)),
            *(
                Request(statements.bounds.unmark, (int8(first), int8(end)))
                for first, end in _passed(hand, rests_at, sum(start < steps for start in laps))
            ),
        )
        self.count_evicted(evicted)
        self.emptied.update(emptied)

    # Housekeeping

    def keep(self) -> Conversation[bool]:
        """Do a step of the housekeeping; tell whether there is more."""
        if len(self.emptied) >= _EMPTIED_AT:
            ids, self.emptied = self.emptied, set()
            yield (Request(self._statements.clearing.mark_leaving, (int8_array(sorted(ids)),)),)
        if len(self.seen) >= self._mark_at:
            yield from self._keep_seen()
        return (yield from self.remove_litter())

    def remove_litter(self) -> Conversation[bool]:
        """Remove a bounded number of entries that were cleared; tell whether there are more."""
        ((removed, done),), *others = yield [Request(each) for each in self._statements.clearing.steps]
        self.litter = done > 0 or max(removed, *(count for ((count,),) in others)) >= STEP
        return self.litter

    def _keep_seen(self) -> Conversation[None]:
        """Mark the rows that were read as visited if evictions are near; else keep their ids, or forget them."""
        (totals,) = yield (Request(self._statements.bounds.totals),)
        over = self._excess(totals, 0, 0)
        nearly = any(
            excess > -limit // _RESERVE for excess, limit in zip(over, self.limits, strict=True) if limit != NO_LIMIT
        )
        if nearly:
            yield (self._mark_seen(),)
        elif len(self.seen) > _SEEN_AT_MOST:
            self.seen = set()
        self._mark_at = _MARK_AT if nearly else len(self.seen) + _MARK_AGAIN_AFTER

    def _mark_seen(self) -> Request:
        seen, self.seen = self.seen, set()
        return Request(self._statements.bounds.mark, (int8_array(sorted(seen)),))


def _passed(hand: int, last: int, laps: int) -> list[tuple[int, int]]:
    """Return the ranges of ids, first excluded, that the hand has come by."""
    if laps == 0:
        return [(hand, last)]
    if laps == 1 and last <= hand:
        return [(hand, NO_LIMIT), (-1, last)]
    return [(-1, NO_LIMIT)]


def limits_of(max_entries: int | None, max_bytes: int | None) -> Limits:
    """Return limits as numbers; None is more than there can be."""
    return Limits(*(NO_LIMIT if limit is None else min(limit, NO_LIMIT) for limit in (max_entries, max_bytes)))
