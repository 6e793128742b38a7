"""Async calls to a server: one connection for each event loop, on which calls follow each other without waiting.

A connection is opened on a thread, by the same code as for sync calls, and then read and written by the loop. What is
sent in one turn of the loop goes out together. The result of a future is the replies or the error, never an exception,
since asyncio would log the exception of a call whose caller was cancelled.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hitrate.errors import StoreError
from hitrate.stores.per_loop import extra_time
from hitrate.stores.reasons import reason_of
from hitrate.stores.redis.links import Link, Request, Timeout, Undo

if TYPE_CHECKING:
    from hitrate.stores.redis.nodes import Node

_READ_AT_ONCE = 1 << 18
_TOLD_AT_ONCE = 32
_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Answer = list[Any] | StoreError
"""The replies to what was sent to a server, or why there are none."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """What was sent, or is to be, and who is told the answer."""

    request: Request
    packed: bytes
    deadline: float
    answer: Callable[[Answer], None]
    received: list[Any] = field(default_factory=list)
    again: bool = False  # whether it was sent before, on a connection that was lost


class LoopLink:
    """The connection of an event loop to a server. All but ``close``, ``leave`` and ``drop`` runs on that loop."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._link: Link | None = None
        self._opening = False
        self._closed = False
        self._waiting: deque[_Exchange] = deque()  # for the connection, or for the end of this turn of the loop
        self._flying: deque[_Exchange] = deque()  # sent, in the order in which the replies come
        self._unsent = b""
        self._blocked = False  # whether the loop tells when the system takes more
        self._flushing = False
        self._delivering = False  # whether the next turn of the loop goes on handing out answers
        self._work = 0  # keys that the calls under way touch
        self._timer: asyncio.TimerHandle | None = None

    def send(self, request: Request, began: float | None) -> asyncio.Future[Answer]:
        """Send commands; return a future of the answer. They may be a further part of a call that began before."""
        future: asyncio.Future[Answer] = self._loop.create_future()

        def answer(answer: Answer) -> None:
            if not future.done():  # or else it was cancelled
                future.set_result(answer)

        self.call(request, answer, spent=0.0 if began is None else time.monotonic() - began)
        return future

    def undo(self, undo: Undo) -> None:
        """Undo a request whose caller is gone; one that was not sent yet is not sent at all."""
        for call in self._waiting:
            if call.request.undo is undo and not call.again:
                self._waiting.remove(call)
                self._work -= call.request.work
                return
        self.call(Request([command() for command in undo], len(undo), len(undo)), lambda _: None, at_once=True)

    def call(
        self, request: Request, answer: Callable[[Answer], None], *, spent: float = 0.0, at_once: bool = False
    ) -> None:
        """Send commands, at the end of this turn of the loop or at once, and have a function told the answer.

        Earlier parts of the same call may have spent some of the seconds that it may take.
        """
        if not self._node.breaker.closed:
            try:
                self._node.refuse_if_open()
            except StoreError as error:
                answer(error)
                return
        self._work += request.work  # the server answers what was sent before it first
        deadline = self._loop.time() + self._node.time_for(self._work) - spent
        self._waiting.append(_Exchange(request, request.whole(), deadline, answer))
        if self._link is None:
            self._open()
        elif at_once:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        if self._timer is not None and deadline < self._timer.when():  # some of its time was spent
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            # It goes on for as long as the loop has calls, so it must not keep what the context of this one holds.
            self._timer = self._loop.call_at(deadline, self._check_time, context=Context())

    # The connection

    def _open(self) -> None:
        if self._opening:
            return
        self._opening = True
        thread = threading.Thread(target=self._open_on_thread, name="hitrate-connect", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to spare, or the interpreter is about to exit
            self._opened(None, StoreError(f"the thread that connects cannot be started: {error}"))

    def _open_on_thread(self) -> None:
        link = error = None
        try:
            link = self._node.open()
            link.sock.setblocking(False)
        except Exception as failure:
            error = (
                failure
                if isinstance(failure, StoreError)
                else StoreError(f"{self._node.name} cannot be reached: {reason_of(failure)}")
            )
        try:
            self._loop.call_soon_threadsafe(self._opened, link, error, context=Context())
        except RuntimeError:  # the loop was closed; nobody waits any more
            if link is not None:
                link.close()

    def _opened(self, link: Link | None, error: StoreError | None) -> None:
        self._opening = False
        if link is None:
            self._fail(self._waiting, str(error), error)
        elif self._closed:
            link.close()
        else:
            self._link = link
            self._loop.add_reader(link.sock, self._readable)
            self._flush()

    def _flush(self) -> None:
        self._flushing = False
        if self._link is None or not self._waiting:
            return
        calls = list(self._waiting)
        self._waiting.clear()
        self._flying += calls
        self._unsent = b"".join([self._unsent, *(call.packed for call in calls)])
        if not self._blocked:
            self._write()

    def _write(self) -> None:
        """Send what the system takes now; the rest when it takes more."""
        if self._link is None:
            return
        sock = self._link.sock
        view = memoryview(self._unsent)
        sent = 0
        try:
            while sent < len(view):
                sent += sock.send(view[sent:])
        except _WOULD_BLOCK:
            self._loop.add_writer(sock, self._write)
            self._blocked = True
            self._unsent = bytes(view[sent:])
            return
        except OSError as error:
            self._lost(error)
            return
        if self._blocked:
            self._loop.remove_writer(sock)
            self._blocked = False
        self._unsent = b""

    def _readable(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            data = link.sock.recv(_READ_AT_ONCE)
            while data:
                link.reader.feed(data)
                # What TLS has decrypted already does not make the socket readable again.
                data = link.sock.recv(_READ_AT_ONCE) if getattr(link.sock, "pending", int)() else b""
                if not data:
                    break
            else:
                raise ConnectionResetError("the server closed the connection")
            if not self._delivering:
                self._deliver(link)
        except _WOULD_BLOCK:
            pass
        except Exception as error:  # among them the driver's, for replies that are no replies
            self._lost(error)

    def _deliver(self, link: Link) -> None:
        """Hand answers to calls, some in each turn of the loop, so that it serves others in between."""
        gets, flying = link.reader.gets, self._flying
        told = 0
        while flying:
            if told == _TOLD_AT_ONCE:
                self._delivering = True
                self._loop.call_soon(self._deliver_more, link)
                return
            call = flying[0]
            reply = gets()
            if reply is False:
                return
            call.received.append(reply)
            if len(call.received) == call.request.replies:
                flying.popleft()
                link.used = True
                self._work -= call.request.work
                call.answer(call.received)
                told += 1
        self._node.breaker.succeeded()

    def _deliver_more(self, link: Link) -> None:
        if link is not self._link:
            return  # it was lost meanwhile, with the answers not handed out yet
        self._delivering = False
        try:
            self._deliver(link)
        except Exception as error:
            self._lost(error)

    def _check_time(self) -> None:
        """Fail the calls that are late; if one was sent, close the connection, on which its reply is still to come."""
        timer, self._timer = self._timer, None
        now = self._loop.time()
        if timer is not None and (extra := extra_time(now - timer.when(), self._node.time_for(0))):
            self._timer = self._loop.call_at(now + extra, self._check_time)
            return
        if any(call.deadline <= now for call in self._flying):
            self._lost(Timeout("the server did not answer in time"))
        late = [call for call in self._waiting if call.deadline <= now]
        if late:
            self._waiting = deque(call for call in self._waiting if call.deadline > now)
            self._fail(deque(late), f"{self._node.name} cannot be reached in time", None)
        pending = [call.deadline for call in (*self._flying, *self._waiting)]
        if pending:
            self._timer = self._loop.call_at(min(pending), self._check_time)

    def _lost(self, error: Exception) -> None:
        """Close the connection; if it was lost while it was idle, send again what was sent on it."""
        link, flying = self._link, self._flying
        if isinstance(error, Timeout):
            self._undo_all()
        self._shut()
        if link is not None and link.used and not isinstance(error, Timeout):
            self._node.forget()
            again = deque(call for call in flying if not call.again)
            flying = deque(call for call in flying if call.again)
            for call in again:
                call.again = True
                call.received = []
            self._waiting.extendleft(reversed(again))
        if flying:
            self._fail(flying, str(self._node.failure(error, "failed")), error)
        if self._waiting and not self._closed:
            self._open()

    def _fail(self, calls: deque[_Exchange], message: str, cause: BaseException | None) -> None:
        while calls:
            error = StoreError(message)  # each call gets an error of its own: a shared one would gather all tracebacks
            error.__cause__ = cause
            error.timed_out = cause.timed_out if isinstance(cause, StoreError) else isinstance(cause, Timeout)
            call = calls.popleft()
            self._work -= call.request.work
            call.answer(error)

    # The end

    def _undo_all(self) -> None:
        """Undo what is under way on a connection that is about to be closed: no caller learns the answer."""
        undo = [command for call in self._flying for command in call.request.undo]
        if undo and self._link is not None and not self._unsent:
            self._link.send_last(undo)

    def _shut(self) -> None:
        link, self._link = self._link, None
        self._flying = deque()
        self._unsent = b""
        self._blocked = self._delivering = False
        if link is not None:
            self._loop.remove_reader(link.sock)
            self._loop.remove_writer(link.sock)
            link.close()

    def _end(self) -> None:
        flying = self._flying
        self._undo_all()
        self._shut()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fail(flying, "the cache was closed", None)
        self._fail(self._waiting, "the cache was closed", None)

    def close(self) -> None:
        """Close the connection; may be called from any thread."""
        self._closed = True
        self._on_loop(self._end)

    def renew(self) -> None:
        """Connect anew and send again what was not answered; may be called from any thread."""
        self._on_loop(lambda: self._lost(ConnectionResetError("it is no longer the right server")))

    def _on_loop(self, do: Callable[[], None]) -> None:
        loop = self._loop
        if loop.is_closed():
            self.leave()
        elif not loop.is_running() or asyncio._get_running_loop() is loop:
            do()
        else:
            loop.call_soon_threadsafe(do)

    def leave(self) -> None:
        """Let go of the connection: the loop is closed, and its callers learn no answer."""
        self._undo_all()
        self.drop()

    def drop(self) -> None:
        """Close the socket without telling the loop, which is closed, or the parent's in a forked child."""
        self._closed = True
        link, self._link = self._link, None
        if link is not None:
            link.close()
