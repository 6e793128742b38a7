"""Writes: one statement for a batch, all of it or nothing, with a bounded share of the housekeeping.

While there is plenty of room a write takes no lock but those of its rows: it counts on what others may be adding at the
same moment being far less than the room. Near the limits writes take turns, by an advisory lock that the server drops
with their transaction, and count exactly what they replace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hitrate.entry import Entry, fingerprint
from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.postgres.binary import (
    BYTEA,
    FLOAT8,
    TEXT,
    array,
    float8,
    int8,
    int8_array,
    read_int8,
    read_int8_array,
)
from hitrate.stores.postgres.conversation import PAUSE, Conversation
from hitrate.stores.postgres.room import Limits, Room
from hitrate.stores.postgres.rows import entry_checksum, stored_encoding, stored_key, stored_name
from hitrate.stores.postgres.statements import BEGIN, COMMIT, ROLLBACK, ROW_OVERHEAD, Statements
from hitrate.stores.postgres.wire import Call, Result

_PURGE_EVERY = 8
_ATTEMPTS = 20
_ROWS_AT_ONCE = 20_000
_BYTES_AT_ONCE = 32 << 20
_LARGEST = 900 << 20
_PAUSE_EVERY = 512


class Row(NamedTuple):
    """An entry to store.

    Attributes:
        name: what stands for the namespace.
        key: what stands for the key.
        identity: the fingerprint of the full key.
        entry: what is stored.
        size: the bytes it is counted as.
    """

    name: bytes
    key: bytes
    identity: int
    entry: Entry
    size: int


@dataclass(slots=True)
class Batch:
    """Changes of one or several callers, no key twice.

    Attributes:
        rows: what to store, in the order of names and keys in which all writers lock.
        doomed: what to remove, in that order, each with the index of the caller who asked, None for nobody.
    """

    rows: list[Row] = field(default_factory=list)
    doomed: list[tuple[bytes, bytes, int | None]] = field(default_factory=list)


class Told(NamedTuple):
    """What a statement that stores has told.

    Attributes:
        known: whether every namespace had a number.
        stored: rows stored.
        held: entries there were before.
        held_bytes: their bytes.
        more: entries that the batch adds.
        more_bytes: bytes that it adds.
        expired: rows it replaced that had expired.
        there: ids of the rows it replaces, if it was to look.
    """

    known: bool
    stored: int
    held: int
    held_bytes: int
    more: int
    more_bytes: int
    expired: int
    there: list[int]


class Writer:
    """Writes entries.

    Args:
        statements: for the tables.
        clock: the process's clock.
        own_clock: whether ``clock`` decides what is expired; else the server's does.
        room: keeps the tables within limits.
    """

    def __init__(self, statements: Statements, clock: Callable[[], float], own_clock: bool, room: Room) -> None:
        self._statements = statements
        self._clock = clock
        self._own_clock = own_clock
        self._room = room
        self._writes = 0
        self._soonest = sys.float_info.max

    def write(self, batches: Sequence[Changes]) -> Conversation[list[int]]:
        """Apply several callers' changes, each one's whole or not at all; return how many keys each removed."""
        removed = [0] * len(batches)
        for group in _groups(batches):
            batch = yield from self._plan(group)
            if batch.rows and (batch.doomed or _is_large(batch.rows)):
                yield from self._write_in_parts(batch, removed)
            elif batch.rows:
                yield from self._store(batch.rows)
            elif batch.doomed:
                calls = (self._delete(batch), *self._purge_if_due())
                results = yield calls
                self._note_deleted(batch, results[0], removed)
                self._note_purged(results[1:])
        return removed

    # What is written

    def _plan(self, group: list[tuple[int, Changes]]) -> Conversation[Batch]:
        batch = Batch()
        limits = self._room.limits
        count = 0
        for caller, changes in group:
            for (name, key), entry in changes.items():
                count += 1
                if count % _PAUSE_EVERY == 0:
                    yield PAUSE
                row = _row(name, key, entry) if entry is not None else None
                if row is None:
                    batch.doomed.append((stored_name(name), stored_key(key), caller))
                elif row.size > limits.bytes:
                    log.warning(
                        "the value of key %r takes %s bytes, more than max_bytes=%s; not stored",
                        *(key, row.size, limits.bytes),
                    )
                    batch.doomed.append((row.name, row.key, None))
                else:
                    batch.rows.append(row)
        dropped = _beyond(batch.rows, limits)
        if dropped:  # the batch alone is too much: what comes last stays
            batch.doomed += [(row.name, row.key, None) for row in batch.rows[:dropped]]
            del batch.rows[:dropped]
            self._room.count_evicted(dropped)
        batch.rows.sort(key=lambda row: (row.name, row.key))
        batch.doomed.sort(key=lambda each: each[:2])
        return batch

    def _call(self, rows: Sequence[Row], *, exact: bool) -> Call:
        """Return the call that stores rows."""
        limits = self._room.limits if exact else self._room.far
        entries = [row.entry for row in rows]
        names = list(dict.fromkeys(row.name for row in rows))
        mixed = len(names) > 1
        from_now = 0.0 if self._own_clock else self._clock()
        parameters = [
            array(BYTEA, names) if mixed else names[0],
            array(BYTEA, [row.key for row in rows]),
            array(BYTEA, [entry[1] for entry in entries]),
            _column(TEXT, [stored_encoding(entry[0]) for entry in entries]),
            int8_array([entry_checksum(row.identity, row.entry) for row in rows]),
            _column(FLOAT8, [None if entry[2] is None else float8(entry[2] - from_now) for entry in entries]),
            _column(FLOAT8, [float8(entry[3]) if entry[3] else None for entry in entries]),
            self._now(),
            int8(sum(row.size for row in rows)),
            int8(limits.entries),
            int8(limits.bytes),
        ]
        if mixed:
            parameters.append(array(BYTEA, [row.name for row in rows]))
        return Call(self._statements.store[mixed, exact], parameters)

    def _delete(self, batch: Batch) -> Call:
        names, keys = _doomed_arrays(batch)
        return Call(self._statements.delete, (names, keys, self._now()))

    def _now(self) -> bytes | None:
        return float8(self._clock()) if self._own_clock else None

    # How it is written

    def _store(self, rows: Sequence[Row]) -> Conversation[None]:
        """Store rows by one statement; make namespaces and room as it turns out that they are needed."""
        statements, room = self._statements, self._room
        far_call = near_call = None
        for _ in range(_ATTEMPTS):
            purge = self._purge_if_due()
            exact = room.is_near or not room.is_far_from(len(rows), rows)
            if exact:
                near_call = near_call or self._call(rows, exact=True)
                results = yield (Call(statements.lock), near_call, *purge)
                result, purged = results[1], results[2:]
            else:
                far_call = far_call or self._call(rows, exact=False)
                results = yield (far_call, *purge)
                result, purged = results[0], results[1:]
            self._note_purged(purged)
            told = _told(result)
            room.note(told.held, told.held_bytes)
            if told.stored == len(rows):
                self._note_stored(rows, told)
                return
            if not told.known:
                yield self._make_namespaces(rows)
            elif exact:
                yield from room.make(told.more, told.more_bytes, told.there, self._now())
            else:
                room.is_near = True
        raise StoreError(
            f"there was no room for {len(rows)} entries after {_ATTEMPTS} attempts; too many write at once"
        )

    def _write_in_parts(self, batch: Batch, removed: list[int]) -> Conversation[None]:
        """Store and remove in one transaction of several statements."""
        statements, room = self._statements, self._room
        parts = list(_parts(batch.rows))
        for _ in range(_ATTEMPTS):
            calls = [Call(BEGIN), Call(statements.lock)]
            if batch.doomed:
                calls.append(Call(statements.lock_rows, _doomed_arrays(batch, batch.rows)))
            yield calls
            done: list[Told] = []
            for part in parts:
                (result,) = yield (self._call(part, exact=True),)
                done.append(_told(result))
                if done[-1].stored != len(part):
                    break
            else:
                if batch.doomed:
                    (result,) = yield (self._delete(batch),)
                    self._note_deleted(batch, result, removed)
                yield (Call(COMMIT),)
                for part, told in zip(parts, done, strict=True):
                    self._note_stored(part, told)
                return
            yield (Call(ROLLBACK),)
            if not done[-1].known:
                yield self._make_namespaces(batch.rows)
                continue
            rest = [row for part in parts[len(done) :] for row in part]
            yield from room.make(
                sum(told.more for told in done) + len(rest),
                sum(told.more_bytes for told in done) + sum(row.size for row in rest),
                [each for told in done for each in told.there],
                self._now(),
            )
        raise StoreError(f"there was no room for {len(batch.rows)} entries after {_ATTEMPTS} attempts")

    def _make_namespaces(self, rows: Sequence[Row]) -> Sequence[Call]:
        names = array(BYTEA, sorted({row.name for row in rows}))
        return [Call(each, (names,)) for each in (self._statements.make_namespaces, self._statements.keep_namespaces)]

    # What is noted of it

    def _purge_if_due(self) -> tuple[Call, ...]:
        self._writes += 1
        if self._writes % _PURGE_EVERY and self._soonest > self._clock():
            return ()
        return (Call(self._statements.purge, (self._now(),)),)

    def _note_purged(self, results: Sequence[Result]) -> None:
        for result in results:
            purged = read_int8(result.get_value(0, 0) or b"")
            self._room.note_purged(result)
            if not purged and self._soonest <= self._clock():
                self._soonest = sys.float_info.max

    def _note_stored(self, rows: Sequence[Row], told: Told) -> None:
        self._room.expirations += told.expired
        soonest = min((row.entry[2] for row in rows if row.entry[2] is not None), default=sys.float_info.max)
        self._soonest = min(self._soonest, soonest)

    def _note_deleted(self, batch: Batch, result: Result, removed: list[int]) -> None:
        for place in read_int8_array(result.get_value(0, 0)):
            caller = batch.doomed[place - 1][2]
            if caller is not None:
                removed[caller] += 1
        self._room.expirations += read_int8(result.get_value(0, 1) or b"")
        self._room.note_emptied(result.get_value(0, 2))


def _row(name: bytes, key: bytes, entry: Entry) -> Row:
    if len(entry[1]) > _LARGEST:
        raise StoreError(
            f"the value of key {key!r} takes {len(entry[1])} bytes; PostgreSQL holds less than 1 GB in one"
        )
    stored = stored_key(key)
    return Row(stored_name(name), stored, fingerprint(name, key), entry, len(stored) + len(entry[1]) + ROW_OVERHEAD)


def _groups(batches: Sequence[Changes]) -> Iterator[list[tuple[int, Changes]]]:
    """Yield batches that follow each other, of which no two have a key in common, and all store or all remove."""
    group: list[tuple[int, Changes]] = []
    keys: set[EncodedKey] = set()
    kind: bool | None = None
    for caller, changes in enumerate(batches):
        stores = all(entry is not None for entry in changes.values())
        if group and (stores is not kind or not keys.isdisjoint(changes)):
            yield group
            group, keys = [], set()
        kind = stores
        group.append((caller, changes))
        keys.update(changes)
    if group:
        yield group


def _beyond(rows: Sequence[Row], limits: Limits) -> int:
    """Return how many rows at the beginning of a batch have no room beside those that come after."""
    if len(rows) <= limits.entries and sum(row.size for row in rows) <= limits.bytes:
        return 0
    left_entries, left_bytes = limits.entries, limits.bytes
    for place in range(len(rows) - 1, -1, -1):
        left_entries -= 1
        left_bytes -= rows[place].size
        if left_entries < 0 or left_bytes < 0:
            return place + 1
    return 0


def _is_large(rows: Sequence[Row]) -> bool:
    return len(rows) > _ROWS_AT_ONCE or sum(row.size for row in rows) > _BYTES_AT_ONCE


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield rows in parts that one statement takes."""
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and (len(part) >= _ROWS_AT_ONCE or size + row.size > _BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(row)
        size += row.size
    if part:
        yield part


def _doomed_arrays(batch: Batch, rows: Sequence[Row] = ()) -> tuple[bytes, bytes]:
    """Return the names and keys of what is removed, and of some rows, in the order in which all writers lock."""
    pairs = [each[:2] for each in batch.doomed]
    if rows:
        pairs = sorted([*pairs, *((row.name, row.key) for row in rows)])
    return array(BYTEA, [name for name, _ in pairs]), array(BYTEA, [key for _, key in pairs])


def _column(kind: int, items: list[bytes | None]) -> bytes | None:
    """Return a column as an array; NULL, which stands for as many NULLs as are needed, if it holds nothing."""
    return array(kind, items) if any(item is not None for item in items) else None


def _told(result: Result) -> Told:
    stored, held, held_bytes, more, more_bytes, expired = (
        read_int8(result.get_value(0, column) or b"") for column in range(1, 7)
    )
    return Told(
        known=result.get_value(0, 0) == b"\x01",
        stored=stored,
        held=held,
        held_bytes=held_bytes,
        more=more,
        more_bytes=more_bytes,
        expired=expired,
        there=read_int8_array(result.get_value(0, 7)),
    )
