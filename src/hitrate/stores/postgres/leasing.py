"""Leases: taken by one statement, and settled by one that stores what was computed under them.

A caller may be gone when its leases are granted: it was cancelled, it timed out, or its event loop was closed. Then its
leases are given back in the background. If its connection was closed before the server had answered, the server may
carry out the statement later; so the leases are given back again and again until that session has ended.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple, TypeVar

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.postgres.batches import ROWS_AT_ONCE, Batch, arrays, groups
from hitrate.stores.postgres.binary import BYTEA, FLOAT8, array, float8, int8, int8_array
from hitrate.stores.postgres.expiry import ExpiryClock
from hitrate.stores.postgres.limits import Room
from hitrate.stores.postgres.rows import stored
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.statements.leases import PURGED_PER_CALL
from hitrate.stores.postgres.wire import PAUSE, Conversation, Request, Rows
from hitrate.stores.postgres.writing import ATTEMPTS, Writer

_PURGE_SECONDS = 1.0
_LEAST_SECONDS = 0.001
_PAUSE_EVERY = 512
_OWED_AT_MOST = 1024
_LOOKS = 300
"""Looks at a session until it is given up: that of a connection whose network was cut may last for hours."""


@dataclass(slots=True, eq=False)
class LeaseRequest:
    """What a caller asks leases for; see ``Store.lease``.

    Attributes:
        asked: whether a server was asked for them.
    """

    keys: Sequence[EncodedKey]
    token: bytes
    seconds: float
    asked: bool = False


class Settlement(NamedTuple):
    """What a caller has computed under leases: see ``Store.settle``."""

    results: Changes
    token: bytes

    @property
    def keys(self) -> Collection[EncodedKey]:
        """The keys of the leases."""
        return self.results.keys()


LeaseWork = TypeVar("LeaseWork", LeaseRequest, Settlement)
Wanted = dict[tuple[bytes, bytes], tuple[int, EncodedKey]]
"""What stands for names and keys, in the order in which all lock, each with its caller's index and the key itself."""


