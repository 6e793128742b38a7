"""The store in PostgreSQL: what a cache calls, sync and async."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from hitrate import forking
from hitrate.breaker import Breaker, BreakerState
from hitrate.errors import ClosedError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Amounts, Capability, Changes, Channel, Found, Listener, Page, Store, Usage, check_limit
from hitrate.stores.gathering import shares
from hitrate.stores.keeper import Keeper
from hitrate.stores.per_loop import PerLoop
from hitrate.stores.postgres import names, schema
from hitrate.stores.postgres.changes import Notifications
from hitrate.stores.postgres.clearing import clear, clear_under
from hitrate.stores.postgres.conninfo import check_seconds, connections_of, described, may_prepare
from hitrate.stores.postgres.counts import LifetimeCounts
from hitrate.stores.postgres.database import Database
from hitrate.stores.postgres.expiry import ExpiryClock
from hitrate.stores.postgres.gathering import Queue
from hitrate.stores.postgres.leasing import Leaser, LeaseRequest, Settlement
from hitrate.stores.postgres.limits import Room, limits_of
from hitrate.stores.postgres.listing import page
from hitrate.stores.postgres.reading import Reader
from hitrate.stores.postgres.schema import Durability
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Conversation, Request
from hitrate.stores.postgres.writing import Writer

_READS_AT_ONCE = 4
_LOOK_SECONDS = 0.1
"""Seconds between two looks whether a session has ended that may still grant leases to callers who are gone."""


class _Queues(NamedTuple):
    """The queues of one event loop: reads, which so never wait for a write, the rest in its order, and leases."""

    reads: Queue
    writes: Queue
    leases: Queue

    def drop(self) -> None:
        """Let go of what is under way: the loop is closed."""
        for queue in self:
            queue.drop()


class PostgresStore(Store):
    """Keeps entries in tables of a PostgreSQL database.

    Args are those of ``PostgresCache``, but for ``clock``, which is None for the server's.
    """

    offers: frozenset[Capability] = frozenset({"bounds", "forks under load"})

    def __init__(
        self,
        conninfo_or_pool: Any,
        *,
        table: str,
        durability: Durability,
        max_bytes: int | None,
        max_entries: int | None,
        clock: Callable[[], float] | None,
        timeout: float,
        connect_timeout: float,
        max_connections: int,
        prepare: bool,
    ) -> None:
        check_limit("max_bytes", max_bytes)
        check_limit("max_entries", max_entries)
        self.limits = (max_entries, max_bytes)
        check_limit("max_connections", max_connections)
        if max_connections is None:
            raise TypeError("max_connections is a positive int, not None")
        check_seconds("timeout", timeout)
        check_seconds("connect_timeout", connect_timeout)
        if durability not in ("normal", "full"):
            raise ValueError(f"durability is 'normal' or 'full', not {durability!r}")
        self._names = names.quote(table)
        self._durability: Durability = durability
        self._timeout = timeout
        self._conninfo = getattr(conninfo_or_pool, "conninfo", conninfo_or_pool)
        self._connections = connections_of(conninfo_or_pool, connect_timeout, max_connections)
        self._clock = ExpiryClock(clock)
        self.statements = Statements(self._names, own_clock=self._clock.is_own)
        self._room = Room(self.statements, limits_of(max_entries, max_bytes))
        self._reader = Reader(self.statements, self._clock, self._room)
        self._writer = Writer(self.statements, self._clock, self._room)
        self._leaser = Leaser(self.statements, self._clock, self._writer, self._room)
        self._doing: dict[type, Callable[[list[Any]], Conversation[list[Any]]]] = {
            Request: _ask,
            LeaseRequest: self._leaser.take,
            Settlement: self._leaser.settle,
        }
        self._counts = LifetimeCounts(names.quote_lifetime(table))
        self._database = Database(
            self._connections,
            Breaker(f"PostgreSQL, table {self._names.entries}"),
            self._make_tables,
            self._keep_if_needed,
            timeout,
            prepare=prepare and may_prepare(conninfo_or_pool),
        )
        self._closed = False
        self._makes_tables = True
        self._keeper = Keeper(self._keep)
        self._queues = PerLoop(self._make_queues, _Queues.drop)
        forking.begin_anew(self)
        weakref.finalize(self, self._connections.own.close)

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker."""
        return self._database.breaker.state

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return self._database.hold(lambda: self._reader.read(keys))

    async def aget(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        found: Sequence[Found] = await self._queues_here().reads.submit(keys)
        return found

    async def _aread(self, wanted: list[Sequence[EncodedKey]]) -> list[Sequence[Found]]:
        """Read for several callers at once."""
        if len(wanted) == 1:
            return [await self._database.ahold(lambda: self._reader.read(wanted[0]))]
        together = [key for keys in wanted for key in keys]
        return shares(await self._database.ahold(lambda: self._reader.read(together)), wanted)

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self._database.hold(lambda: self._reader.find_expired(keys))

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return await self._database.ahold(lambda: self._reader.find_expired(keys))

    def removals(self) -> tuple[int, int]:
        return self._room.evictions, self._room.expirations

    def usage(self) -> Usage:
        return self._database.hold(self._usage)

    def _usage(self) -> Conversation[Usage]:
        bounds = self.statements.bounds
        ((entries, size),), ((miscounted,),) = yield (Request(bounds.usage), Request(bounds.is_miscounted))
        if miscounted:
            yield from self._room.recount()
            (((entries, size),),) = yield (Request(bounds.usage),)
        return Usage(entries, size, self._room.evictions, self._room.expirations)

    # Writing

    def write(self, changes: Changes) -> int:
        return self._database.hold(lambda: self._writer.write([changes]))[0]

    async def awrite(self, changes: Changes) -> int:
        removed: int = await self._queues_here().writes.submit(changes)
        return removed

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._clear(clear(self.statements, namespaces))

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._aclear(clear(self.statements, namespaces))

    def clear_under(self, prefix: bytes) -> None:
        self._clear(clear_under(self.statements, prefix))

    async def aclear_under(self, prefix: bytes) -> None:
        await self._aclear(clear_under(self.statements, prefix))

    def _clear(self, call: Request) -> None:
        self._database.hold(lambda: _ask([call]))
        self._keeper.request()

    async def _aclear(self, call: Request) -> None:
        await self._queues_here().writes.submit(call)
        self._keeper.request()

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        take = LeaseRequest(keys, token, seconds)
        try:
            return self._database.hold(lambda: self._leaser.take([take]), self._leaser.note_broken_off)[0]
        except BaseException:
            self._owe(take)
            raise

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        left: Sequence[float] = await self._queues_here().leases.submit(LeaseRequest(keys, token, seconds))
        return left

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return self._database.hold(lambda: self._leaser.settle([Settlement(results, token)]))[0]

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        late: Collection[EncodedKey] = await self._queues_here().leases.submit(Settlement(results, token))
        return late

    async def _ado(self, works: list[Any]) -> list[Any]:
        """Do calls in their order, those of one kind that follow each other together."""
        results: list[Any] = []
        deadline = self._database.deadline()
        for kind, group in groupby(works, type):
            some: list[Any] = list(group)
            do = self._doing.get(kind, self._writer.write)
            note = self._leaser.note_broken_off if kind is LeaseRequest else None
            results += await self._database.ahold(lambda: do(some), deadline, note)  # noqa: B023 - held before the next
        return results

    def _owe(self, work: LeaseRequest | Settlement) -> None:
        """Have leases be given back that were granted, or may yet be, to a caller who is gone."""
        if isinstance(work, LeaseRequest) and work.asked:
            self._leaser.owed.append(work)
            self._keeper.request()

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._database.hold(lambda: page(self.statements, self._clock, under, after, limit))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return await self._database.ahold(lambda: page(self.statements, self._clock, under, after, limit))

    def count_expired(self) -> int:
        return self._database.hold(self._writer.count_expired)

    def remove_expired(self) -> int:
        removed = 0
        while purged := self._database.hold(self._writer.purge):
            removed += purged
        return removed

    def make_nothing(self) -> None:
        self._makes_tables = False

    def described(self) -> str:
        return described(self._conninfo, self._names.entries)

    # Counters that outlive the process

    def add_counts(self, amounts: Amounts) -> bool:
        self._database.hold(lambda: self._counts.add(amounts))
        return True

    def read_counts(self) -> Amounts | None:
        return self._database.hold(self._counts.read)

    # What changed

    def listen(self, listener: Listener) -> Channel:
        return Notifications(self._connections.own.connect, self._names, self._durability, listener)

    # Housekeeping

    def _make_tables(self) -> Conversation[None]:
        prepare = schema.prepare if self._makes_tables else schema.look_at
        lists = yield from prepare(self._names, self._durability)
        if lists != self.statements.lists:
            self.statements.suit(lists=lists)

    def _keep_if_needed(self) -> None:
        self._queues.let_go_of_closed()  # they may have asked for leases
        if self._room.wants_keeping or self._leaser.owed:
            self._keeper.request()

    def _keep(self) -> bool:
        if self._leaser.owed:
            may_still_be_granted = self._database.hold(self._leaser.give_back)
            if may_still_be_granted:
                self._keeper.rest(_LOOK_SECONDS)
                return True
        return self._database.hold(self._room.keep)

    # Event loops

    def _queues_here(self) -> _Queues:
        if self._closed:
            raise ClosedError("the cache is closed")
        return self._queues.get()

    def _make_queues(self, loop: asyncio.AbstractEventLoop) -> _Queues:
        return _Queues(
            Queue(self._aread, _READS_AT_ONCE, self._timeout),
            Queue(self._ado, 1, self._timeout),
            Queue(self._ado, 1, self._timeout, self._owe),
        )

    def close(self) -> None:
        self._closed = True
        self._keeper.stop()
        if self._leaser.owed and not self._leaser.broken_off:  # else the server is not to be waited for
            try:
                self._database.hold(self._leaser.give_back)
            except Exception as error:  # they run out
                log.debug("leases could not be given back: %s", error)
        self._connections.own.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def after_fork_in_child(self) -> None:
        """Start anew what a fork does not carry over: sockets, threads, and locks that other threads held."""
        self._connections.after_fork_in_child()
        self._keeper = Keeper(self._keep)
        self._queues.take_all()


def _ask(calls: Sequence[Request]) -> Conversation[list[None]]:
    """A conversation of statements without results."""
    yield calls
    return [None] * len(calls)
