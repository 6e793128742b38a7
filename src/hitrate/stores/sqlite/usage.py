"""How much is held while cleared rows still wait to be removed: counted from the index of slots, on the shorter side.

The totals that the newest row carries count the rows that were cleared, too. A clear leaves few rows that are live, or
clears few of many; so both sides are counted, up to the same number of rows, until one of them turns out to be less.
The index has no sizes. Of a few rows the sizes are added up, of many they are estimated from a sample of each side.
"""

from __future__ import annotations

import sys
from typing import Any

from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import ROW_OVERHEAD
from hitrate.stores.sqlite.schema import SLOTS
from hitrate.stores.sqlite.totals import read_totals

_SAMPLE = 256  # rows; so many are read for their sizes
_FURTHER = 16  # times, when neither side was less

_CLEARED = "SELECT first, last FROM hitrate_cleared LIMIT ?1"
_LIVE = f"SELECT base AS first, base + {SLOTS - 1} AS last FROM hitrate_namespaces LIMIT ?1"
_ROWS = "({}) CROSS JOIN hitrate_entries INDEXED BY hitrate_slots ON slot BETWEEN first AND last LIMIT ?1"
_SIZES = f"""SELECT count(*), total(size)
    FROM (SELECT length(key) + length(payload) + {ROW_OVERHEAD} AS size FROM {_ROWS})"""


def read_usage(handle: Handle) -> tuple[int, int]:
    """Return how many entries are live, and their bytes, as ``live_usage``, in a transaction of its own."""
    handle.execute("BEGIN")
    try:
        _, entries, size = read_totals(handle.execute)
        return live_usage(handle.execute, entries, size)
    finally:
        if handle.con.in_transaction:  # an error may have rolled back already, and is what is to be told
            handle.execute("COMMIT")


def live_usage(execute: Any, entries: int, size: int) -> tuple[int, int]:
    """Return how many entries are live, and their bytes: exact, or estimated if many are live and many are cleared.

    Args:
        execute: runs a statement, within a transaction.
        entries: rows in the file, with those that were cleared.
        size: their bytes.
    """
    if _count(execute, _CLEARED, _SAMPLE) is not None:
        cleared, cleared_size = _read(execute, _CLEARED)
        return entries - cleared, size - cleared_size
    if _count(execute, _LIVE, _SAMPLE) is not None:
        return _read(execute, _LIVE)
    most = _SAMPLE
    live = None
    while live is None:
        most = min(most * _FURTHER, sys.maxsize)
        live = _count(execute, _LIVE, most)
        if live is None and (cleared_rows := _count(execute, _CLEARED, most)) is not None:
            live = entries - cleared_rows
    average = size / entries
    live_share = live * _mean_size(execute, _LIVE, average)
    cleared_share = (entries - live) * _mean_size(execute, _CLEARED, average)
    return live, int(size * live_share / (live_share + cleared_share))


def count_expired(handle: Handle, now: float) -> int:
    """Return how many rows have expired and were not removed yet."""
    ((rows,),) = handle.execute("SELECT count(*) FROM hitrate_entries WHERE expiry <= ?", (now,)).fetchall()
    return int(rows)


def _read(execute: Any, ranges: str) -> tuple[int, int]:
    """Return how many rows there are in the first of some ranges of slots, and their bytes."""
    ((rows, size),) = execute(_SIZES.format(ranges), (_SAMPLE,)).fetchall()
    return rows, int(size)


def _mean_size(execute: Any, ranges: str, otherwise: float) -> float:
    rows, size = _read(execute, ranges)
    return size / rows if rows else otherwise


def _count(execute: Any, ranges: str, most: int) -> int | None:
    """Return how many rows some ranges of slots have; None if they, or the ranges, are as many as ``most``."""
    for found in (f"({ranges})", _ROWS.format(ranges)):
        ((many,),) = execute(f"SELECT count(*) FROM (SELECT 1 FROM {found})", (most,)).fetchall()
        if many >= most:
            return None
    return int(many)
