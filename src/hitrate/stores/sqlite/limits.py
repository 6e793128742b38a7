"""What leaves the file: entries whose TTL has passed, and others where they would be more than it may hold."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hitrate.stores.sqlite.clearing import CLEARED_PER_STEP, ROWS_AT_ONCE, STEP_SECONDS, remove_cleared
from hitrate.stores.sqlite.hand import Hand, mark
from hitrate.stores.sqlite.statements import SIZED
from hitrate.stores.sqlite.transaction import Transaction

_EXPIRED = f"{SIZED} WHERE expiry <= ? LIMIT ?"

PURGED_PER_WRITE = 64
MARKED_PER_STEP = 256
_MARKED_PER_WRITE = 16

_NEARLY_FULL = 0.8

_SPARE_ENTRIES, _SPARE_BYTES = 64, 128 << 10
_SPARE_SHIFT = 8
_LOOKED_AT_TO_SPARE = 256
"""Eviction makes room for some more entries than it has to, so that most writes need none: for a 256th of what the
cache may hold, so many at most, as far as they are found among so many rows."""


@dataclass(slots=True)
class Limits:
    """How much the file may hold."""

    entries: int
    bytes: int

    def are_near(self, transaction: Transaction) -> bool:
        """Tell whether evictions are near, and visited bits are so worth writing."""
        return transaction.bytes > self.bytes * _NEARLY_FULL or transaction.entries > self.entries * _NEARLY_FULL

    @property
    def spare(self) -> tuple[int, int]:
        """For how many bytes and entries more an eviction makes room."""
        return min(_SPARE_BYTES, self.bytes >> _SPARE_SHIFT), min(_SPARE_ENTRIES, self.entries >> _SPARE_SHIFT)


def purge(transaction: Transaction, now: float) -> int:
    """Delete a bounded number of entries whose TTL has passed; return how many."""
    rows = transaction.execute(_EXPIRED, (now, PURGED_PER_WRITE)).fetchall()
    transaction.remove(rows)
    return len(rows)


def mark_some(transaction: Transaction, seen: set[int], most: int) -> None:
    """Tell the file of rows that were read, at most so many and for a moment, and take them out of the set."""
    until = time.monotonic() + STEP_SECONDS
    while most > 0 and seen:
        mark(transaction.execute, seen, min(most, ROWS_AT_ONCE))
        most -= ROWS_AT_ONCE
        if time.monotonic() >= until:
            break


def make_room(
    transaction: Transaction, grown: int, more: int, limits: Limits, seen: set[int], replaced: set[int]
) -> int:
    """Evict for what is about to be stored, and for a little more; return how many entries went.

    Args:
        transaction: the write that is to store it.
        grown: the bytes that it adds.
        more: the entries that it adds.
        limits: how much the file may hold.
        seen: the ids of rows that this process has read.
        replaced: the ids of rows that are to stay.
    """

    def lacking() -> tuple[int, int]:
        return transaction.bytes + grown - limits.bytes, transaction.entries + more - limits.entries

    while max(lacking()) > 0 and remove_cleared(transaction, CLEARED_PER_STEP):
        pass
    evicted = 0
    spare_bytes, spare_entries = limits.spare
    if transaction.ranks is not None:
        excess_bytes, excess_entries = lacking()
        rows = transaction.ranks.evict(
            transaction.execute, excess_bytes + spare_bytes, excess_entries + spare_entries, seen, replaced
        )
        transaction.evict(rows)
        evicted = len(rows)
    # By worth a bounded search is made, which usually finds enough.
    if transaction.ranks is None or max(lacking()) > 0:
        hand = Hand(
            transaction.execute, transaction.state("hand", 0), transaction.last, transaction.entries, seen, replaced
        )
        rows = hand.evict(*lacking())
        transaction.evict(rows)
        excess_bytes, excess_entries = lacking()
        spare = hand.evict(excess_bytes + spare_bytes, excess_entries + spare_entries, _LOOKED_AT_TO_SPARE)
        transaction.evict(spare)
        transaction.set_state("hand", hand.place)
        evicted += len(rows) + len(spare)
    mark(transaction.execute, seen, _MARKED_PER_WRITE)
    return evicted


def look_after_ranks(transaction: Transaction) -> bool:
    """Give rows that another cache has stored their places by worth; tell whether there are more."""
    until = time.monotonic() + STEP_SECONDS
    while transaction.ranks is not None and transaction.ranks.catch_up(transaction.execute, ROWS_AT_ONCE):
        if time.monotonic() >= until:
            return True
    return False
