"""A server, or one of a cluster: its connections, its circuit breaker, and what its failures mean."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from hitrate.breaker import Breaker
from hitrate.errors import StoreError
from hitrate.stores.per_loop import PerLoop
from hitrate.stores.redis.driver import hiredis
from hitrate.stores.redis.links import Link, Request, Timeout
from hitrate.stores.redis.loop_links import LoopLink

_WORK_PER_TIMEOUT = 10_000
_WAITED = 0.25
"""After this part of the timeout a connection that cannot be opened counts as timed out, and is not tried again."""

Sent = tuple[Link, float]
"""The connection on which commands went out, and when their replies are late, by ``time.monotonic``."""


class Node:
    """A server and the connections to it, for any number of threads and event loops.

    Args:
        name: what messages call it.
        connect: opens a connection of redis-py or valkey-py.
        driver_errors: what that raises.
        timeout: seconds that a call may take; one of more than 10,000 keys takes as many times as long.
    """

    def __init__(
        self, name: str, connect: Callable[[], Any], driver_errors: tuple[type[Exception], ...], timeout: float
    ) -> None:
        self.name = name
        self._connect = connect
        self._driver_errors = (*driver_errors, OSError, Timeout, hiredis.HiredisError)
        self._timeout = timeout
        self._idle: list[Link] = []
        self._loop_links: PerLoop[LoopLink] = PerLoop(partial(LoopLink, self), LoopLink.leave)
        self._closed = False
        self.breaker = Breaker(name)

    def time_for(self, work: int) -> float:
        """Return how many seconds a call that touches so many keys may take."""
        return self._timeout * (1 + work // _WORK_PER_TIMEOUT)

    def open(self) -> Link:
        """Open a connection.

        Raises:
            StoreError: it cannot be opened.
        """
        if self._closed:
            raise StoreError("the cache was closed")
        began = time.monotonic()
        try:
            return Link(self._connect(), self._timeout)
        except Exception as error:
            # The driver has many errors for a silent server; the clock tells how long it was silent.
            waited = time.monotonic() - began > self._timeout * _WAITED
            self._failed(error, "cannot be reached", timed_out=waited)

    def call(self, request: Request, began: float | None = None) -> list[Any]:
        """Send commands and return their replies.

        Args:
            request: the commands.
            began: when the call began that they are a further part of, by ``time.monotonic``; None for the first part.

        Raises:
            StoreError: the server did not answer.
        """
        return self.finish(request, self.start(request, began))

    def start(self, request: Request, began: float | None = None) -> Sent:
        """Send commands; return what ``finish`` takes the replies from.

        Raises:
            StoreError: they cannot be sent.
        """
        if not self.breaker.closed:
            self.refuse_if_open()
        now = time.monotonic()
        deadline = (now if began is None else began) + self.time_for(request.work)
        if now >= deadline:
            raise self._out_of_time()
        try:
            link = self._idle.pop()
        except IndexError:
            return self._start_anew(request, deadline)
        if began is not None:
            link.limit(deadline - now)
        try:
            link.send(request, deadline)
        except Exception as error:
            link.close()
            if not (link.used and isinstance(error, ConnectionError)):
                self._failed(error, "failed")
            # It was lost since the last call: the server was started anew.
            self.forget()
            return self._start_anew(request, deadline)
        return link, deadline

    def _start_anew(self, request: Request, deadline: float) -> Sent:
        """Send commands on a connection that is opened for them."""
        link = self.open()
        left = deadline - time.monotonic()
        if left <= 0:
            self._idle.append(link)
            raise self._out_of_time()
        link.limit(left)
        try:
            link.send(request, deadline)
        except Exception as error:
            link.close()
            self._failed(error, "failed")
        return link, deadline

    def _out_of_time(self) -> StoreError:
        """Return what to raise for a call whose time was spent before it came to this server, which may be well."""
        error = StoreError(f"no time was left to ask {self.name}")
        error.timed_out = True
        return error

    def finish(self, request: Request, sent: Sent) -> list[Any]:
        """Return the replies to what was sent.

        Raises:
            StoreError: the server did not answer.
        """
        link, deadline = sent
        try:
            received = link.receive(request.replies, deadline)
        except BaseException as error:
            if request.undo:
                link.send_last(request.undo)
            link.close()
            if link.used and isinstance(error, ConnectionError):
                self.forget()
                return self.finish(request, self._start_anew(request, deadline))  # on an unused one
            self._failed(error, "failed")
        if self._closed:
            link.close()
        else:
            self._idle.append(link)
        self.breaker.succeeded()
        return received

    def refuse_if_open(self) -> None:
        """Raise a StoreError if the circuit breaker does not let a call through."""
        if not self.breaker.allows():
            raise StoreError(f"{self.name} has failed again and again, and is tried now and then only")

    def _failed(self, error: BaseException, how: str, *, timed_out: bool = False) -> NoReturn:
        if not isinstance(error, self._driver_errors):
            raise error
        failure = self.failure(error, how)
        failure.timed_out |= timed_out
        raise failure from error

    def failure(self, error: Exception, how: str) -> StoreError:
        """Note that a call failed, and return what to raise."""
        self.breaker.failed(error)
        failure = StoreError(f"{self.name} {how}: {error}")
        failure.timed_out = isinstance(error, (Timeout, TimeoutError))
        return failure

    def forget(self) -> None:
        """Close the connections that are not in use: they are of a server that is gone."""
        idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def renew(self) -> None:
        """Connect anew: the server is no longer the right one."""
        self.forget()
        for link in self._loop_links.all():
            link.renew()

    def loop_link(self) -> LoopLink:
        """Return the connection of the running event loop."""
        return self._loop_links.get()

    def close(self) -> None:
        """Close all connections, and open no other."""
        self._closed = True
        self.forget()
        for link in self._loop_links.take_all():
            link.close()

    def after_fork_in_child(self) -> None:
        """Close the parent's sockets, and make new locks for those that its other threads held."""
        self.forget()
        for link in self._loop_links.take_all():
            link.drop()
