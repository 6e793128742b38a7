"""Reads: one statement a call, with no lock and no write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hitrate.entry import fingerprint
from hitrate.errors import DecodeError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.postgres.binary import BYTEA, array, float8, read_int8
from hitrate.stores.postgres.conversation import PAUSE, Conversation
from hitrate.stores.postgres.rows import read_entry, stored_key, stored_name
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Call, Result

_AT_ONCE = 512
"""Rows that are taken in before the event loop may serve others."""

Seen = Callable[[int], None]
"""Told the id of each row that was found."""


class Reader:
    """Reads entries.

    Args:
        statements: for the tables.
        clock: the process's clock.
        own_clock: whether ``clock`` decides what is expired; else the server's does.
        seen: told the id of each row that is a hit.
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

    def _counted_from(self) -> float:
        return 0.0 if self._own_clock else self._clock()

    def _read_one(self, name: bytes, key: bytes) -> Conversation[Sequence[Found]]:
        call = Call(self._statements.read_one, (stored_name(name), stored_key(key), self._now()))
        (result,) = yield (call,)
        if not result.ntuples:
            return (None,)
        return (self._entry(result, 0, 0, fingerprint(name, key), self._counted_from()),)

    def _read_many(self, keys: Sequence[EncodedKey]) -> Conversation[Sequence[Found]]:
        found: list[Found] = [None] * len(keys)
        if not keys:
            return found
        asked: dict[EncodedKey, list[int]] = {}
        for place, (name, key) in enumerate(keys):
            asked.setdefault((stored_name(name), stored_key(key)), []).append(place)
            if place % _AT_ONCE == _AT_ONCE - 1:
                yield PAUSE
        names = {name for name, _ in asked}
        wanted = array(BYTEA, [key for _, key in asked])
        single = names.pop() if len(names) == 1 else None
        if single is not None:
            call = Call(self._statements.read_many, (single, wanted, self._now()))
        else:
            owners = array(BYTEA, [name for name, _ in asked])
            call = Call(self._statements.read_mixed, (owners, wanted, self._now()))
        (result,) = yield (call,)
        now = self._counted_from()
        first = 1 if single is not None else 2
        for row in range(result.ntuples):
            owner = single if single is not None else result.get_value(row, 0)
            places = asked.get((owner, result.get_value(row, first - 1)), ())  # type: ignore[arg-type]
            if places:
                found_here = self._entry(result, row, first, fingerprint(*keys[places[0]]), now)
                for place in places:
                    found[place] = found_here
            if row % _AT_ONCE == _AT_ONCE - 1:
                yield PAUSE
        return found

    def _entry(self, result: Result, row: int, first: int, identity: int, now: float) -> Found:
        get = result.get_value
        entry = read_entry(
            identity,
            get(row, first + 1),
            get(row, first + 2),
            get(row, first + 3) or b"",
            get(row, first + 4),
            get(row, first + 5) or b"",
            now,
        )
        if not isinstance(entry, DecodeError):
            self._seen(read_int8(get(row, first) or b""))
        return entry
