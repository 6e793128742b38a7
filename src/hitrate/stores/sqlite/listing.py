"""Listing what a file holds: the ids of the rows by the index of slots, their times, and then the rows, each in steps.

The index has the ids of a namespace without a look at its rows, but in the order of slots: so they are gathered and
sorted first. Then the times of the rows are read in the order of the ids, which is that of the pages, and decide the
order of the listing. No transaction is open between two steps.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Any

import apsw

from hitrate.keys import after_all_under
from hitrate.stores.base import Listed, Page
from hitrate.stores.oldest_first import OldestFirst
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import ROW_OVERHEAD, times_of, unpack_key
from hitrate.stores.sqlite.schema import SLOT_BITS, SLOTS
from hitrate.stores.sqlite.statements import TIMES

_GATHERED_AT_ONCE = 1024
_NAMESPACES_AT_ONCE = 256

_NEWEST = "SELECT max(id) FROM hitrate_entries"
_BASES_UNDER = "SELECT base FROM hitrate_namespaces WHERE name >= ? AND name < ?"
_IDS = """SELECT slot, id FROM hitrate_entries INDEXED BY hitrate_slots
    WHERE slot BETWEEN ? AND ? ORDER BY slot LIMIT ?"""

# Whatever type a column turns out to have, it comes as one of those that are expected, or not at all. CROSS JOIN keeps
# the order of what is wanted.
_TIMES = f"SELECT e.id, {TIMES} FROM carray(?1) AS wanted CROSS JOIN hitrate_entries AS e ON e.id = wanted.value"
_ROWS = f"""SELECT e.id, CAST(n.name AS BLOB), CAST(e.key AS BLOB), length(e.key) + length(e.payload) + {ROW_OVERHEAD},
        {TIMES}, CASE typeof(e.expiry) WHEN 'real' THEN e.expiry END
    FROM carray(?1) AS wanted CROSS JOIN hitrate_entries AS e ON e.id = wanted.value
    CROSS JOIN hitrate_namespaces AS n ON n.base = e.slot >> {SLOT_BITS} << {SLOT_BITS}
    WHERE typeof(e.expiry) <> 'real' OR e.expiry > ?2"""


class Place:
    """How far a listing has come.

    Attributes:
        newest: the id of the last row to list: one that is set again meanwhile gets a new id, and is not listed twice.
        ranges: of slots, first and last, that are still to be gathered from, the next one last.
        gathered: ids of rows, sorted as far as they were gathered in one step.
        ids: all of them in order, once they are gathered; their times are still to be read.
        rows: all of them by their times, as far as those were read.
        timed: whether all were.
    """

    def __init__(self, newest: int, ranges: list[tuple[int, int]]) -> None:
        self.newest = newest
        self.ranges = ranges
        self.gathered: list[array[int]] = []
        self.ids: Iterator[int] | None = None
        self.rows = OldestFirst()
        self.timed = False


def begin(handle: Handle, under: bytes) -> Place:
    """Return the place before the first entry of the namespaces whose encoding begins with this one."""
    ((newest,),) = handle.execute(_NEWEST).fetchall()
    ranges = [(0, (1 << 63) - 1)]
    if under:
        bases = handle.execute(_BASES_UNDER, (under, after_all_under(under))).fetchall()
        ranges = [(base, base + SLOTS - 1) for (base,) in bases]
    return Place(newest or 0, ranges)


def page_of(handle: Handle, place: Place, under: bytes, limit: int, now: float) -> Page:
    """Return the next page: an empty one as long as ids and times are gathered."""
    if place.ids is None:
        _gather(handle, place)
        if not place.ranges:
            place.ids = heapq.merge(*place.gathered)
        return Page((), place)
    if not place.timed:
        ids = array("q", islice(place.ids, _GATHERED_AT_ONCE))
        rows = handle.execute(_TIMES, (apsw.carray(ids),)) if ids else ()
        place.rows.gather((row, times_of(times)[0]) for row, times in rows)
        place.timed = len(ids) < _GATHERED_AT_ONCE
        return Page((), place)
    wanted = array("q", place.rows.take(limit))
    found: list[tuple[int, Listed]] = []
    for row, name, key, size, times, expiry in handle.execute(_ROWS, (apsw.carray(wanted), now)) if wanted else ():
        if name.startswith(under):  # the newest row may have been removed, and its id be another's now
            created, seconds = times_of(times)
            found.append((row, Listed(name, unpack_key(key), size, created, expiry, seconds)))
    return Page(place.rows.told(found), place if wanted else None)


def _gather(handle: Handle, place: Place) -> None:
    """Gather some more ids."""
    ids: set[int] = set()
    for _ in range(_NAMESPACES_AT_ONCE):
        if not place.ranges or len(ids) >= _GATHERED_AT_ONCE:
            break
        first, last = place.ranges.pop()
        rows: list[Any] = handle.execute(_IDS, (first, last, _GATHERED_AT_ONCE)).fetchall()
        ids.update(row for _, row in rows if row <= place.newest)
        if len(rows) == _GATHERED_AT_ONCE:
            end = rows[-1][0]
            if end == rows[0][0]:  # thousands in one slot, which keys of ours never are: the rest is left out
                end += 1
            else:
                ids.difference_update(row for slot, row in rows if slot == end)  # they come again with the next
            if end <= last:
                place.ranges.append((end, last))
    place.gathered.append(array("q", sorted(ids)))
