"""What can be read of a damaged file: each row whose pages can be read, and how many there are of the others.

SQLite ends a statement at the first page that it cannot read. So rows are looked for in steps, and after one that fails
the next begins beyond that page. Ids come from the table and from the index of slots: each leads past damage in the
other. Then each row is read by its id.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import apsw

from hitrate.entry import Entry, fingerprint
from hitrate.errors import DecodeError
from hitrate.stores.salvaged import Salvaged, UnreadableRows
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import read_columns, slot_of, times_of, unpack_key
from hitrate.stores.sqlite.schema import SLOT_BITS, SLOTS
from hitrate.stores.sqlite.statements import TIMES

_AT_ONCE = 200
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1

# Whatever type a column turns out to have, it can be read: a text that is no UTF-8 would raise.
COLUMNS = """CAST(e.key AS BLOB), typeof(e.expiry) IN ('real', 'null'),
        CASE typeof(e.expiry) WHEN 'real' THEN e.expiry END, e.checksum,
        CASE typeof(e.encoding) WHEN 'text' THEN CAST(e.encoding AS BLOB) ELSE e.encoding END,
        typeof(e.encoding) = 'text', CAST(e.payload AS BLOB)"""
_ROWS = f"""SELECT e.id, e.slot, {TIMES}, {COLUMNS} FROM carray(?1) AS wanted
    CROSS JOIN hitrate_entries AS e ON e.id = wanted.value"""

_IDS = "SELECT id FROM hitrate_entries WHERE id > ? ORDER BY id LIMIT ?"
_SLOTS = "SELECT slot, id FROM hitrate_entries INDEXED BY hitrate_slots WHERE slot > ? ORDER BY slot LIMIT ?"
_NAMES = "SELECT base, CAST(name AS BLOB) FROM hitrate_namespaces ORDER BY name"
_BASES = """SELECT base, CAST(name AS BLOB) FROM hitrate_namespaces INDEXED BY hitrate_bases
    WHERE base > ? ORDER BY base LIMIT ?"""
_CLEARED = "SELECT first, last FROM hitrate_cleared"

_UNREADABLE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.TooBigError)

Use = Callable[[Callable[[Handle], Any]], Any]
Row = Sequence[Any]


def salvage(
    use: Use, under: bytes = b"", now: float = float("-inf"), after: int = _FIRST
) -> Iterator[Salvaged | UnreadableRows]:
    """Yield the entries of a file as far as they can be read, and then how many cannot be.

    Args:
        use: runs a step on a connection.
        under: how the encodings of their namespaces begin.
        now: what has expired until then is left out.
        after: only rows whose id is greater.
    """
    names, cleared = use(_names), use(_cleared)
    ids, in_index = use(partial(_ids, after=after))
    lost: list[int] = []
    nameless = 0
    for start in range(0, len(ids), _AT_ONCE):
        batch = ids[start : start + _AT_ONCE]
        rows = use(partial(_read, ids=batch))
        # Ids that only the table has, and whose rows are not there, come from a damaged page.
        lost += [row for row in batch if row not in rows and row in in_index]
        for _, slot, times, *columns in rows.values():
            name, expiry = names.get(_base_of(slot)), columns[2]
            if _is_within(slot, cleared) or (expiry is not None and expiry <= now):
                continue
            if name is None:
                nameless += 1
            elif name.startswith(under):
                yield Salvaged(
                    name, unpack_key(columns[0] or b""), entry_of(slot, name, times, columns), times_of(times)[0]
                )
    slots = use(partial(_slots_of, rows=frozenset(lost))) if lost else {}
    counts = Counter(names.get(_base_of(slot)) for slot in slots.values() if not _is_within(slot, cleared))
    counts[None] += nameless
    for name, entries in counts.items():
        if entries and (name is None or name.startswith(under)):
            yield UnreadableRows(name, entries)


def entry_of(slot: Any, name: bytes | None, times: Any, columns: Row) -> Entry | DecodeError:
    """Return the entry of a row, or what is wrong with it.

    Args:
        slot: its slot.
        name: the encoding of its namespace, None if that is not known.
        times: its column ``seconds``, as read by ``TIMES``.
        columns: those of ``COLUMNS``.
    """
    key, expiry_good, expiry, stored_checksum, code, is_text, payload = columns
    if type(slot) is not int or type(key) is not bytes or not expiry_good:
        return DecodeError("a column of it is not of its type")
    if name is None:
        return DecodeError("it belongs to no namespace, and cannot be found")
    identity = fingerprint(name, unpack_key(key))
    if slot % SLOTS != slot_of(identity):
        return DecodeError("it does not lie where its key is looked for: the key was damaged")
    if is_text:
        try:
            code = code.decode()
        except UnicodeDecodeError:
            return DecodeError("the name of its encoding was damaged")
    return read_columns(identity, expiry, times, stored_checksum, code, payload)


def _base_of(slot: Any) -> int:
    return slot >> SLOT_BITS << SLOT_BITS if type(slot) is int else -1


def _is_within(slot: Any, ranges: Collection[tuple[int, int]]) -> bool:
    return any(first <= slot <= last for first, last in ranges)


# Steps


def _names(handle: Handle) -> dict[int, bytes]:
    """Return the encodings of the namespaces by their bases."""
    names: dict[int, bytes] = dict(_scanned(handle, _BASES))
    with suppress(*_UNREADABLE):
        for base, name in handle.execute(_NAMES):
            names[base] = name
    return names


def _cleared(handle: Handle) -> list[tuple[int, int]]:
    try:
        return [*handle.execute(_CLEARED)]
    except _UNREADABLE:
        return []


def _ids(handle: Handle, after: int) -> tuple[array[int], Collection[int]]:
    """Return the ids of all rows in their order, as far as they can be found, and those that the index has."""
    in_table = {row for (row,) in _scanned(handle, _IDS, after)}
    in_index = {row for _, row in _scanned(handle, _SLOTS) if row > after}
    return array("q", sorted(in_table | in_index)), in_index


def _slots_of(handle: Handle, rows: Collection[int]) -> dict[int, int]:
    return {row: slot for slot, row in _scanned(handle, _SLOTS) if row in rows}


def _read(handle: Handle, ids: array[int]) -> dict[int, Row]:
    """Return the rows with these ids by them, without those that cannot be read."""
    try:
        return {row[0]: row for row in handle.execute(_ROWS, (apsw.carray(ids),))}
    except _UNREADABLE:
        if len(ids) == 1:
            return {}
    half = len(ids) // 2
    return _read(handle, ids[:half]) | _read(handle, ids[half:])


def _scanned(handle: Handle, sql: str, after: int = _FIRST) -> Iterator[Any]:
    """Yield rows in the order of the number that each begins with, passing over what cannot be read.

    The SQL selects rows whose number is greater than its first parameter, at most so many as the second says.
    """

    def step(after: int, limit: int) -> list[Row]:
        rows: list[Row] = handle.execute(sql, (after, limit)).fetchall()
        if any(type(row[0]) is not int or row[0] <= after for row in rows):
            raise apsw.CorruptError("a page holds what is not to be there")
        return rows

    while after < _LAST:
        try:
            rows = step(after, _AT_ONCE)
        except _UNREADABLE:
            try:
                rows = step(after, 1)
            except _UNREADABLE:
                after = _beyond(step, after)
                continue
        if not rows:
            return
        yield from rows
        after = rows[-1][0]


def _beyond(step: Callable[[int, int], object], after: int) -> int:
    """Return a number beyond the damage that follows one, as near as can be found; the last of all if there is none."""
    gap = 1
    while not _works(step, near := min(after + gap, _LAST)):
        if near == _LAST:
            return _LAST
        gap *= 2
    between = range(after + gap // 2, near)
    return between.start + bisect_left(between, True, key=partial(_works, step))


def _works(step: Callable[[int, int], object], after: int) -> bool:
    try:
        step(after, 1)
    except _UNREADABLE:
        return False
    return True
