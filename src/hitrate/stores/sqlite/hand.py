"""SIEVE's hand on the rows of the file, and the two places that say whether a row was visited.

The visited bit is a column of the row, which every process sees; but setting it changes a page for each row that was
read. So a process remembers in memory which rows it has read, and its evictions look at both. A few rows at a time it
sets the column, for the evictions of other processes and for those that open the file later.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import apsw

from hitrate.sieve import rounds, sweep
from hitrate.stores.sqlite.rows import ROW_OVERHEAD

if TYPE_CHECKING:
    from hitrate.stores.sqlite.transaction import Transaction

_RING = f"""SELECT id, visited, length(key) + length(payload) + {ROW_OVERHEAD} FROM hitrate_entries
    WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"""
_MARK = "UPDATE hitrate_entries SET visited = 1 WHERE visited = 0 AND id IN carray(?)"

_LOOKED_AT_FIRST, _LOOKED_AT_ONCE = 4, 256
_ALL = (1 << 63) - 1

_CLEARED_AT_MOST = 512
"""Visited bits that are cleared for one eviction at most: that takes some milliseconds, while the file is locked."""


def mark(transaction: Transaction, most: int) -> None:
    """Set the visited bits of so many rows that this process has read, and forget them."""
    seen = transaction.seen
    told = array("q", (seen.pop() for _ in range(min(most, len(seen)))))
    if told:
        transaction.execute(_MARK, (apsw.carray(told),))


class Hand:
    """Goes over the rows, old to new and round again, and chooses what to evict; never the rows ``replaced``."""

    def __init__(self, transaction: Transaction, replaced: set[int]) -> None:
        self._transaction = transaction
        self._execute = transaction.execute
        self._place = transaction.state("hand", 0)  # the id of the row that was looked at last
        # Rows that were just inserted come after the last one.
        last = transaction.last
        self._ends = tuple(end if end < last else _ALL for end in rounds(last, transaction.entries))
        self._seen = transaction.seen
        self._replaced = replaced

    def rest(self) -> None:
        """Have the file remember where the hand is."""
        self._transaction.set_state("hand", self._place)

    def choose(self, excess_bytes: int, excess_entries: int, most: int | None = None) -> list[tuple[int, int]]:
        """Choose rows to evict, and clear the visited bits that the hand passes.

        Args:
            excess_bytes: how many bytes must go; 0 or less for none.
            excess_entries: how many entries must go; 0 or less for none.
            most: how many rows to look at, None for all that it takes.

        Returns:
            The id and size of each, which are to be deleted before the next call.
        """
        decided = sweep(
            islice(self._rows(), most), excess_bytes, excess_entries, max(_CLEARED_AT_MOST, 4 * excess_entries)
        )
        self._transaction.clear_visited(decided.cleared)
        return decided.evicted

    def _rows(self) -> Iterator[tuple[int, bool, int]]:
        some = _LOOKED_AT_FIRST  # most often the first few have one that can go
        for end in self._ends:
            while rows := self._execute(_RING, (self._place, end, some)).fetchall():
                for row, visited, size in rows:
                    self._place = row
                    if row not in self._replaced:
                        yield row, bool(visited) or row in self._seen, size
                some = min(2 * some, _LOOKED_AT_ONCE)
            self._place = 0
