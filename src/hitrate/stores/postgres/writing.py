"""Writes: one statement for a batch, all of it or nothing, with a bounded share of the housekeeping.

While there is plenty of room a write takes no lock but those of its rows: it counts on what others may be adding at the
same moment being far less than the room. Near the limits writes take turns, by an advisory lock that the server drops
with their transaction, and count exactly what they replace.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import spelled
from hitrate.stores.base import Changes
from hitrate.stores.postgres.batches import Batch, Row, arrays, beyond, bytes_of, groups, parts
from hitrate.stores.postgres.binary import BYTEA, FLOAT8, array, float8, int8
from hitrate.stores.postgres.expiry import ExpiryClock
from hitrate.stores.postgres.limits import Room
from hitrate.stores.postgres.rows import LONGEST, fingerprints_of, stored, write_value
from hitrate.stores.postgres.statements import BEGIN, COMMIT, ROLLBACK, ROW_OVERHEAD, Statements
from hitrate.stores.postgres.statements.removals import PURGED_PER_STEP
from hitrate.stores.postgres.wire import PAUSE, Conversation, Request, Rows

_PURGE_SECONDS = 1.0
"""Seconds after which a write looks for expired entries of other processes; those of this one are removed when due."""

ATTEMPTS = 4
_LARGEST = 900 << 20
_PAUSE_EVERY = 512


class StoreResult(NamedTuple):
    """What a statement that stores entries returned.

    Attributes:
        known: whether every namespace had a number.
        done: whether it was carried out; if not, nothing was stored.
        held: entries there were before.
        held_bytes: their bytes.
        more: entries that the batch adds.
        more_bytes: bytes that it adds.
        expired: rows it replaced that had expired.
        there: ids of the rows it replaces, if it was to look; None for none.
    """

    known: bool
    done: bool
    held: int
    held_bytes: int
    more: int
    more_bytes: int
    expired: int
    there: list[int] | None


_COLUMNS = len(StoreResult._fields)


class Writer:
    """Writes entries."""

    def __init__(self, statements: Statements, clock: ExpiryClock, room: Room) -> None:
        self._statements = statements
        self._clock = clock
        self._room = room
        self._purge_at = 0.0
        self._soonest = sys.float_info.max

    def write(self, batches: Sequence[Changes]) -> Conversation[list[int]]:
        """Apply several callers' changes, each one's whole or not at all; return how many keys each removed."""
        removed = [0] * len(batches)
        for group in groups(batches, lambda changes: changes.keys(), _stores):
            batch = yield from self.plan(group)
            if batch.rows and (batch.doomed or batch.is_large):
                yield from self.write_at_once(batch, removed)
            elif batch.rows:
                yield from self._store(batch, removed)
            elif batch.doomed:
                results = yield (*self._unlease(batch), self._delete(batch), *(purge := self._purge_if_due()))
                deleted = len(results) - len(purge) - 1
                self._note_deleted(batch, results[deleted], removed)
                self._note_purged(results[deleted + 1 :])
        return removed

    # What is written

    def plan(self, group: Sequence[tuple[int, Changes]]) -> Conversation[Batch]:
        """Return what callers want written, as it is to be stored."""
        batch = Batch()
        rows, limits = batch.rows, self._room.limits
        largest = min(limits.bytes, _LARGEST)
        lists = self._statements.lists
        for caller, changes in group:
            identities = iter(fingerprints_of(changes))
            for count, ((name, key), entry) in enumerate(changes.items()):
                if count % _PAUSE_EVERY == _PAUSE_EVERY - 1:
                    yield PAUSE
                identity = next(identities)
                short_name = name
                if len(name) > LONGEST:
                    short_name = stored(name)
                    batch.long_names[short_name] = name
                short_key = key if len(key) <= LONGEST else stored(key)
                if entry is None:
                    batch.doomed.append((short_name, short_key, caller))
                    continue
                value = write_value(identity, entry)
                long_key = key if lists and short_key is not key else None
                size = len(short_key) + len(value) + len(long_key or b"") + ROW_OVERHEAD
                if size > largest:
                    line = "the value of %s takes %s bytes, more than %s; not stored"
                    log.warning(
                        line, spelled(name, key), size, f"max_bytes={largest}" if largest < _LARGEST else largest
                    )
                    batch.doomed.append((short_name, short_key, None))
                else:
                    rows.append((short_name, short_key, value, entry[2], long_key))
                    batch.size += size
        if len(batch.rows) > limits.entries or batch.size > limits.bytes:
            # The batch alone is too much: what comes last stays.
            dropped = beyond(batch.rows, limits)
            batch.doomed += [(name, key, None) for name, key, *_ in batch.rows[:dropped]]
            del batch.rows[:dropped]
            self._room.count_evicted(dropped)
        batch.rows.sort()
        batch.doomed.sort(key=itemgetter(0, 1))
        return batch

    def _call(self, rows: Sequence[Row], size: int, *, exact: bool) -> Request:
        """Return the call that stores rows."""
        limits = self._room.limits if exact else self._room.near_at
        names, keys, values, expiries, long_keys = zip(*rows, strict=True)
        distinct = list(dict.fromkeys(names))
        mixed = len(distinct) > 1
        parameters = [
            array(BYTEA, distinct) if mixed else distinct[0],
            array(BYTEA, keys),
            array(BYTEA, values),
            self.expiries(expiries),
            self._clock.argument(),
            int8(size),
            int8(limits.entries),
            int8(limits.bytes),
        ]
        if mixed:
            parameters.append(array(BYTEA, names))
        parameters += self.long_keys(long_keys)
        return Request(self._statements.stores.rows[mixed, exact], parameters)

    def expiries(self, expiries: Sequence[float | None]) -> bytes | None:
        """Return the column ``expiry`` as statements take it, None if nothing expires."""
        if expiries.count(None) == len(expiries):
            return None
        since = self._clock.zero()
        return array(FLOAT8, [None if expiry is None else float8(expiry - since) for expiry in expiries])

    def long_keys(self, keys: Sequence[bytes | None]) -> tuple[bytes | None, ...]:
        """Return the column ``long_key`` as statements take it, nothing for tables that have none."""
        if not self._statements.lists:
            return ()
        return (array(BYTEA, keys) if keys.count(None) < len(keys) else None,)

    def _delete(self, batch: Batch) -> Request:
        return Request(self._statements.removals.delete, (*arrays(batch.doomed_keys), self._clock.argument()))

    def _unlease(self, batch: Batch) -> tuple[Request, ...]:
        """End the leases of what is removed because somebody asked."""
        asked = [(name, key) for name, key, caller in batch.doomed if caller is not None]
        return (Request(self._statements.removals.unlease, arrays(asked)),) if asked else ()

    # How it is written

    def _store(self, batch: Batch, removed: list[int]) -> Conversation[None]:
        done = yield from self.store(
            batch,
            lambda exact: self._call(batch.rows, batch.size, exact=exact),
            lambda: self.make_namespaces([row[0] for row in batch.rows], batch.long_names),
        )
        if done is None:
            yield from self.write_at_once(batch, removed)

    def store(
        self, batch: Batch, call_for: Callable[[bool], Request], prepare: Callable[[], Sequence[Request]]
    ) -> Conversation[tuple[Any, ...] | None]:
        """Store a batch by one statement; make namespaces and room as it turns out that they are needed.

        Args:
            batch: what to store.
            call_for: returns the call that does so, exactly counted or not.
            prepare: returns the calls after which namespaces can be written to.

        Returns:
            What the call returned beyond a ``StoreResult``; None if other writers took the room each time.
        """
        room = self._room
        calls: dict[bool, Request] = {}
        purge = self._purge_if_due()
        for _ in range(ATTEMPTS):
            exact = room.is_near or not room.is_small(len(batch.rows), batch.size)
            if exact not in calls:
                calls[exact] = call_for(exact)
            turn = (Request(self._statements.bounds.lock),) if exact else ()
            results = yield (*turn, calls[exact], *purge)
            self._note_purged(results[len(turn) + 1 :])
            purge = ()
            (row,) = results[len(turn)]
            told = StoreResult(*row[:_COLUMNS])
            room.note(told.held, told.held_bytes)
            if told.done:
                self._note_stored(batch.rows, told)
                return row[_COLUMNS:]
            if not told.known:
                yield prepare()
            elif exact:
                yield from room.make(told.more, told.more_bytes, told.there, self._clock.argument())
            else:
                room.is_near = True
        return None

    def write_at_once(
        self, planned: Batch, removed: list[int], begin: Callable[[Batch], Conversation[Batch]] | None = None
    ) -> Conversation[None]:
        """Store and remove in one transaction of several statements, as large or mixed batches need it.

        Args:
            planned: what to store and to remove.
            removed: how many keys each caller removed, to be added to.
            begin: what the transaction begins with; returns what of the batch is to be written.
        """
        statements, batch = self._statements, planned
        for _ in range(ATTEMPTS):
            yield (Request(BEGIN), Request(statements.bounds.lock))
            if begin is not None:
                batch = yield from begin(planned)
            if batch.doomed:
                locked = sorted([*batch.doomed_keys, *((name, key) for name, key, *_ in batch.rows)])
                yield (*self._unlease(batch), Request(statements.removals.lock, arrays(locked)))
            stored: list[tuple[list[Row], StoreResult]] = []
            for part in parts(batch.rows):
                told = yield from self._store_part(part, batch.long_names)
                stored.append((part, told))
                if not told.done:
                    break
            else:
                if batch.doomed:
                    (result,) = yield (self._delete(batch),)
                    self._note_deleted(batch, result, removed)
                yield (Request(COMMIT),)
                for part, told in stored:
                    self._note_stored(part, told)
                return
            yield (Request(ROLLBACK),)
        raise StoreError(f"there was no room for {len(batch.rows)} entries after {ATTEMPTS} attempts")

    def _store_part(self, part: Sequence[Row], long_names: Mapping[bytes, bytes]) -> Conversation[StoreResult]:
        """Store a part of a batch, and make the namespaces and the room that it needs, in this transaction."""
        for _ in range(ATTEMPTS):
            (result,) = yield (self._call(part, bytes_of(part), exact=True),)
            told = StoreResult(*result[0])
            if told.done:
                break
            if not told.known:
                yield self.make_namespaces([row[0] for row in part], long_names)
            else:
                yield from self._room.make_now(told.more, told.more_bytes, told.there, self._clock.argument())
        return told

    def make_namespaces(self, names: Iterable[bytes], long_names: Mapping[bytes, bytes]) -> Sequence[Request]:
        """Return the calls after which namespaces, given by what stands for them, have numbers to write to."""
        distinct = sorted(set(names))
        new = array(BYTEA, distinct), array(BYTEA, [long_names.get(name) for name in distinct])
        stores = self._statements.stores
        return Request(stores.make_namespaces, new), Request(stores.keep_namespaces, new[:1])

    # What is noted of it

    def _purge_if_due(self) -> tuple[Request, ...]:
        """Return the call that removes expired entries, if there may be some."""
        if time.monotonic() < self._purge_at and self._soonest > self._clock.now():
            return ()
        return (Request(self._statements.removals.purge, (self._clock.argument(),)),)

    def purge(self) -> Conversation[int]:
        """Remove a bounded number of expired entries; return how many."""
        results = yield (Request(self._statements.removals.purge, (self._clock.argument(),)),)
        self._note_purged(results)
        (((removed, *_),),) = results
        return int(removed)

    def count_expired(self) -> Conversation[int]:
        """Return how many entries have expired and were not removed yet."""
        (((expired,),),) = yield (Request(self._statements.removals.expired, (self._clock.argument(),)),)
        return int(expired)

    def _note_purged(self, results: Sequence[Rows]) -> None:
        """Take note of what the calls of ``_purge_if_due`` returned."""
        for rows in results:
            purged = self._room.note_purged(rows)
            if not purged and self._soonest <= self._clock.now():
                self._soonest = sys.float_info.max
            # As many as it may remove at a time: there may be more.
            self._purge_at = 0.0 if purged >= PURGED_PER_STEP else time.monotonic() + _PURGE_SECONDS

    def _note_stored(self, rows: Sequence[Row], told: StoreResult) -> None:
        """Take note of what was stored."""
        self._room.expirations += told.expired
        for _, _, _, expiry, _ in rows:
            if expiry is not None and expiry < self._soonest:
                self._soonest = expiry

    def _note_deleted(self, batch: Batch, rows: Rows, removed: list[int]) -> None:
        ((places, expired, emptied),) = rows
        for place in places:
            caller = batch.doomed[place - 1][2]
            if caller is not None:
                removed[caller] += 1
        self._room.expirations += expired
        self._room.emptied.update(emptied)


def _stores(changes: Changes) -> bool:
    """Tell whether changes are nothing but entries to store."""
    return None not in changes.values()
