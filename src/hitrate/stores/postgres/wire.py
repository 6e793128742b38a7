"""One connection, and the exchange of statements and results on it, sync and async.

An exchange is a generator that yields what it waits for on the socket, as psycopg's own are; ``run`` and ``arun`` wait
for it, and there is no other code that does. It uses libpq through ``psycopg.pq``, and parameters are bytes, so that a
statement costs little more than its round trip. Statements of one exchange are one transaction and one round trip.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from asyncio import AbstractEventLoop, Future, get_running_loop, sleep
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import psycopg
from psycopg import postgres, pq
from psycopg.adapt import AdaptersMap, Transformer

from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.stores.per_loop import extra_time
from hitrate.stores.postgres.polling import POLLIN, POLLOUT, new_poll
from hitrate.stores.postgres.statements import Statement

NOTHING, READ, WRITE = 0, 1, 2
PREPARED_ALREADY, NOT_PREPARED = "42P05", "26000"
_POLLED = {READ: POLLIN, READ | WRITE: POLLIN | POLLOUT}
_CANCEL_SECONDS = 10.0
_CANCEL_WAITS: dict[int, int] = {pq.PollingStatus.READING: POLLIN, pq.PollingStatus.WRITING: POLLOUT}
_BINARY = pq.Format.BINARY
_FORMATS = [[_BINARY] * count for count in range(16)]
_FINE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)

_ADAPTERS = AdaptersMap(types=postgres.types)
"""How values are read: as psycopg does by itself, whatever a program has it do elsewhere."""
postgres.register_default_adapters(_ADAPTERS)
postgres.types["int8"].register(_ADAPTERS)  # and its arrays

Rows = list[tuple[Any, ...]]
"""What a statement returned, as Python's numbers, bytes, bools, lists and None."""

T = TypeVar("T")
Waits: TypeAlias = Generator[int, None, T]
"""Yields what it waits for on the socket, ``NOTHING`` where an event loop may serve others."""


class Request(NamedTuple):
    """A statement and its parameters, in binary form."""

    statement: Statement
    parameters: Sequence[bytes | None] = ()


Conversation: TypeAlias = Generator[Sequence[Request], list[Rows], T]
"""A generator that yields statements, which are sent as one transaction in one round trip, and is sent the rows that
each returned, from which it may make the next statements."""

PAUSE: Sequence[Request] = ()
"""Yielded instead of statements: nothing is asked, and an event loop may serve others."""


class ServerError(StoreError):
    """The server refused a statement.

    Attributes:
        sqlstate: PostgreSQL's code of the error.
    """

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class TimedOut(StoreError):
    """The server did not answer in time."""

    timed_out = True


