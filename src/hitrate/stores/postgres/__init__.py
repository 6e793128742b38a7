"""Entries in PostgreSQL, shared by threads, event loops, processes and machines."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

try:
    import psycopg
except ModuleNotFoundError as error:
    if error.name != "psycopg":  # it is there, and what it needs itself is not
        raise
    raise ModuleNotFoundError(
        "PostgresCache needs psycopg: pip install '.[postgres]' in hitrate's folder", name=error.name
    ) from error

from hitrate import forking
from hitrate.breaker import Breaker, BreakerState
from hitrate.clock import is_replaced, wall_clock
from hitrate.errors import ClosedError, StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Amounts, Capability, Changes, Channel, Found, Listener, Page, Store, Usage, check_limit
from hitrate.stores.keeper import Keeper
from hitrate.stores.per_loop import PerLoop
from hitrate.stores.postgres import names, schema
from hitrate.stores.postgres.binary import read_int8
from hitrate.stores.postgres.clearing import clear, clear_under
from hitrate.stores.postgres.connections import PoolExhausted
from hitrate.stores.postgres.conversation import Conversation, ahold, hold
from hitrate.stores.postgres.counts import Counts
from hitrate.stores.postgres.gathering import Lane
from hitrate.stores.postgres.given import check_seconds, connections_of, described, may_prepare
from hitrate.stores.postgres.leasing import Leaser, Settlement, Take
from hitrate.stores.postgres.listing import Lister
from hitrate.stores.postgres.notifying import Notifications
from hitrate.stores.postgres.reading import Reader
from hitrate.stores.postgres.room import NO_LIMIT, TRUE, Room, limits_of
from hitrate.stores.postgres.schema import Durability
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import NOT_PREPARED, Call, Link, ServerError, TimedOut
from hitrate.stores.postgres.writing import Writer
from hitrate.stores.together import shares

T = TypeVar("T")

_ATTEMPTS = 5
_READS_AT_ONCE = 4
_PREPARED_IN_VAIN = 3
_WAITED = 0.25
"""The part of the timeout after which a connection that broke or did not come was waited for in vain."""

_NO_TABLE = {"42P01", "42703"}
"""A table is gone, or a column: the tables were dropped, and others made by a hitrate that lists nothing."""

_TAKE_TURNS = {"40P01", "40001"}
_ANOTHER_CONNECTION = {"0A000", "25006", "57P01", "57P02", "57P05"}
"""A plan of before a migration, a server that has become a standby, a session that was ended."""


class _Lanes(NamedTuple):
    """The queues of one event loop: reads, which so never wait for a write, the rest in its order, and leases."""

    reads: Lane
    writes: Lane
    leases: Lane

    def drop(self) -> None:
        """Let go of what is under way: the loop is closed."""
        for lane in self:
            lane.drop()


class PostgresStore(Store):
    """Keeps entries in tables of a PostgreSQL database.

    Args:
        conninfo_or_pool: a connection string, or a pool of ``psycopg_pool``.
        table: the name of the table, with or without a schema; its companions' names begin with it.
        durability: ``"normal"`` for UNLOGGED tables, ``"full"`` for logged ones.
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        clock: returns the seconds since the epoch; None for the server's clock.
        timeout: seconds that an operation may take.
        connect_timeout: seconds that opening a connection may take.
        max_connections: connections that the store opens at most.
        prepare: whether statements may be prepared.
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
        self._prepare = prepare and may_prepare(conninfo_or_pool)
        self._prepared_in_vain = 0
        self._conninfo = getattr(conninfo_or_pool, "conninfo", conninfo_or_pool)
        self._connections = connections_of(conninfo_or_pool, connect_timeout, max_connections)
        if clock is None and is_replaced():
            clock = wall_clock
        own_clock = clock is not None
        self.statements = Statements(self._names, own_clock=own_clock)
        self._room = Room(self.statements, limits_of(max_entries, max_bytes), self._tell_of_eviction)
        clock = clock or wall_clock
        self._reader = Reader(self.statements, clock, own_clock, self._see if self._room.is_bounded else _ignore)
        self._writer = Writer(self.statements, clock, own_clock, self._room)
        self._leaser = Leaser(self.statements, self._writer, self._room)
        self._counts = Counts(names.quote_lifetime(table))
        self._lister = Lister(self.statements, clock, own_clock)
        self._breaker = Breaker(f"PostgreSQL, table {self._names.entries}")
        self._ready = False
        self._closed = False
        self._keeper = Keeper(self._keep)
        self._lanes = PerLoop(self._make_lanes, _Lanes.drop)
        forking.begin_anew(self)
        weakref.finalize(self, self._connections.close)

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker."""
        return self._breaker.state

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return self._hold(lambda: self._reader.read(keys))

    async def aget(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        found: Sequence[Found] = await self._lanes_here().reads.submit(keys)
        return found

    async def _aread(self, wanted: list[Sequence[EncodedKey]]) -> list[Sequence[Found]]:
        """Read for several callers at once."""
        if len(wanted) == 1:
            return [await self._ahold(lambda: self._reader.read(wanted[0]))]
        together = [key for keys in wanted for key in keys]
        return shares(await self._ahold(lambda: self._reader.read(together)), wanted)

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self._hold(lambda: self._reader.find_expired(keys))

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return await self._ahold(lambda: self._reader.find_expired(keys))

    def removals(self) -> tuple[int, int]:
        return self._room.evictions, self._room.expirations

    def usage(self) -> Usage:
        return self._hold(self._usage)

    def _usage(self) -> Conversation[Usage]:
        bounds = self.statements.bounds
        result, miscounted = yield (Call(bounds.usage), Call(bounds.is_miscounted))
        if miscounted.get_value(0, 0) == TRUE:
            yield from self._room.recount()
            (result,) = yield (Call(bounds.usage),)
        entries, size = (read_int8(result.get_value(0, column) or b"") for column in (0, 1))
        return Usage(entries, size, self._room.evictions, self._room.expirations)

    # Writing

    def write(self, changes: Changes) -> int:
        return self._hold(lambda: self._writer.write([changes]))[0]

    async def awrite(self, changes: Changes) -> int:
        removed: int = await self._lanes_here().writes.submit(changes)
        return removed

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._clear(clear(self.statements, namespaces))

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._aclear(clear(self.statements, namespaces))

    def clear_under(self, prefix: bytes) -> None:
        self._clear(clear_under(self.statements, prefix))

    async def aclear_under(self, prefix: bytes) -> None:
        await self._aclear(clear_under(self.statements, prefix))

    def _clear(self, call: Call) -> None:
        self._hold(lambda: _ask([call]))
        self._keeper.request()

    async def _aclear(self, call: Call) -> None:
        await self._lanes_here().writes.submit(call)
        self._keeper.request()

    async def _awrite(self, works: list[Changes | Call]) -> list[Any]:
        """Do writes and clears in their order, those that follow each other together."""
        results: list[Any] = []
        deadline = self._deadline()
        for clears, group in groupby(works, lambda work: isinstance(work, Call)):
            some: list[Any] = list(group)
            do = _ask if clears else self._writer.write
            results += await self._ahold(lambda: do(some), deadline)  # noqa: B023 - held before the next
        return results

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return self._hold(lambda: self._leaser.take([Take(keys, token, seconds)]))[0]

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        left: Sequence[float] = await self._lanes_here().leases.submit(Take(keys, token, seconds))
        return left

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return self._hold(lambda: self._leaser.settle([Settlement(results, token)]))[0]

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        late: Collection[EncodedKey] = await self._lanes_here().leases.submit(Settlement(results, token))
        return late

    async def _alease(self, works: list[Take | Settlement]) -> list[Any]:
        """Take and settle leases in their order, those that follow each other together."""
        results: list[Any] = []
        deadline = self._deadline()
        for kind, group in groupby(works, type):
            some: list[Any] = list(group)
            do: Callable[[list[Any]], Conversation[list[Any]]]
            do = self._leaser.take if kind is Take else self._leaser.settle
            results += await self._ahold(lambda: do(some), deadline)  # noqa: B023 - held before the next
        return results

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._hold(lambda: self._lister.page(under, after, limit))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return await self._ahold(lambda: self._lister.page(under, after, limit))

    def count_expired(self) -> int:
        return self._hold(self._writer.count_expired)

    def remove_expired(self) -> int:
        removed = 0
        while purged := self._hold(self._writer.purge):
            removed += purged
        return removed

    def described(self) -> str:
        return described(self._conninfo, self._names.entries)

    # Counters that outlive the process

    def add_counts(self, amounts: Amounts) -> bool:
        self._hold(lambda: self._counts.add(amounts))
        return True

    def read_counts(self) -> Amounts | None:
        return self._hold(self._counts.read)

    # What changed

    def listen(self, listener: Listener) -> Channel:
        return Notifications(self._connections.own.connect, self._names, self._durability, listener)

    # Housekeeping

    def _keep(self) -> bool:
        return self._hold(self._room.keep)

    def _see(self, rows: Iterable[int]) -> None:
        self._room.seen.update(rows)

    def _tell_of_eviction(self) -> None:
        entries, size = (None if limit == NO_LIMIT else limit for limit in self._room.limits)
        log.warning(
            "the cache in table %s is full (max_entries=%s, max_bytes=%s) and evicts from now on",
            *(self._names.entries, entries, size),
        )

    # The boundary to PostgreSQL

    def _hold(self, begin: Callable[[], Conversation[T]]) -> T:
        """Hold a conversation with the server; begin it anew where that helps."""
        deadline = self._deadline()
        for attempt in range(_ATTEMPTS):
            link = None
            try:
                link = self._connections.take(deadline)
                value = hold(self._prepared(begin), link, deadline, prepare=self._prepare)
            except BaseException as error:
                used = link is not None and link.used
                if link is not None:
                    self._put_back(link, error)
                self._decide(error, used, attempt, deadline)
                continue
            self._connections.give(link)
            self._held()
            return value
        raise AssertionError("the last attempt returns or raises")

    async def _ahold(self, begin: Callable[[], Conversation[T]], deadline: float | None = None) -> T:
        """Hold a conversation as ``_hold`` does, waiting on the event loop, until a deadline if one is given."""
        deadline = self._deadline() if deadline is None else deadline
        for attempt in range(_ATTEMPTS):
            link = None
            try:
                link = await self._connections.atake(deadline)
                value = await ahold(self._prepared(begin), link, deadline, prepare=self._prepare)
            except GeneratorExit:  # the loop was closed, and this coroutine is collected
                if link is not None:
                    self._connections.forsake(link)
                raise
            except BaseException as error:
                used = link is not None and link.used
                if link is not None:
                    await self._aput_back(link, error)
                self._decide(error, used, attempt, deadline)
                continue
            await self._connections.agive(link)
            self._held()
            return value
        raise AssertionError("the last attempt returns or raises")

    def _deadline(self) -> float:
        if not self._breaker.closed and not self._breaker.allows():
            raise StoreError("PostgreSQL did not answer of late and is left alone for a while")
        return time.monotonic() + self._timeout

    def _prepared(self, begin: Callable[[], Conversation[T]]) -> Conversation[T]:
        if self._ready:
            return begin()
        return self._begun(begin)

    def _begun(self, begin: Callable[[], Conversation[T]]) -> Conversation[T]:
        lists = yield from schema.prepare(self._names, self._durability)
        if lists != self.statements.lists:
            self.statements.suit(lists=lists)
        self._ready = True
        return (yield from begin())

    def _held(self) -> None:
        self._breaker.succeeded()
        if self._room.wants_keeping:
            self._keeper.request()

    def _put_back(self, link: Link, error: BaseException) -> None:
        _forget_prepared(link, error)
        if _keeps_connection(error):
            self._connections.give(link)
        else:
            self._connections.drop(link)

    async def _aput_back(self, link: Link, error: BaseException) -> None:
        _forget_prepared(link, error)
        if _keeps_connection(error):
            await self._connections.agive(link)
        else:
            await self._connections.adrop(link)

    def _decide(self, error: BaseException, used: bool, attempt: int, deadline: float) -> None:
        """Return if another attempt is due; else raise what happened in our terms."""
        left = deadline - time.monotonic()
        last = attempt == _ATTEMPTS - 1 or left <= 0
        if isinstance(error, ServerError):
            self._breaker.succeeded()
            if not last and self._is_to_be_tried_again(error):
                return
            raise StoreError(f"PostgreSQL: {error} (SQLSTATE {error.sqlstate})") from error
        if isinstance(error, psycopg.Error):
            if used and not last:  # the server hung up on what was open; a new connection tells whether it is there
                self._connections.drop_idle()
                return
            if type(error).__name__ in ("PoolTimeout", "TooManyRequests"):
                raise PoolExhausted(f"no connection of the pool became free in time: {error}") from error
            self._breaker.failed(error)
            failure = StoreError(f"PostgreSQL: {str(error).strip()}")
            failure.timed_out = left < self._timeout * (1 - _WAITED)
            raise failure from error
        if isinstance(error, TimedOut):
            self._breaker.failed(error)
        elif isinstance(error, OSError):
            self._breaker.failed(error)
            raise StoreError(f"PostgreSQL: {error}") from error
        raise error

    def _is_to_be_tried_again(self, error: ServerError) -> bool:
        state = error.sqlstate
        if state == NOT_PREPARED:
            # A pool's reset may have dropped it. Behind a proxy that shares sessions, such as PgBouncer, what one
            # transaction prepares the next may not have.
            self._prepared_in_vain += 1
            if self._prepare and self._prepared_in_vain >= _PREPARED_IN_VAIN:
                log.debug("prepared statements do not stay, going on without: %s", error)
                self._prepare = False
            return True
        if state in _NO_TABLE and self._ready:
            self._ready = False
            return True
        return state in _TAKE_TURNS or state in _ANOTHER_CONNECTION

    def _lanes_here(self) -> _Lanes:
        if self._closed:
            raise ClosedError("the cache is closed")
        return self._lanes.get()

    def _make_lanes(self, loop: asyncio.AbstractEventLoop) -> _Lanes:
        return _Lanes(
            Lane(self._aread, _READS_AT_ONCE, self._timeout),
            Lane(self._awrite, 1, self._timeout),
            Lane(self._alease, 1, self._timeout),
        )

    def close(self) -> None:
        self._closed = True
        self._keeper.stop()
        self._connections.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def after_fork_in_child(self) -> None:
        """Start anew what a fork does not carry over: sockets, threads, and locks that other threads held."""
        self._connections.after_fork_in_child()
        self._keeper = Keeper(self._keep)
        self._lanes.take_all()


def _ask(calls: Sequence[Call]) -> Conversation[list[None]]:
    """Have statements carried out that tell nothing."""
    yield calls
    return [None] * len(calls)


def _keeps_connection(error: BaseException) -> bool:
    """Tell whether a connection may be as good as before after an error: the server has answered, if not as hoped."""
    if isinstance(error, ServerError):
        return error.sqlstate not in _ANOTHER_CONNECTION
    return isinstance(error, StoreError) and not isinstance(error, TimedOut)


def _forget_prepared(link: Link, error: BaseException) -> None:
    if isinstance(error, ServerError) and error.sqlstate == NOT_PREPARED:
        link.prepared.clear()


def _ignore(rows: Iterable[int]) -> None:
    pass
