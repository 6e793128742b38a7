"""Reads: one statement a call, with no lock and no write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xxhash import xxh3_64_digest

from hitrate.entry import DEFAULT_ENCODING, fingerprint, fingerprints
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.postgres.binary import BYTEA, array, float8, read_float8, read_int8, rows_of
from hitrate.stores.postgres.conversation import PAUSE, Conversation
from hitrate.stores.postgres.rows import SHORT, SHORT_HEAD, read_value, stored_key, stored_keys, stored_name
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Call

_AT_ONCE = 512
"""Rows that are taken in before the event loop may serve others."""

Seen = Callable[[int], None]
"""Told the id of each row that is found."""


class Reader:
    """Reads entries.

    Args:
        statements: for the tables.
        clock: the process's clock.
        own_clock: whether ``clock`` decides what is expired; else the server's does.
        seen: told the id of each row that is found.
    """

    def __init__(self, statements: Statements, clock: Callable[[], float], own_clock: bool, seen: Seen) -> None:
        self._statements = statements
        self._clock = clock
        self._own_clock = own_clock
        self._seen = seen

    def read(self, keys: Sequence[EncodedKey]) -> Conversation[Sequence[Found]]:
        """Return what is found for each key, in order."""
        if len(keys) == 1:
            return self._read_one(*keys[0])
        return self._read_many(keys)

    def _now(self) -> bytes | None:
        return float8(self._clock()) if self._own_clock else None

    def _read_one(self, name: bytes, key: bytes) -> Conversation[Sequence[Found]]:
        call = Call(self._statements.reads.one, (stored_name(name), stored_key(key), self._now()))
        (result,) = yield (call,)
        if not result.ntuples:
            return (None,)
        left = result.get_value(0, 1)
        expiry = None
        if left is not None:
            expiry = read_float8(left) if self._own_clock else self._clock() + read_float8(left)
        self._seen(read_int8(result.get_value(0, 0) or b""))
        return (read_value(fingerprint(name, key), result.get_value(0, 2) or b"", expiry),)

    def _read_many(self, keys: Sequence[EncodedKey]) -> Conversation[Sequence[Found]]:
        found: list[Found] = [None] * len(keys)
        if not keys:
            return found
        by_name: dict[bytes, list[bytes]] = {}
        for place, (name, key) in enumerate(keys):
            by_name.setdefault(name, []).append(key)
            if place % _AT_ONCE == _AT_ONCE - 1:
                yield PAUSE
        if len(by_name) == 1:
            ((name, of_one),) = by_name.items()
            identities = fingerprints(name, of_one)
            wanted = array(BYTEA, stored_keys(of_one))
            call = Call(self._statements.reads.many, (stored_name(name), wanted, self._now()))
        else:
            owners = array(BYTEA, [stored_name(name) for name, _ in keys])
            identities = [fingerprint(name, key) for name, key in keys]
            wanted = array(BYTEA, stored_keys([key for _, key in keys]))
            call = Call(self._statements.reads.mixed, (owners, wanted, self._now()))
        (result,) = yield (call,)
        seen = self._seen
        for count, (row_id, left, value, number) in enumerate(rows_of(result)):
            place = number - 1
            expiry = None if left is None else left if self._own_clock else self._clock() + left
            identity = identities[place]
            payload = value[SHORT:]
            if value[:SHORT] == SHORT_HEAD + xxh3_64_digest(payload, identity):  # the usual entry, with less ado
                found[place] = DEFAULT_ENCODING, payload, expiry, 0.0
            else:
                found[place] = read_value(identity, value, expiry)
            seen(row_id)
            if count % _AT_ONCE == _AT_ONCE - 1:
                yield PAUSE
        return found
