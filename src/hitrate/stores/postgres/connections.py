"""Where connections come from: a pool that the program gave, for sync or async calls, and an own pool for the rest.

The own pool serves threads and event loops alike: of a connection it uses nothing but the socket. It opens connections
when they are needed, up to a number, each on a thread of its own, and hands one that comes back to the caller that has
waited longest.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from hitrate.errors import ClosedError, StoreError
from hitrate.exclusive import a_few_lines
from hitrate.stores.postgres.wire import Link, TimedOut
from hitrate.stores.reasons import reason_of


class Waiter(concurrent.futures.Future[Link]):
    """A connection to come, and the event loop that waits for it, if one does."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__()
        self.loop = None if loop is None else weakref.ref(loop)

    def wants_it(self) -> bool:
        """Tell whether it is still waited for; if so it can no longer be cancelled."""
        if self.loop is not None and ((loop := self.loop()) is None or loop.is_closed()):
            return False
        return self.set_running_or_notify_cancel()


class PoolExhausted(StoreError):
    """No connection became free in time; the server itself may be well."""

    timed_out = True


def connect(conninfo: Any, options: Any, connect_timeout: float) -> Link:
    """Open a connection; waits.

    Args:
        conninfo: a connection string, or a function that returns one, as psycopg's pools take it.
        options: further arguments of ``psycopg.connect``, or a function that returns them.
        connect_timeout: seconds that opening may take.

    Raises:
        psycopg.OperationalError: it cannot be opened; the text is ours: the driver's may have a piece of a secret.
    """
    given: Mapping[str, Any] = _resolved(options) or {}
    chosen = {
        "fallback_application_name": "hitrate",
        "connect_timeout": max(2, round(connect_timeout)),
        **given,
        "autocommit": True,
    }
    conninfo = _resolved(conninfo)
    try:
        return Link(_Connection.connect(conninfo, **chosen))
    except (psycopg.Error, OSError, ValueError, TypeError) as error:
        reason = reason_of(error)
    raise psycopg.OperationalError(reason)  # here, where the driver's error is not its context


def _resolved(value: Any) -> Any:
    """Return what a pool was given, or what the function it was given returns; that of an async pool may be awaited."""
    if callable(value):
        value = value()
    if inspect.isawaitable(value):
        return asyncio.run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


class _Connection(psycopg.Connection[Any]):
    """A connection of the own pool. One that is lost, by an interrupt between two steps, closes without complaint."""

    def __del__(self, *_: Any) -> None:
        """Do nothing: libpq's connection closes when it is deleted, and psycopg would warn."""


