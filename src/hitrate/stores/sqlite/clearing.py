"""Clearing: the entries of a namespace are unreachable at once, and removed in small steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hitrate.keys import after_all_under
from hitrate.stores.sqlite.schema import SLOTS
from hitrate.stores.sqlite.statements import BASE, SIZED
from hitrate.stores.sqlite.transaction import Transaction

_CLEARED = f"{SIZED} WHERE slot BETWEEN ? AND ? LIMIT ?"
_CLEAR_UNDER = f"""INSERT OR REPLACE INTO hitrate_cleared SELECT base, base + {SLOTS - 1}
    FROM hitrate_namespaces WHERE name >= ? AND name < ?"""

CLEARED_PER_WRITE = 32
CLEARED_PER_STEP = 256

STEP_SECONDS = 0.002
"""How long a step of the housekeeping goes on: others wait for the lock meanwhile."""

ROWS_AT_ONCE = 32
"""After so many rows a step looks at the time."""


def clear(transaction: Transaction, names: Sequence[bytes] | None) -> None:
    """Make the entries of namespaces unreachable, their leases too, and note their slots for removal."""
    execute = transaction.execute
    transaction.cleared = True
    if names is None:
        execute("DELETE FROM hitrate_cleared")
        execute("INSERT INTO hitrate_cleared SELECT 0, max(slot) FROM hitrate_entries HAVING max(slot) >= 0")
        execute("DELETE FROM hitrate_namespaces")
        return
    for name in names:
        for (base,) in execute(BASE, (name,)).fetchall():
            execute("DELETE FROM hitrate_namespaces WHERE base = ?", (base,))
            execute("INSERT OR REPLACE INTO hitrate_cleared VALUES (?, ?)", (base, base + SLOTS - 1))


def clear_under(transaction: Transaction, prefix: bytes) -> None:
    """Do ``clear`` for all namespaces whose names begin with a prefix."""
    transaction.cleared = True
    bounds = prefix, after_all_under(prefix)
    transaction.execute(_CLEAR_UNDER, bounds)
    transaction.execute("DELETE FROM hitrate_namespaces WHERE name >= ? AND name < ?", bounds)


def remove_cleared(transaction: Transaction, most: int) -> bool:
    """Delete some cleared entries, at most so many and for a moment; tell whether any may be left."""
    execute = transaction.execute
    until = time.monotonic() + STEP_SECONDS
    while ranges := execute("SELECT first, last FROM hitrate_cleared LIMIT 1").fetchall():
        first, last = ranges[0]
        rows = execute(_CLEARED, (first, last, ROWS_AT_ONCE)).fetchall()
        transaction.remove(rows)
        if len(rows) < ROWS_AT_ONCE:
            execute("DELETE FROM hitrate_cleared WHERE first = ?", (first,))
        most -= len(rows) + 1  # a namespace that had few rows takes a moment, too
        if most <= 0 or time.monotonic() >= until:
            return True
    return False
