"""Checking a file: its pages and indexes, its totals, and each row against its key and checksum, in steps.

Each step sees one state of the file and makes nobody wait; what is written between two steps is no mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import apsw

from hitrate.errors import DecodeError, StoreError
from hitrate.stores.base import LookedAt, Problem
from hitrate.stores.salvaged import Salvaged
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import unpack_key
from hitrate.stores.sqlite.salvage import COLUMNS, Use, entry_of, salvage
from hitrate.stores.sqlite.schema import SLOT_BITS, one_state
from hitrate.stores.sqlite.statements import SIZED
from hitrate.stores.sqlite.totals import read_counts, read_stated_totals
from hitrate.stores.sqlite.transaction import Transaction

_ROWS_AT_ONCE = 200
_PROBLEMS_OF_PAGES = 100

_ROWS = f"""SELECT e.id, e.slot, CAST(n.name AS BLOB), {COLUMNS},
        EXISTS (SELECT 1 FROM hitrate_cleared AS c WHERE e.slot BETWEEN c.first AND c.last)
    FROM hitrate_entries AS e
    LEFT JOIN hitrate_namespaces AS n ON n.base = e.slot >> {SLOT_BITS} << {SLOT_BITS}"""
_AFTER = f"{_ROWS} WHERE e.id > ? ORDER BY e.id LIMIT {_ROWS_AT_ONCE}"
_ONE = f"{_ROWS} WHERE e.id = ?"

_INDEX = re.compile(r"\bindex (\w+)")
_PAGE = re.compile(r"\bpage (\d+)", re.IGNORECASE)

Transact = Callable[[Callable[[Transaction], Any]], Any]


def check(path: str, use: Use, transact: Transact | None, looked_at: LookedAt) -> Iterator[Problem]:
    """Yield what is wrong with a file.

    Args:
        path: what it is called.
        use: runs a step on a connection.
        transact: runs a step that writes, which mends; None to leave everything as it is.
        looked_at: is told how many rows were looked at.
    """
    yield from _of_structure(path, use(_of_pages), transact)
    last: int | None = -(1 << 63)
    rows = 0
    while last is not None:
        looked_at(rows)
        rows += _ROWS_AT_ONCE
        try:
            found, last = use(partial(_of_rows, after=last))
        except StoreError:
            yield from _beyond_damage(use, last)
            return
        for row, name, key, what in found:
            mended = transact is not None and bool(transact(partial(_drop, row=row)))
            yield Problem(name, key, what, mended)
    if what := use(_of_totals):
        if transact is not None:
            transact(Transaction.recount)
        yield Problem(None, None, f"{path}: {what}", transact is not None)


def _of_pages(handle: Handle) -> list[str]:
    """Return what SQLite says of its pages and indexes, in its words."""
    try:
        found = [str(what) for (what,) in handle.con.execute(f"PRAGMA integrity_check({_PROBLEMS_OF_PAGES})")]
    except apsw.CorruptError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def _of_structure(path: str, said: list[str], transact: Transact | None) -> Iterator[Problem]:
    """Yield in our words what SQLite says of pages and indexes."""
    indexes = dict.fromkeys(_INDEX.findall("\n".join(said)))
    unused = [what for what in said if what.endswith("never used")]
    others = [what for what in said if not _INDEX.search(what) and what not in unused]
    if others:
        pages = len({*_PAGE.findall("\n".join(others))})
        where = "a part of the file is" if not pages else "1 page is" if pages == 1 else f"{pages} pages are"
        yield Problem(None, None, f"{path}: {where} damaged, and what lies there cannot be trusted", False, "pages")
    mended = bool(indexes) and transact is not None and _reindex(transact)
    for name in indexes:
        what = f"{path}: the index {name} does not match the entries, so that some may not be found"
        yield Problem(None, None, what, mended, "pages" if others else "entry")
    if unused:
        what = f"{path}: some of its room is neither used nor marked as free"
        yield Problem(None, None, what, False, "pages")


def _reindex(transact: Transact) -> bool:
    """Make the indexes anew; tell whether that went well."""
    try:
        transact(lambda transaction: transaction.execute("REINDEX"))
    except StoreError:
        return False
    return True


def _beyond_damage(use: Use, after: int | None) -> Iterator[Problem]:
    """Yield what is wrong with the rows after one, where a page cannot be read."""
    for each in salvage(use, after=after or 0):
        if not isinstance(each, Salvaged):
            many = "1 entry is" if each.entries == 1 else f"{each.entries} entries are"
            yield Problem(each.name, None, f"{many} lost: what lies on a damaged page cannot be read", False, "pages")
        elif isinstance(each.entry, DecodeError):
            yield Problem(each.name, each.key, str(each.entry), False)


def _of_totals(handle: Handle) -> str | None:
    with one_state(handle.con):
        stated, counted = read_stated_totals(handle.execute), read_counts(handle.execute)
    if stated is None or stated == counted:
        return None
    return f"it says that it holds {stated[0]} entries of {stated[1]} bytes, and holds {counted[0]} of {counted[1]}"


def _of_rows(handle: Handle, after: int) -> tuple[list[tuple[int, bytes | None, bytes, str]], int | None]:
    """Return what is wrong with the next rows, and the id to go on after; None at the end."""
    rows = handle.execute(_AFTER, (after,)).fetchall()
    found = []
    for row in rows:
        if what := _wrong(row):
            found.append((row[0], row[2], unpack_key(row[3] or b""), what))
    return found, rows[-1][0] if len(rows) == _ROWS_AT_ONCE else None


def _wrong(row: Any) -> str | None:
    """Return what is wrong with a row; None if nothing is, or it was cleared and only waits to be removed."""
    _, slot, name, *columns, cleared = row
    entry = None if cleared else entry_of(slot, name, None, columns)
    return str(entry) if isinstance(entry, DecodeError) else None


def _drop(transaction: Transaction, row: int) -> bool:
    """Remove a row if it is wrong still; it may have been written anew."""
    for found in transaction.execute(_ONE, (row,)).fetchall():
        if _wrong(found):
            transaction.remove(transaction.execute(f"{SIZED} WHERE id = ?", (row,)).fetchall())
    return True
