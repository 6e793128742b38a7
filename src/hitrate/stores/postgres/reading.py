"""Reads: one statement a call, with no lock and no write."""

from __future__ import annotations

from collections.abc import Sequence

from xxhash import xxh3_64_digest

from hitrate.entry import DEFAULT_ENCODING, fingerprint
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.postgres.binary import BYTEA, array
from hitrate.stores.postgres.expiry import ExpiryClock
from hitrate.stores.postgres.limits import Room
from hitrate.stores.postgres.rows import SHORT, SHORT_HEAD, fingerprints_of, read_value, stored, stored_all
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import PAUSE, Conversation, Request

_AT_ONCE = 512
"""Rows that are taken in before the event loop may serve others."""


class Reader:
    """Reads entries."""

    def __init__(self, statements: Statements, clock: ExpiryClock, room: Room) -> None:
        self._statements = statements
        self._clock = clock
        self._room = room

    def read(self, keys: Sequence[EncodedKey]) -> Conversation[Sequence[Found]]:
        """Return what is found for each key, in order."""
        if len(keys) == 1:
            return self._read_one(*keys[0])
        return self._read_many(keys)

    def find_expired(self, keys: Sequence[EncodedKey]) -> Conversation[Sequence[bool]]:
        """Tell of each key whether it has a row that has expired."""
        if not keys:
            return ()
        statement = self._statements.reads.expired
        now = self._clock.argument()
        found = yield [Request(statement, (stored(name), stored(key), now)) for name, key in keys]
        return [expired for ((expired,),) in found]

    def _read_one(self, name: bytes, key: bytes) -> Conversation[Sequence[Found]]:
        call = Request(self._statements.reads.one, (stored(name), stored(key), self._clock.argument()))
        (rows,) = yield (call,)
        if not rows:
            return (None,)
        ((row_id, expiry, value),) = rows
        if expiry is not None:
            expiry += self._clock.zero()
        self._room.note_seen((row_id,))
        return (read_value(fingerprint(name, key), value, expiry),)

    def _read_many(self, keys: Sequence[EncodedKey]) -> Conversation[Sequence[Found]]:
        if not keys:
            return ()
        by_name: dict[bytes, list[bytes]] = {}
        for place, (name, key) in enumerate(keys):
            by_name.setdefault(name, []).append(key)
            if place % _AT_ONCE == _AT_ONCE - 1:
                yield PAUSE
        if len(by_name) == 1:
            ((name, of_one),) = by_name.items()
            wanted = array(BYTEA, stored_all(of_one))
            call = Request(self._statements.reads.many, (stored(name), wanted, self._clock.argument()))
        else:
            owners = array(BYTEA, stored_all([name for name, _ in keys]))
            wanted = array(BYTEA, stored_all([key for _, key in keys]))
            call = Request(self._statements.reads.mixed, (owners, wanted, self._clock.argument()))
        (rows,) = yield (call,)
        identities = [0, *fingerprints_of(keys)]
        found: list[Found] = [None] * (len(keys) + 1)  # places are counted from 1
        since = self._clock.zero()
        self._room.note_seen([row[0] for row in rows])
        for start in range(0, len(rows), _AT_ONCE):
            for _, expiry, value, place in rows[start : start + _AT_ONCE]:
                if expiry is not None:
                    expiry += since
                payload = value[SHORT:]
                if value.startswith(SHORT_HEAD + xxh3_64_digest(payload, identities[place])):
                    found[place] = DEFAULT_ENCODING, payload, expiry, 0.0  # fast path: the usual entry
                else:
                    found[place] = read_value(identities[place], value, expiry)
            yield PAUSE
        del found[0]
        return found
