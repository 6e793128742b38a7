"""What leaves the file: entries whose TTL has passed, and others when there are more than it may hold."""

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
"""An eviction makes room for more than one write, so that most writes need none: for a 256th of what the cache may
hold, but for no more entries and bytes than these, and only as far as they are found among so many rows."""


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


def mark_some(transaction: Transaction, most: int) -> None:
    """Set the visited bits of rows that this process has read, at most so many and for a moment, and forget them."""
    until = time.monotonic() + STEP_SECONDS
    while most > 0 and transaction.seen:
        mark(transaction, min(most, ROWS_AT_ONCE))
        most -= ROWS_AT_ONCE
        if time.monotonic() >= until:
            break


def make_room(transaction: Transaction, grown: int, more: int, replaced: set[int]) -> None:
    """Evict for what is about to be stored, and for a little more.

    Args:
        transaction: the write that is to store it.
        grown: the bytes that it adds.
        more: the entries that it adds.
        replaced: the ids of rows that are to stay.
    """
    limits, ranks = transaction.limits, transaction.ranks

    def lacking(spare_bytes: int = 0, spare_entries: int = 0) -> tuple[int, int]:
        free_bytes, free_entries = limits.bytes - transaction.bytes, limits.entries - transaction.entries
        return grown + spare_bytes - free_bytes, more + spare_entries - free_entries

    while max(lacking()) > 0 and remove_cleared(transaction, CLEARED_PER_STEP):
        pass
    if ranks is not None:
        transaction.evict(ranks.evict(transaction, *lacking(*limits.spare), replaced))
    # By worth a bounded search is made, which usually finds enough.
    if ranks is None or max(lacking()) > 0:
        hand = Hand(transaction, replaced)
        transaction.evict(hand.choose(*lacking()))
        transaction.evict(hand.choose(*lacking(*limits.spare), _LOOKED_AT_TO_SPARE))
        hand.rest()
    mark(transaction, _MARKED_PER_WRITE)


def look_after_ranks(transaction: Transaction) -> bool:
    """Give rows that another cache has stored their places by worth; tell whether there are more."""
    until = time.monotonic() + STEP_SECONDS
    while transaction.ranks is not None and transaction.ranks.catch_up(transaction.execute, ROWS_AT_ONCE):
        if time.monotonic() >= until:
            return True
    return False