class Link:
    """A connection to the server, used by one caller at a time.

    Args:
        connection: of psycopg, sync or async; only its libpq connection is used.

    Attributes:
        connection: that one; None while it lies in a pool that the program gave.
        prepared: the names of the statements that are prepared on it.
        loop: the event loop that uses it; None for a thread. Once a loop is closed, nobody gives its connections back.
        session: the process id of its session on the server.
        used: whether it has served before.
    """

    __slots__ = (
        "__weakref__",
        "_poll",
        "_polled",
        "_values",
        "connection",
        "loop",
        "pgconn",
        "prepared",
        "session",
        "used",
    )

    def __init__(self, connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
        self.connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any] | None = connection
        self.pgconn = connection.pgconn
        self.session = self.pgconn.backend_pid
        self.prepared: set[bytes] = set()
        self.loop: weakref.ref[AbstractEventLoop] | None = None
        self.used = False
        self._poll = new_poll()
        self._polled = READ
        self._values = Transformer(_ADAPTERS)
        self._poll.register(self.pgconn.socket, POLLIN)

    # What is said

    def converse(self, conversation: Conversation[T], *, prepare: bool) -> Waits[T]:
        """Hold a conversation with the server; return its result. It raises what ``exchange`` raises."""
        try:
            calls = next(conversation)
            while True:
                if calls:
                    rows = yield from self.exchange(calls, prepare=prepare)
                else:
                    yield NOTHING
                    rows = []
                calls = conversation.send(rows)
        except StopIteration as done:
            value: T = done.value
            return value

    def exchange(self, calls: Sequence[Request], *, prepare: bool) -> Waits[list[Rows]]:
        """Send statements as one transaction, prepared ones if the session stays the same; return the rows of each.

        Raises:
            ServerError: the server refused one, and has done nothing of the others.
            psycopg.Error: the connection broke.
        """
        if prepare and self.is_clean:  # a refusal would undo a transaction
            for statement, _ in calls:
                if statement.name and statement.name not in self.prepared:
                    yield from self._prepare(statement)
        self.used = True
        if len(calls) == 1:
            self._send(calls[0], prepare)
            results = yield from self._results()
        else:
            results = yield from self._pipeline(calls, prepare)
        return self._read(results)

    def _prepare(self, statement: Statement) -> Generator[int, None, None]:
        self.pgconn.send_prepare(statement.name, statement.text)
        try:
            self._read((yield from self._results()))
        except ServerError as error:
            if error.sqlstate != PREPARED_ALREADY:  # on a session that was another's before; the name tells the text
                raise
        self.prepared.add(statement.name)

    def _send(self, call: Request, prepare: bool) -> None:
        (text, name), given = call
        parameters = list(given)  # psycopg 3.2 takes nothing else
        if prepare and name in self.prepared:
            self.pgconn.send_query_prepared(name, parameters, _FORMATS[len(parameters)], _BINARY)
        else:
            self.pgconn.send_query_params(text, parameters, None, _FORMATS[len(parameters)], _BINARY)

    def _results(self) -> Waits[list[pq.abc.PGresult]]:
        """Send what was not sent yet; return the results of one statement."""
        pgconn = self.pgconn
        while pgconn.flush():
            yield READ | WRITE
            pgconn.consume_input()  # the server may have to send before it reads more
        results: list[pq.abc.PGresult] = []
        while True:
            while pgconn.is_busy():
                yield READ
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                return results
            results.append(result)

    def _pipeline(self, calls: Sequence[Request], prepare: bool) -> Waits[list[pq.abc.PGresult]]:
        pgconn = self.pgconn
        pgconn.enter_pipeline_mode()
        for call in calls:
            self._send(call, prepare)
        pgconn.pipeline_sync()
        results: list[pq.abc.PGresult] = []
        for _ in calls:
            results += yield from self._results()
        while pgconn.is_busy():
            yield READ
            pgconn.consume_input()
        pgconn.get_result()  # that of the sync
        pgconn.exit_pipeline_mode()
        return results

    def _read(self, results: Sequence[pq.abc.PGresult]) -> list[Rows]:
        """Return the rows of results; raise the first error among these."""
        values = self._values
        rows: list[Rows] = []
        for result in results:
            if result.status not in _FINE:
                sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
                message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"the statement was not carried out"
                raise ServerError(message.decode("utf-8", "replace"), sqlstate.decode("ascii", "replace"))
            values.set_pgresult(result)
            rows.append(values.load_rows(0, result.ntuples, tuple))
        values.set_pgresult(None)  # an idle connection holds no result
        return rows

    # How it is waited for

    def run(self, waits: Waits[T], deadline: float) -> T:
        """Run an exchange to its end, waiting on this thread.

        Raises:
            TimedOut: it is not done at the deadline, in seconds of the monotonic clock.
        """
        try:
            wanted = next(waits)
            while True:
                if wanted:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._ready(wanted, left):
                        raise TimedOut("no answer from PostgreSQL in time")
                wanted = next(waits)
        except StopIteration as done:
            value: T = done.value
            return value

    async def arun(self, waits: Waits[T], deadline: float) -> T:
        """Run an exchange to its end as ``run`` does, waiting on the event loop."""
        timeout = deadline - time.monotonic()
        try:
            wanted = next(waits)
            while True:
                if wanted:
                    await self._aready(wanted, deadline - time.monotonic())
                    now = time.monotonic()
                    if now > deadline:  # the timer did not come first: a program kept the loop from running
                        deadline = now + extra_time(now - deadline, timeout)
                else:
                    await sleep(0)
                wanted = next(waits)
        except StopIteration as done:
            value: T = done.value
            return value

    def _ready(self, wanted: int, seconds: float) -> bool:
        if wanted != self._polled:
            self._poll.modify(self.pgconn.socket, _POLLED[wanted])
            self._polled = wanted
        return bool(self._poll.poll(seconds * 1000 + 1))

    async def _aready(self, wanted: int, seconds: float) -> None:
        loop = get_running_loop()
        socket = self.pgconn.socket
        ready: Future[bool] = loop.create_future()
        timer = loop.call_later(max(seconds, 0.0), _tell, ready, False)
        loop.add_reader(socket, _tell, ready, True)
        if wanted & WRITE:
            loop.add_writer(socket, _tell, ready, True)
        try:
            in_time = await ready
        finally:
            timer.cancel()
            if not loop.is_closed():
                loop.remove_reader(socket)
                if wanted & WRITE:
                    loop.remove_writer(socket)
        if not in_time:
            raise TimedOut("no answer from PostgreSQL in time")

    # What becomes of it

    def is_lost(self) -> bool:
        """Tell whether the server has hung up since the connection was last used; nothing is waited for."""
        if not self._ready(READ, -0.001):
            return False
        try:
            self.pgconn.consume_input()
        except psycopg.Error:
            return True
        return self.pgconn.status != pq.ConnStatus.OK

    @property
    def is_forsaken(self) -> bool:
        """Whether the event loop that has it was closed."""
        return self.loop is not None and ((loop := self.loop()) is None or loop.is_closed())

    @property
    def is_clean(self) -> bool:
        """Whether nothing is under way on it."""
        return self.pgconn.transaction_status == pq.TransactionStatus.IDLE

    def cut(self) -> None:
        """Close it at once; if the server still carries out a statement, have a thread cancel that."""
        pgconn = self.pgconn
        busy = pgconn.status == pq.ConnStatus.OK and pgconn.transaction_status == pq.TransactionStatus.ACTIVE
        if busy and not sys.is_finalizing():  # a thread that starts at the end of the interpreter never runs
            try:
                cancel = pgconn.cancel_conn()
                threading.Thread(target=_cancel, args=(cancel,), name="hitrate-cancel", daemon=True).start()
            except (psycopg.Error, RuntimeError) as error:  # libpq is older than 17, or no thread can be started
                log.debug("a statement could not be cancelled: %s", error)
        pgconn.finish()


def _tell(ready: Future[bool], in_time: bool) -> None:
    if not ready.done():
        ready.set_result(in_time)


def _cancel(cancel: pq.abc.PGcancelConn) -> None:
    """Have the server cancel what a connection asked for; a server that does not answer is not waited for long.

    By steps that do not wait: libpq's older way does, and psycopg keeps the interpreter's lock meanwhile.
    """
    deadline = time.monotonic() + _CANCEL_SECONDS
    try:
        cancel.start()
        while (wanted := _CANCEL_WAITS.get(cancel.poll())) is not None:
            poll = new_poll()
            poll.register(cancel.socket, wanted)
            if not poll.poll(max(deadline - time.monotonic(), 0.0) * 1000):
                break
        cancel.finish()
    except psycopg.Error as error:
        log.debug("a statement could not be cancelled: %s", error)
