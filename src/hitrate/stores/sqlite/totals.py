"""How many rows there are, and their bytes: stored in the newest row, or else counted."""

from __future__ import annotations

from typing import Any

from hitrate.stores.sqlite.rows import ROW_OVERHEAD

_TOTALS = "SELECT id, total_entries, total_bytes FROM hitrate_entries ORDER BY id DESC LIMIT 1"
_COUNT = f"""SELECT max(id), count(*), CAST(total(length(key) + length(payload) + {ROW_OVERHEAD}) AS INTEGER)
    FROM hitrate_entries"""


def read_totals(execute: Any) -> tuple[int, int, int]:
    """Return the id of the newest row, and how many rows and bytes there are; zeros for none.

    What the newest row says is taken if it is plausible. If that row was damaged, or removed by somebody else, all are
    counted.
    """
    try:
        rows: list[tuple[int, int, int]] = execute(_TOTALS).fetchall()
        if not rows:
            return 0, 0, 0
        last, entries, size = rows[0]
        if type(entries) is int and type(size) is int and 0 < entries <= last and 0 < size <= entries << 31:
            return rows[0]
    except UnicodeDecodeError:
        pass
    counted: tuple[int, int, int] = execute(_COUNT).fetchall()[0]
    return counted


def read_stated_totals(execute: Any) -> tuple[Any, Any] | None:
    """Return how many rows and bytes the newest row says there are; None if there is no row."""
    rows = execute(_TOTALS).fetchall()
    return rows[0][1:] if rows else None


def read_counts(execute: Any) -> tuple[int, int]:
    """Return how many rows and bytes there are, counted."""
    counted: tuple[int, int] = execute(_COUNT).fetchall()[0][1:]
    return counted
