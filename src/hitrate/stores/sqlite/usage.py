"""How much is held while cleared rows still wait to be removed: counted from the index of slots, on the shorter side.

The totals that the newest row carries count the rows that were cleared, too. A clear leaves few rows that are live, or
clears few of many. Rows are counted as far as that takes a moment; if both sides have more, the shorter is estimated.
A slot is the hash of a key, so the first thousandth of a namespace's slots holds a thousandth of its rows, as good as
drawn by lot: counted is such a share of each namespace, so that millions of rows take no longer than thousands.

The index has no sizes. Of a few rows the sizes are added up, of many they are estimated by some drawn in the same way
and those that lie next to them, which need no page more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import ROW_OVERHEAD
from hitrate.stores.sqlite.schema import SLOT_BITS, SLOTS, one_state
from hitrate.stores.sqlite.totals import read_totals

_COUNTED = 2048  # rows of a side; so many are counted in any case
_COUNTED_AT_MOST = 1 << 15  # rows; so many within a millisecond or two, if no page must be fetched for it
_PATIENCE = 0.001  # seconds
_SIZED = 1024  # rows; of fewer all sizes are read
_SIZED_AT, _SIZED_THERE = 64, 4  # places in the file, and rows at each: of so many of more rows
_RANGES = 512
"""Ranges of slots in which rows are looked for: where there are more, these stand for all of them."""

_CLEARED, _LIVE = "hitrate_cleared", "hitrate_namespaces"
_RANGES_OF = {
    # Rows are removed from the lowest slot on: those of the first range that still wait are spread over what is above.
    _CLEARED: f"""SELECT CASE c.first
            WHEN (SELECT min(first) FROM hitrate_cleared)
            THEN (SELECT min(slot) FROM hitrate_entries WHERE slot BETWEEN c.first AND c.last)
            ELSE c.first END AS first, last
        FROM hitrate_cleared AS c LIMIT {_RANGES}""",
    _LIVE: f"SELECT base AS first, base + {SLOTS - 1} AS last FROM hitrate_namespaces LIMIT {_RANGES}",
}
_ROWS = """({}) CROSS JOIN hitrate_entries INDEXED BY hitrate_slots
    ON slot BETWEEN first AND first + (last - first) / ?1 LIMIT ?2"""
# The bases of what was cleared are gone.
_SIZES = f"""SELECT count(*), total(length(key) + length(payload) + {ROW_OVERHEAD})
    FROM (SELECT id AS place FROM {_ROWS}) CROSS JOIN hitrate_entries ON id BETWEEN place AND place + ?3
    AND (slot >> {SLOT_BITS} << {SLOT_BITS} IN (SELECT base FROM hitrate_namespaces)) = ?4"""


def read_usage(handle: Handle) -> tuple[int, int]:
    """Return how many entries are live, and their bytes, as ``live_usage``, in a transaction of its own."""
    with one_state(handle.con):
        _, entries, size = read_totals(handle.execute)
        return live_usage(handle.execute, entries, size)


def live_usage(execute: Any, entries: int, size: int) -> tuple[int, int]:
    """Return how many entries are live, and their bytes: exact, or estimated if many are live and many are cleared.

    Args:
        execute: runs a statement, within a transaction.
        entries: rows in the file, with those that were cleared.
        size: their bytes.
    """
    lowest = execute("SELECT last - first FROM hitrate_cleared ORDER BY first LIMIT 1").fetchall()
    if not lowest:
        return entries, size
    # All that was cleared at once is one range from the lowest slot on, of many namespaces: not an even one.
    rows, side = _count(execute, (_LIVE,) if lowest[0][0] >= SLOTS else (_CLEARED, _LIVE), entries)
    its_size = min(size, _size(execute, side, rows))
    return (entries - rows, size - its_size) if side is _CLEARED else (rows, its_size)


def count_expired(handle: Handle, now: float) -> int:
    """Return how many rows have expired and were not removed yet."""
    ((rows,),) = handle.execute("SELECT count(*) FROM hitrate_entries WHERE expiry <= ?", (now,)).fetchall()
    return int(rows)


def _count(execute: Any, even: Sequence[str], entries: int) -> tuple[int, str]:
    """Return how many rows the shorter side has, and which that is: counted if that takes a moment.

    Args:
        execute: runs a statement.
        even: the sides that can be estimated.
        entries: rows in the file, of both sides.
    """
    countable = [side for side in (_CLEARED, _LIVE) if _number_of_ranges(execute, side) <= _RANGES]
    began = time.perf_counter()
    counted = [(rows, side) for side in countable if (rows := _rows(execute, side, 1, _COUNTED + 1)) <= _COUNTED]
    if counted:
        return min(counted)
    rows, side = _estimate(execute, even, entries)
    for guess, each in sorted([(rows, side), (entries - rows, _LIVE if side is _CLEARED else _CLEARED)]):
        most = 2 * guess + _COUNTED
        if each in countable and guess < _COUNTED_AT_MOST and time.perf_counter() - began < _PATIENCE:
            exact = _rows(execute, each, 1, most + 1)
            if exact <= most:
                return exact, each
    return rows, side


def _estimate(execute: Any, sides: Sequence[str], entries: int) -> tuple[int, str]:
    """Return about how many of the rows of both sides the shorter of some sides has, and which that is."""
    part = max(1, entries // _COUNTED)
    found, side = min((_rows(execute, side, part, 2 * _COUNTED) * _unseen(execute, side), side) for side in sides)
    if part * found < entries // 2:  # few in so small a part: looked for in a larger one
        part = max(1, int(part * found) // _COUNTED)
        found = _rows(execute, side, part, 2 * _COUNTED) * _unseen(execute, side)
    return min(entries, int(found * part)), side


def _unseen(execute: Any, side: str) -> float:
    """Return how many ranges a side has for each of those in which rows are looked for."""
    return max(1.0, _number_of_ranges(execute, side) / _RANGES)


def _size(execute: Any, side: str, rows: int) -> int:
    """Return the bytes of all rows of a side: exact for a few, by those of a part for many."""
    part, most, more = (1, rows, 0) if rows < _SIZED else (rows // _SIZED_AT, 2 * _SIZED_AT, _SIZED_THERE - 1)
    ((seen, size),) = execute(_SIZES.format(_RANGES_OF[side]), (part, most, more, side is _LIVE)).fetchall()
    return int(size * rows / seen) if seen else 0


def _number_of_ranges(execute: Any, side: str) -> int:
    ((ranges,),) = execute(f"SELECT count(*) FROM {side}").fetchall()
    return int(ranges)


def _rows(execute: Any, side: str, part: int, most: int) -> int:
    """Return how many rows lie in the first such part of each range of a side, 1 for the whole; so many at most."""
    among = _ROWS.format(_RANGES_OF[side])
    ((rows,),) = execute(f"SELECT count(*) FROM (SELECT 1 FROM {among})", (part, most)).fetchall()
    return int(rows)