class Leaser:
    """Takes leases, settles them, and gives back those of callers who are gone.

    Attributes:
        owed: what was asked for by callers who are gone, and is to be given back.
        broken_off: sessions that may still grant some of it, each with how often it is still looked for.
    """

    def __init__(self, statements: Statements, clock: ExpiryClock, writer: Writer, room: Room) -> None:
        self._statements = statements
        self._clock = clock
        self._writer = writer
        self._room = room
        self._purge_at = 0.0
        self.owed: deque[LeaseRequest] = deque(maxlen=_OWED_AT_MOST)
        self.broken_off: dict[int, int] = {}

    # Taking

    def take(self, works: Sequence[LeaseRequest]) -> Conversation[list[Sequence[float]]]:
        """Take leases for several callers; return for each the seconds until other's end, 0.0 for what it has now."""
        for work in works:
            work.asked = True
        if self.owed:
            self._forget_owed({work.token for work in works})  # who asks again wants to have them
        left: list[dict[EncodedKey, float]] = [{} for _ in works]
        for group in groups(works, attrgetter("keys")):
            wanted = yield from _wanted(group)
            pairs = list(wanted)
            for start in range(0, len(pairs), ROWS_AT_ONCE):
                some = {pair: wanted[pair] for pair in pairs[start : start + ROWS_AT_ONCE]}
                seconds = yield from self._take(some, works)
                for (caller, key), its in zip(some.values(), seconds, strict=True):
                    left[caller][key] = its
        return [[left[caller][key] for key in work.keys] for caller, work in enumerate(works)]

    def _take(self, wanted: Wanted, works: Sequence[LeaseRequest]) -> Conversation[list[float]]:
        names, keys, tokens = owners = _owners(wanted, works)
        seconds = array(FLOAT8, [float8(works[caller].seconds) for caller, _ in wanted.values()])
        leases, now = self._statements.leases, self._clock.argument()
        calls = (
            Request(leases.take, (names, keys, tokens, seconds, now)),
            Request(leases.look, (*owners, now)),
        )
        purge = self._purge_if_due(now)
        for _ in range(ATTEMPTS):
            _, looked, *purged = yield (*calls, *purge)
            self._note_purged(purged)
            purge = ()
            if all(known for known, _, _ in looked):
                # The seconds are None for the lease of another that has just ended.
                return [0.0 if mine else max(left or 0.0, _LEAST_SECONDS) for _, mine, left in looked]
            long_names = {name: full for (name, _), (_, (full, _)) in wanted.items() if name != full}
            yield self._writer.make_namespaces([name for name, _ in wanted], long_names)
        raise StoreError(f"the namespaces of {len(wanted)} leases were cleared as often as they were made")

    def _purge_if_due(self, now: bytes | None) -> tuple[Request, ...]:
        if time.monotonic() < self._purge_at:
            return ()
        return (Request(self._statements.leases.purge, (now,)),)

    def _note_purged(self, results: Sequence[Rows]) -> None:
        for ((purged, emptied),) in results:
            self._room.emptied.update(emptied)
            self._purge_at = 0.0 if purged >= PURGED_PER_CALL else time.monotonic() + _PURGE_SECONDS

    # Giving back

    def note_broken_off(self, session: int) -> None:
        """Take note that the connection of a session was closed while leases were asked for on it."""
        self.broken_off[session] = _LOOKS

    def _forget_owed(self, tokens: Collection[bytes]) -> None:
        for work in list(self.owed):
            if work.token in tokens and work in self.owed:
                self.owed.remove(work)

    def give_back(self) -> Conversation[bool]:
        """End the leases that are owed; tell whether they may still be granted, by a session that was broken off."""
        owed, sessions = list(self.owed), list(self.broken_off)
        last: set[int] = set()
        if sessions:
            (((serving,),),) = yield (Request(self._statements.leases.sessions, (int8_array(sessions),)),)
            last.update(serving or ())
        yield from self.settle([Settlement(dict.fromkeys(work.keys), work.token) for work in owed])
        for session in sessions:
            self.broken_off[session] -= 1
            if session not in last or not self.broken_off[session]:
                del self.broken_off[session]
        if self.broken_off:
            return True
        for work in owed:
            if self.owed and self.owed[0] is work:
                self.owed.popleft()
        return False

    # Settling

    def settle(self, works: Sequence[Settlement]) -> Conversation[list[list[EncodedKey]]]:
        """Settle for several callers; return for each the keys whose lease was no longer its own."""
        late: list[list[EncodedKey]] = [[] for _ in works]
        for group in groups(works, attrgetter("keys")):
            wanted = yield from _wanted(group)
            if not wanted:
                continue
            batch = yield from self._writer.plan([(caller, _entries(work.results)) for caller, work in group])
            if batch.doomed or batch.is_large:
                places = yield from self._settle_at_once(wanted, works, batch)
            elif batch.rows:
                places = yield from self._settle(wanted, works, batch)
            else:
                (result,) = yield (self._end(wanted, works),)
                places = self._ended(result)
            ours = set(places)
            for place, (caller, key) in enumerate(wanted.values(), 1):
                if place not in ours:
                    late[caller].append(key)
        return late

    def _settle(self, wanted: Wanted, works: Sequence[Settlement], batch: Batch) -> Conversation[list[int]]:
        """Settle by one statement; return the places of those that were held."""
        writer, room = self._writer, self._room
        rows = {(name, key): rest for name, key, *rest in batch.rows}
        values, expiries, long_keys = zip(*(rows.get(pair, (None, None, None)) for pair in wanted), strict=True)
        columns = (*_owners(wanted, works), array(BYTEA, values), self._clock.argument(), writer.expiries(expiries))
        full = writer.long_keys(long_keys)

        def call_for(exact: bool) -> Request:
            limits = room.limits if exact else room.near_at
            return Request(self._statements.leases.settle, (*columns, int8(limits.entries), int8(limits.bytes), *full))

        def keep_namespaces() -> Sequence[Request]:
            names = array(BYTEA, sorted({name for name, _ in wanted}))
            return (Request(self._statements.stores.keep_namespaces, (names,)),)

        done = yield from writer.store(batch, call_for, keep_namespaces)
        if done is None:
            return (yield from self._settle_at_once(wanted, works, batch))
        return self._ended([done])

    def _settle_at_once(self, wanted: Wanted, works: Sequence[Settlement], batch: Batch) -> Conversation[list[int]]:
        """Settle in one transaction of several statements."""
        places: list[int] = []

        def end(planned: Batch) -> Conversation[Batch]:
            nonlocal places
            (result,) = yield (self._end(wanted, works),)
            places = self._ended(result)
            held = set(places)
            ours = {pair for place, pair in enumerate(wanted, 1) if place in held}
            return Batch(
                planned.long_names,
                [row for row in planned.rows if row[:2] in ours],
                planned.size,
                [each for each in planned.doomed if each[:2] in ours],
            )

        yield from self._writer.write_at_once(batch, [0] * len(works), end)
        return places

    def _end(self, wanted: Wanted, works: Sequence[Settlement]) -> Request:
        return Request(self._statements.leases.end, (*_owners(wanted, works), self._clock.argument()))

    def _ended(self, rows: Rows) -> list[int]:
        ((places, emptied),) = rows
        self._room.emptied.update(emptied)
        return list(places)


def _entries(results: Changes) -> Changes:
    return {key: entry for key, entry in results.items() if entry is not None}


def _wanted(group: Sequence[tuple[int, LeaseWork]]) -> Conversation[Wanted]:
    pairs = []
    for caller, work in group:
        for count, key in enumerate(work.keys, 1):
            pairs.append(((stored(key[0]), stored(key[1])), (caller, key)))
            if count % _PAUSE_EVERY == 0:
                yield PAUSE
    return dict(sorted(pairs))


def _owners(wanted: Wanted, works: Sequence[LeaseRequest] | Sequence[Settlement]) -> tuple[bytes, bytes, bytes]:
    """Return the names, the keys and the tokens, as arrays."""
    return *arrays(list(wanted)), array(BYTEA, [works[caller].token for caller, _ in wanted.values()])