class OwnPool:
    """Connections of this store's own, up to a number, for any thread and any event loop of this process."""

    def __init__(self, connect: Callable[[], Link], most: int) -> None:
        self.connect = connect
        self._most = most
        self._start()

    def _start(self) -> None:
        self._idle: list[Link] = []
        self._links: weakref.WeakSet[Link] = weakref.WeakSet()
        self._opening = 0
        self._waiters: deque[Waiter] = deque()
        self._closed = False

    def take(self, deadline: float) -> Link:
        """Return a connection, waiting on this thread.

        Raises:
            PoolExhausted: none became free before the deadline.
            psycopg.Error: none could be opened.
        """
        link = self._take_idle()
        if link is not None:
            return link
        waiter = self._request(None)
        try:
            return waiter.result(max(deadline - time.monotonic(), 0.0))
        except BaseException as error:
            self._abandon(waiter)
            if isinstance(error, concurrent.futures.TimeoutError) and not isinstance(error, psycopg.Error):
                raise self._in_vain() from error
            raise

    async def atake(self, deadline: float) -> Link:
        """Return a connection as ``take`` does, waiting on the event loop."""
        loop = asyncio.get_running_loop()
        link = self._take_idle()
        if link is not None:
            link.loop = weakref.ref(loop)
            return link
        waiter = self._request(loop)
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
                return await asyncio.wrap_future(waiter)
        except BaseException as error:
            self._abandon(waiter)
            if isinstance(error, TimeoutError):
                raise self._in_vain() from error
            raise

    def give(self, link: Link, *, usable: bool = True) -> None:
        """Take back a connection; one that is of no more use, or in the midst of a transaction, is closed."""
        if not usable or not link.is_clean:
            self.drop(link)
            return
        link.loop = None
        self._idle.append(link)
        if self._waiters or self._closed:
            self._serve()

    def drop(self, link: Link) -> None:
        """Take back a connection, and close it."""
        link.loop = None
        with a_few_lines:
            self._links.discard(link)
        link.cut()
        if self._waiters:
            self._open_if_needed()

    def drop_idle(self) -> None:
        """Close the connections that nobody uses: the server has hung up on one, and so on all."""
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:
                break
            self.drop(link)

    def close(self) -> None:
        """Close connections as they come back, and those that nobody uses now."""
        with a_few_lines:
            self._closed = True
        self._serve()

    def after_fork_in_child(self) -> None:
        """Close the parent's sockets without sending anything: after a fork the parent still uses the connections."""
        inherited, closed = list(self._links), self._closed
        self._start()
        self._closed = closed
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            for link in inherited:
                if (socket := _socket_of(link)) is not None:
                    os.dup2(nowhere, socket)  # libpq sends Terminate as it closes: to /dev/null
                link.pgconn.finish()
        finally:
            os.close(nowhere)

    def _take_idle(self) -> Link | None:
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                return None
            if not link.is_lost():
                return link
            self.drop(link)

    def _request(self, loop: asyncio.AbstractEventLoop | None) -> Waiter:
        waiter = Waiter(loop)
        with a_few_lines:
            if self._closed:
                raise ClosedError("the cache is closed")
            forsaken = [link for link in self._links if link.is_forsaken]
            self._waiters.append(waiter)
        for link in forsaken:
            self.drop(link)
        self._open_if_needed()
        if self._idle:  # came back between the look and the request
            self._serve()
        return waiter

    def _open_if_needed(self) -> None:
        if self._is_opening_enough():
            return
        try:
            threading.Thread(target=self._open, name="hitrate-connect", daemon=True).start()
        except RuntimeError as error:  # no thread is to be had, or the interpreter is about to exit
            self._fail(StoreError(f"no thread could be started to connect: {error}"))

    def _is_opening_enough(self) -> bool:
        return self._opening >= len(self._waiters) or len(self._links) + self._opening >= self._most

    def _open(self) -> None:
        with a_few_lines:
            if self._is_opening_enough():
                return
            self._opening += 1
        try:
            link = self.connect()
        except Exception as error:
            with a_few_lines:
                self._opening -= 1
            self._fail(error)
            return
        with a_few_lines:
            self._opening -= 1
            self._links.add(link)
        self.give(link)

    def _fail(self, error: Exception) -> None:
        """Raise an error in all who wait: what keeps one connection from being opened keeps the others."""
        with a_few_lines:
            waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if waiter.wants_it():
                waiter.set_exception(error)

    def _serve(self) -> None:
        """Hand idle connections to those who wait; close them if the store is closed."""
        while True:
            with a_few_lines:
                if not (self._waiters or self._closed):
                    return
                try:
                    link = self._idle.pop()
                except IndexError:
                    return
                waiter = self._waiters.popleft() if self._waiters else None
                if waiter is None:
                    self._links.discard(link)
            if waiter is None:
                link.pgconn.finish()
            elif waiter.wants_it():
                link.loop = waiter.loop
                waiter.set_result(link)
            else:
                self._idle.append(link)

    def _abandon(self, waiter: Waiter) -> None:
        """Stop waiting for a connection; one that comes all the same is given back."""
        if not waiter.cancel():
            waiter.add_done_callback(self._give_back)
        elif self._idle:
            self._serve()

    def _give_back(self, waiter: concurrent.futures.Future[Link]) -> None:
        if not waiter.cancelled() and waiter.exception() is None:
            self.give(waiter.result())

    def _in_vain(self) -> StoreError:
        with a_few_lines:
            busy = len(self._links) >= self._most
        if busy:
            return PoolExhausted(f"none of the {self._most} connections became free in time; raise max_connections")
        return TimedOut("no connection to PostgreSQL in time")


