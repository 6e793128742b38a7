"""Holds a conversation with the database on a connection from the pool, and begins it anew where that may help.

What the database answers decides whether another attempt is made, whether the connection is kept, whether statements
are prepared, and which error is raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import psycopg

from hitrate.breaker import Breaker
from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.stores.postgres.connections import Connections, PoolExhausted
from hitrate.stores.postgres.wire import NOT_PREPARED, Conversation, Link, ServerError, TimedOut

T = TypeVar("T")
BrokenOff: TypeAlias = Callable[[int], None] | None

_ATTEMPTS = 5
_PREPARED_IN_VAIN = 3
_WAITED = 0.25
"""A call whose connection fails after this part of the timeout counts as timed out."""

_NO_TABLE = {"42P01", "42703"}
"""SQLSTATEs of a missing table or column: the tables were dropped, and perhaps made again by an older hitrate."""

_TAKE_TURNS = {"40P01", "40001"}
_ANOTHER_CONNECTION = {"0A000", "25006", "57P01", "57P02", "57P05"}
"""SQLSTATEs after which another connection may do: a plan from before a migration, a server that became a standby, a
session that was ended."""


class Database:
    """Holds conversations with a database.

    Args:
        connections: to it.
        breaker: refuses calls while the database does not answer.
        make_tables: the conversation that comes before any other, until it has succeeded.
        after_each: called when a conversation has come to its end.
        timeout: seconds that a call may take.
        prepare: whether statements may be prepared.
    """

    def __init__(
        self,
        connections: Connections,
        breaker: Breaker,
        make_tables: Callable[[], Conversation[None]],
        after_each: Callable[[], None],
        timeout: float,
        *,
        prepare: bool,
    ) -> None:
        self.breaker = breaker
        self._connections = connections
        self._make_tables = make_tables
        self._after_each = after_each
        self._timeout = timeout
        self._prepare = prepare
        self._prepared_in_vain = 0
        self._ready = False

    def hold(self, begin: Callable[[], Conversation[T]], broken_off: BrokenOff = None) -> T:
        """Hold a conversation with the server; begin it anew where that helps.

        Args:
            begin: begins the conversation.
            broken_off: is told the process id of a session that may still carry out what was asked, though its
                connection was closed.
        """
        deadline = self.deadline()
        attempt = 0
        while True:
            attempt += 1
            link = None
            try:
                link = self._connections.take(deadline)
                value = link.run(link.converse(self._prepared(begin), prepare=self._prepare), deadline)
            except BaseException as error:
                if link is not None:
                    self._connections.give(link, usable=_is_usable(link, error, broken_off))
                self._decide(error, link, attempt, deadline)
            else:
                self._connections.give(link)
                self._held()
                return value

    async def ahold(
        self, begin: Callable[[], Conversation[T]], deadline: float | None = None, broken_off: BrokenOff = None
    ) -> T:
        """Hold a conversation as ``hold`` does, waiting on the event loop, until a deadline if one is given."""
        deadline = self.deadline() if deadline is None else deadline
        attempt = 0
        while True:
            attempt += 1
            link = None
            try:
                link = await self._connections.atake(deadline)
                value = await link.arun(link.converse(self._prepared(begin), prepare=self._prepare), deadline)
            except GeneratorExit:  # the loop was closed, and this coroutine is collected
                if link is not None:
                    if broken_off is not None:
                        broken_off(link.session)
                    self._connections.forsake(link)
                raise
            except BaseException as error:
                if link is not None:
                    await self._connections.agive(link, usable=_is_usable(link, error, broken_off))
                self._decide(error, link, attempt, deadline)
            else:
                await self._connections.agive(link)
                self._held()
                return value

    def deadline(self) -> float:
        """Return when a call that begins now is late, in seconds of the monotonic clock.

        Raises:
            StoreError: the circuit breaker is open.
        """
        if not self.breaker.closed and not self.breaker.allows():
            raise StoreError("PostgreSQL did not answer of late and is left alone for a while")
        return time.monotonic() + self._timeout

    def _prepared(self, begin: Callable[[], Conversation[T]]) -> Conversation[T]:
        if self._ready:
            return begin()
        return self._begun(begin)

    def _begun(self, begin: Callable[[], Conversation[T]]) -> Conversation[T]:
        yield from self._make_tables()
        self._ready = True
        return (yield from begin())

    def _held(self) -> None:
        self.breaker.succeeded()
        self._after_each()

    def _decide(self, error: BaseException, link: Link | None, attempt: int, deadline: float) -> None:
        """Return if another attempt is due; else raise what happened in our terms."""
        left = deadline - time.monotonic()
        last = attempt == _ATTEMPTS or left <= 0
        if isinstance(error, ServerError):
            self.breaker.succeeded()
            if not last and self._is_to_be_tried_again(error):
                return
            raise StoreError(f"PostgreSQL: {error} (SQLSTATE {error.sqlstate})") from error
        if isinstance(error, psycopg.Error):
            if link is not None and link.used and not last:
                # The server closed open connections; a new one tells whether it is there.
                self._connections.own.drop_idle()
                return
            if type(error).__name__ in ("PoolTimeout", "TooManyRequests"):
                raise PoolExhausted(f"no connection of the pool became free in time: {error}") from error
            self.breaker.failed(error)
            failure = StoreError(f"PostgreSQL: {str(error).strip()}")
            failure.timed_out = left < self._timeout * (1 - _WAITED)
            raise failure from error
        if isinstance(error, TimedOut):
            self.breaker.failed(error)
        elif isinstance(error, OSError):
            self.breaker.failed(error)
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


def _is_usable(link: Link, error: BaseException, broken_off: BrokenOff) -> bool:
    """Tell whether a connection can be used on after an error: the server has answered, though with an error."""
    if isinstance(error, ServerError):
        if error.sqlstate == NOT_PREPARED:
            link.prepared.clear()
        usable = error.sqlstate not in _ANOTHER_CONNECTION
    else:
        usable = isinstance(error, StoreError) and not isinstance(error, TimedOut)
    if not usable and broken_off is not None:
        broken_off(link.session)
    return usable
