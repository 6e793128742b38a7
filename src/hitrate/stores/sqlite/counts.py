"""The counters that outlive processes, in a table of their own that the first of them makes.

An older hitrate takes the table for another program's and goes on sharing the file.
"""

from __future__ import annotations

from hitrate.keys import encode_text
from hitrate.stores.base import Amounts
from hitrate.stores.lifetime import counters_in, within_bounds
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.schema import COUNTS, MADE_LATER, is_there

# Rows that were written by hand, with values of other types, are left out.
_ALL = f"""SELECT name, counter, amount FROM {COUNTS}
    WHERE typeof(name) = 'blob' AND typeof(counter) = 'blob' AND typeof(amount) = 'real'"""
_NAMES = f"SELECT DISTINCT name FROM {COUNTS}"
_ADD = f"INSERT INTO {COUNTS} VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"


def add(handle: Handle, amounts: Amounts) -> None:
    """Add to the counters, within a transaction that writes."""
    there: set[bytes] = set()
    if is_there(handle.execute, COUNTS):
        there.update(name for (name,) in handle.execute(_NAMES).fetchall())
    else:
        handle.execute(MADE_LATER[COUNTS])
    kept = within_bounds(amounts, there)
    handle.con.executemany(
        _ADD, [(name, encode_text(counter), float(amount)) for (name, counter), amount in kept.items()]
    )


def read(handle: Handle) -> dict[tuple[bytes, str], float]:
    """Return the counters."""
    return counters_in(handle.execute(_ALL).fetchall() if is_there(handle.execute, COUNTS) else ())