def _socket_of(link: Link) -> int | None:
    try:
        return link.pgconn.socket
    except psycopg.Error:  # it was broken already
        return None


class Connections:
    """What a store takes its connections from.

    Args:
        own: the store's own pool.
        pool: a ``psycopg_pool.ConnectionPool`` for sync calls, if the program gave one.
        apool: a ``psycopg_pool.AsyncConnectionPool`` for the loop that it belongs to, if the program gave one.
    """

    def __init__(self, own: OwnPool, pool: Any = None, apool: Any = None) -> None:
        self.own = own
        self._pool = pool
        self._apool = apool
        self._aloop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._links: weakref.WeakKeyDictionary[Any, Link] = weakref.WeakKeyDictionary()
        """By connections of the pools; a link refers to its connection while it is lent, so that both can go."""

    def take(self, deadline: float) -> Link:
        """Return a connection for a sync call."""
        if self._pool is None:
            return self.own.take(deadline)
        return self._link(self._pool.getconn(timeout=max(deadline - time.monotonic(), 0.0)))

    def give(self, link: Link, *, usable: bool = True) -> None:
        """Take back a connection from a sync call, as the own pool does."""
        if self._pool is None:
            self.own.give(link, usable=usable)
            return
        self._pool.putconn(_returned(link, usable))

    async def atake(self, deadline: float) -> Link:
        """Return a connection for an async call."""
        if not self._apool_serves():
            return await self.own.atake(deadline)
        return self._link(await self._apool.getconn(timeout=max(deadline - time.monotonic(), 0.0)))

    async def agive(self, link: Link, *, usable: bool = True) -> None:
        """Take back a connection from an async call, as the own pool does."""
        if not self._is_of_apool(link):
            self.own.give(link, usable=usable)
            return
        await self._apool.putconn(_returned(link, usable))

    def forsake(self, link: Link) -> None:
        """Close a connection whose event loop was closed in the midst of a call; nothing is awaited."""
        if self._is_of_apool(link):
            _returned(link, usable=False)
        else:
            self.own.drop(link)

    def after_fork_in_child(self) -> None:
        """Use the own pool alone from now on: the sockets of a pool that was given are the parent's."""
        self._pool = self._apool = None
        self.own.after_fork_in_child()

    def _is_of_apool(self, link: Link) -> bool:
        return self._apool is not None and isinstance(link.connection, psycopg.AsyncConnection)

    def _apool_serves(self) -> bool:
        """Tell whether the running loop is the one that the given pool belongs to."""
        if self._apool is None:
            return False
        loop = asyncio.get_running_loop()
        if self._aloop is None:
            self._aloop = weakref.ref(_loop_of(self._apool) or loop)
        return self._aloop() is loop

    def _link(self, connection: Any) -> Link:
        link = self._links.get(connection)
        if link is None:
            link = self._links[connection] = Link(connection)
        link.connection = connection
        return link


def _returned(link: Link, usable: bool) -> Any:
    """Return the connection of a pool, cut unless it can be used on."""
    if not usable or not link.is_clean:
        link.cut()
    connection, link.connection = link.connection, None
    return connection


def _loop_of(apool: Any) -> asyncio.AbstractEventLoop | None:
    """Return the loop that a pool was opened in; None if it does not tell, and the first loop that uses it is taken."""
    for worker in getattr(apool, "_workers", ()):
        if isinstance(worker, asyncio.Task):
            return worker.get_loop()
    return None
