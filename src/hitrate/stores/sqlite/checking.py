"""Checking a file: its pages and indexes, its totals, and each row against its key and checksum, in steps.

A step sees one state of the file and holds nobody up; what programs write meanwhile is right, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import apsw

from hitrate.entry import fingerprint
from hitrate.errors import DecodeError, StoreError
from hitrate.stores.base import LookedAt, Problem
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import read_columns, slot_of, unpack_key
from hitrate.stores.sqlite.schema import SLOT_BITS, SLOTS
from hitrate.stores.sqlite.statements import SIZED
from hitrate.stores.sqlite.totals import read_counts, read_stated_totals
from hitrate.stores.sqlite.transaction import Transaction

_ROWS_AT_ONCE = 200
_PROBLEMS_OF_PAGES = 100

# Whatever type a column turns out to have, it can be read: a text that is no UTF-8 would raise.
_ROWS = f"""SELECT e.id, e.slot, CAST(n.name AS BLOB), CAST(e.key AS BLOB), typeof(e.expiry) IN ('real', 'null'),
        CASE typeof(e.expiry) WHEN 'real' THEN e.expiry END, e.checksum,
        CASE typeof(e.encoding) WHEN 'text' THEN CAST(e.encoding AS BLOB) ELSE e.encoding END,
        typeof(e.encoding) = 'text', CAST(e.payload AS BLOB),
        EXISTS (SELECT 1 FROM hitrate_cleared AS c WHERE e.slot BETWEEN c.first AND c.last)
    FROM hitrate_entries AS e
    LEFT JOIN hitrate_namespaces AS n ON n.base = e.slot >> {SLOT_BITS} << {SLOT_BITS}"""
_AFTER = f"{_ROWS} WHERE e.id > ? ORDER BY e.id LIMIT {_ROWS_AT_ONCE}"
_ONE = f"{_ROWS} WHERE e.id = ?"

Use = Callable[[Callable[[Handle], Any]], Any]
Transact = Callable[[Callable[[Transaction], Any]], Any]


def check(path: str, use: Use, transact: Transact | None, looked_at: LookedAt) -> Iterator[Problem]:
    """Yield what is wrong with a file.

    Args:
        path: what it is called.
        use: runs a step on a connection.
        transact: runs a step that writes, which mends; None to leave everything as it is.
        looked_at: is told how many rows were looked at.
    """
    for what in use(_of_pages):
        mended = transact is not None and _reindex(transact, what)
        yield Problem(None, None, f"{path}: {what}", mended)
    last: int | None = -(1 << 63)
    rows = 0
    while last is not None:
        looked_at(rows)
        rows += _ROWS_AT_ONCE
        try:
            found, last = use(partial(_of_rows, after=last))
        except StoreError as error:
            yield Problem(None, None, f"{path} cannot be read to its end: {error}", False)
            return
        for row, name, key, what in found:
            mended = transact is not None and bool(transact(partial(_drop, row=row)))
            yield Problem(name, key, what, mended)
    if what := use(_of_totals):
        if transact is not None:
            transact(Transaction.recount)
        yield Problem(None, None, f"{path}: {what}", transact is not None)


def _of_pages(handle: Handle) -> list[str]:
    try:
        found = [str(what) for (what,) in handle.con.execute(f"PRAGMA integrity_check({_PROBLEMS_OF_PAGES})")]
    except apsw.CorruptError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def _reindex(transact: Transact, what: str) -> bool:
    """Make the indexes anew if one of them is what is wrong; tell whether that went well."""
    if "index" not in what:
        return False
    try:
        transact(lambda transaction: transaction.execute("REINDEX"))
    except StoreError:
        return False
    return True


def _of_totals(handle: Handle) -> str | None:
    handle.execute("BEGIN")
    try:
        stated, counted = read_stated_totals(handle.execute), read_counts(handle.execute)
    finally:
        if handle.con.in_transaction:
            handle.execute("COMMIT")
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


def _wrong(row: Sequence[Any]) -> str | None:
    """Return what is wrong with a row; None if nothing is, or it was cleared and only waits to be removed."""
    _, slot, name, key, expiry_good, expiry, stored_checksum, code, is_text, payload, cleared = row
    if cleared:
        return None
    if type(slot) is not int or type(key) is not bytes or not expiry_good:
        return "a column of it is not of its type"
    if name is None:
        return "it belongs to no namespace, and cannot be found"
    identity = fingerprint(name, unpack_key(key))
    if slot % SLOTS != slot_of(identity):
        return "it does not lie where its key is looked for: the key was damaged"
    if is_text:
        try:
            code = code.decode()
        except UnicodeDecodeError:
            return "the name of its encoding was damaged"
    found = read_columns(identity, expiry, None, stored_checksum, code, payload)
    return str(found) if isinstance(found, DecodeError) else None


def _drop(transaction: Transaction, row: int) -> bool:
    """Remove a row if it is wrong still; it may have been written anew."""
    for found in transaction.execute(_ONE, (row,)).fetchall():
        if _wrong(found):
            transaction.remove(transaction.execute(f"{SIZED} WHERE id = ?", (row,)).fetchall())
    return True
