"""Where evict="cost" keeps the order in which rows leave the file: by worth, see ``hitrate.worth``.

A table of its own gives a row its place: a priority, of which the lowest leaves first, and an index holds these in
order. A row is given its place when it is inserted, and another one when its turn has come and it was read meanwhile.

A file may be used without this option too, in turn or at once, and by an older hitrate, which takes the table for
another program's. Rows that were stored that way have no place, and what was removed that way leaves its place behind.
So each eviction also checks some rows, in the order of their ids, over and over again.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import ROW_OVERHEAD, times_of
from hitrate.stores.sqlite.schema import MADE_LATER, PLACES, PLACES_ORDER, is_there
from hitrate.worth import HITS_AT_MOST, HITS_PER_TURN, Median

if TYPE_CHECKING:
    from hitrate.stores.sqlite.transaction import Transaction

_HAND, _LEVEL, _MEDIAN = "worth_hand", "worth_level", "worth_median"

_PLACE = f"""INSERT OR REPLACE INTO {PLACES} VALUES
    (?1, coalesce((SELECT value FROM hitrate_state WHERE name = '{_LEVEL}'), 0.0) + ?2, ?3, 1)"""
_MOVE = f"INSERT OR REPLACE INTO {PLACES} VALUES (?, ?, ?, ?)"
_FORGET = f"DELETE FROM {PLACES} WHERE entry IN carray(?)"
_LOWEST = f"""SELECT p.priority, p.entry, p.rank, p.hits, e.visited, e.seconds,
        length(e.key) + length(e.payload) + {ROW_OVERHEAD}
    FROM {PLACES} AS p LEFT JOIN hitrate_entries AS e ON e.id = p.entry
    WHERE (p.priority, p.entry) > (?, ?) ORDER BY p.priority, p.entry LIMIT ?"""
_NEXT = f"""SELECT e.id, p.entry IS NULL, e.seconds, length(e.key) + length(e.payload) + {ROW_OVERHEAD}
    FROM hitrate_entries AS e LEFT JOIN {PLACES} AS p ON p.entry = e.id WHERE e.id > ? ORDER BY e.id LIMIT ?"""
_FORGET_REMOVED = f"""DELETE FROM {PLACES} WHERE entry > ?1 AND entry <= ?2
    AND entry NOT IN (SELECT id FROM hitrate_entries WHERE id > ?1 AND id <= ?2)"""
_STATE = f"SELECT name, value FROM hitrate_state WHERE name IN ('{_HAND}', '{_LEVEL}', '{_MEDIAN}')"
_SET_STATE = f"INSERT OR REPLACE INTO hitrate_state VALUES ('{_HAND}', ?), ('{_LEVEL}', ?), ('{_MEDIAN}', ?)"
_ENDS = f"SELECT (SELECT max(id) FROM hitrate_entries), (SELECT max(entry) FROM {PLACES})"

_LOOKED_AT_FIRST, _LOOKED_AT_ONCE = 4, 64
_LOOKS = 256
"""Places that one eviction looks at, with four more for each entry that goes: after that, visited ones go too."""

_LOOKED_AFTER, _LOOKED_AFTER_AT_MOST = 2, 64
"""Rows that one eviction looks after, with twice as many as it evicts."""

_ALL = (1 << 63) - 1


class Ranks:
    """The order of one file's rows by worth. All methods run within a write transaction, and so one at a time.

    Attributes:
        behind: the id after which no row has a place, as another cache has stored them; None for none that is known.
    """

    def __init__(self) -> None:
        self.behind: int | None = None
        self._median = Median()
        self._looked = False

    def prepare(self, handle: Handle) -> None:
        """Make the table of a file that has none, and see once whether its rows have places."""
        if handle.ranked:
            return
        if is_there(handle.execute, PLACES_ORDER):
            handle.ranked = True  # and not when it is made here, for that may be undone
        else:
            handle.execute(MADE_LATER[PLACES])
            handle.execute(MADE_LATER[PLACES_ORDER])
            self._looked = False
        if not self._looked:
            ((last, placed),) = handle.execute(_ENDS).fetchall()
            self.behind = (placed or 0) if (last or 0) > (placed or 0) else None
            self._median.seconds = self._median.seconds or _state(handle.execute)[2]
            self._looked = True

    def place(self, execute: Any, row: int, seconds: float, size: int) -> None:
        """Give a new row its place."""
        self._median.add(seconds)
        rank = self._median.rank(1, seconds, size)
        execute(_PLACE, (row, 2.0**rank, rank))

    def forget(self, execute: Any, rows: Iterable[int]) -> None:
        """Take the places of rows that are removed."""
        execute(_FORGET, (apsw.carray(array("q", rows)),))

    def look_after(self, execute: Any, after: int, most: int) -> int | None:
        """Give rows after an id their places, and take those of removed rows; return the id to go on after."""
        rows = execute(_NEXT, (after, most)).fetchall()
        upto = rows[-1][0] if len(rows) == most else None
        execute(_FORGET_REMOVED, (after, _ALL if upto is None else upto))
        for row, lacks, times, size in rows:
            if lacks:
                self.place(execute, row, times_of(times)[1], size)
        return upto

    def catch_up(self, execute: Any, most: int) -> bool:
        """Give some of the rows that another cache has stored their places; tell whether there are more."""
        if self.behind is not None:
            self.behind = self.look_after(execute, self.behind, most)
        return self.behind is not None

    def evict(
        self, transaction: Transaction, excess_bytes: int, excess_entries: int, replaced: set[int]
    ) -> Sequence[tuple[int, int]]:
        """Choose rows to evict, as ``Hand.choose``, and move those that were read to their next places.

        The work is bounded, so that less may be chosen where many places are of rows that were removed.
        """
        execute, seen = transaction.execute, transaction.seen
        hand, level, _ = _state(execute)
        evicted: list[tuple[int, int]] = []
        removed: list[int] = []
        moved: list[tuple[int, float, int, int]] = []
        at: tuple[Any, int] = (-math.inf, 0)
        looks, some = 0, _LOOKED_AT_FIRST
        while (excess_bytes > 0 or excess_entries > 0) and looks < 2 * (_LOOKS + 4 * len(evicted)):
            places = execute(_LOWEST, (*at, some)).fetchall()
            for priority, row, rank, hits, visited, times, size in places:
                if excess_bytes <= 0 and excess_entries <= 0:
                    break
                at = priority, row
                looks += 1
                if size is None:
                    removed.append(row)
                    continue
                if row in replaced:
                    continue
                if type(priority) is not float or type(hits) is not int or hits < 1:  # not as we write them
                    priority, hits = level, 1
                was_read = visited or row in seen
                hits = min(hits + HITS_PER_TURN * bool(was_read), HITS_AT_MOST)
                level = max(level, priority)
                now = self._median.rank(hits, times_of(times)[1], size)
                # It was read, or replaced by something of more worth.
                if (was_read or type(rank) is not int or now > rank) and looks < _LOOKS + 4 * len(evicted):
                    moved.append((row, level + 2.0**now, now, hits))
                    continue
                evicted.append((row, size))
                excess_bytes -= size
                excess_entries -= 1
            if len(places) < some:
                break
            some = min(2 * some, _LOOKED_AT_ONCE)
        if removed:
            self.forget(execute, removed)
        transaction.clear_visited([row for row, *_ in moved])
        for place in moved:
            execute(_MOVE, place)
        most = min(_LOOKED_AFTER + 2 * len(evicted), _LOOKED_AFTER_AT_MOST)
        hand = self.look_after(execute, hand, most) or 0
        execute(_SET_STATE, (hand, level, self._median.seconds))
        return evicted


def _state(execute: Any) -> tuple[int, float, float]:
    """Return the id that was looked after last, the level and the median, as far as the file has them."""
    found = dict(execute(_STATE).fetchall())
    hand, level, median = found.get(_HAND, 0), found.get(_LEVEL, 0.0), found.get(_MEDIAN, 0.0)
    return (
        hand if type(hand) is int else 0,
        float(level) if type(level) in (int, float) else 0.0,
        float(median) if type(median) in (int, float) and 0 < median < 1e9 else 0.0,
    )
