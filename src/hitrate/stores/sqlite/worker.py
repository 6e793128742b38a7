"""Calls of event loops: a thread takes all that are pending, and does them together.

A hop to a thread costs twenty reads. So the loop's calls queue up, the worker takes everything there is, does the
writes in one transaction and the reads in one statement, and wakes each loop once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from hitrate.errors import StoreError
from hitrate.stores.background import Background
from hitrate.stores.gathering import own_copy, shares

_IDLE_SECONDS = 5.0
_BATCH = 1024
_WOKEN_AT_ONCE = 16


class Pending(NamedTuple):
    """What a coroutine waits for.

    Attributes:
        kind: ``get``, ``write``, ``list`` or any other, which is done by itself.
        work: the argument of ``kind``, or the function to call.
        future: where the outcome goes.
        loop: the loop of the future.
        undo: called after the work if nobody waits for its outcome any more; None if it is to stay.
    """

    kind: str
    work: Any
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    undo: Callable[[], object] | None = None

    def do(self) -> Any:
        """Do work that is a function to call."""
        result = self.work()
        if self.undo is not None and (self.future.cancelled() or self.loop.is_closed()):
            self.undo()
        return result


Served = tuple[Pending, Any, Exception | None]


class Worker:
    """Does the calls of event loops on threads: one for reads, which so never wait for a write, one for listings, which
    nobody waits for, and one for the rest. ``get`` reads many keys at once, ``write`` applies many changes as one.
    """

    def __init__(self, get: Callable[[Sequence[Any]], Sequence[Any]], write: Callable[[list[Any]], list[Any]]) -> None:
        self._get = get
        self._write = write
        self._reads = _Queue("hitrate-reads", self._do_reads)
        self._writes = _Queue("hitrate-writes", self._do_writes)
        self._listings = _Queue("hitrate-listing", self._do_listings)

    def submit(self, kind: str, work: Any, undo: Callable[[], object] | None = None) -> asyncio.Future[Any]:
        """Queue a call of the running loop; return what to await. Cancelling that leaves a write to be done."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        queue = self._reads if kind == "get" else self._listings if kind == "list" else self._writes
        queue.put(Pending(kind, work, future, loop, undo))
        return future

    def _do_reads(self, calls: list[Pending]) -> None:
        _tell(_outcomes(self._read, [call for call in calls if not call.future.cancelled()]))

    def _do_writes(self, calls: list[Pending]) -> None:
        """Do the calls in their order, writes that follow each other in one transaction."""
        outcomes: list[Served] = []
        for are_writes, group in groupby(calls, lambda call: call.kind == "write"):
            if are_writes:
                outcomes += _outcomes(self._write, [*group])
            else:
                for call in group:
                    outcomes += _alone(call)
        _tell(outcomes)

    def _do_listings(self, calls: list[Pending]) -> None:
        for call in calls:
            if not call.future.cancelled():
                _tell(_alone(call))

    def _read(self, wanted: list[Sequence[Any]]) -> list[Sequence[Any]]:
        return shares(self._get([key for keys in wanted for key in keys]), wanted)


class _Queue:
    """A queue, and a thread that does what is pending in it and ends when there has been nothing for a while."""

    def __init__(self, name: str, do: Callable[[list[Pending]], None]) -> None:
        self._do = do
        self._calls: SimpleQueue[Pending] = SimpleQueue()
        self._background = Background(name, self._run)

    def put(self, call: Pending) -> None:
        self._calls.put(call)
        if self._background.thread is None:
            try:
                self._background.start()
            except RuntimeError as error:  # the system has no thread to spare, or the interpreter is about to exit
                raise StoreError(f"the thread that serves event loops cannot be started: {error}") from error

    def _run(self) -> None:
        while True:
            try:
                calls = [self._calls.get(timeout=_IDLE_SECONDS)]
            except Empty:
                if self._background.ended(lambda: not self._calls.empty()):
                    return
                continue
            try:
                while len(calls) < _BATCH:
                    calls.append(self._calls.get_nowait())
            except Empty:
                pass
            self._do(calls)
            del calls  # and what they hold, while there is nothing to do


def _alone(call: Pending) -> list[Served]:
    return _outcomes(lambda works: [call.do()], [call])


def _outcomes(do: Callable[[list[Any]], Sequence[Any]], calls: list[Pending]) -> list[Served]:
    """Do the works of some calls together; all of them fail with what that raises."""
    try:
        results = do([call.work for call in calls]) if calls else ()
    except Exception as error:
        return [(call, None, error) for call in calls]
    return [(call, result, None) for call, result in zip(calls, results, strict=True)]


def _tell(outcomes: list[Served]) -> None:
    """Wake each loop once, with all that it waits for."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Served]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, done)
        except RuntimeError:  # the loop was closed; nobody waits any more
            pass


def _resolve(outcomes: list[Served], start: int = 0) -> None:
    """Wake those who wait, a few in each turn of the loop, so that it serves others in between."""
    if len(outcomes) > start + _WOKEN_AT_ONCE:
        outcomes[0][0].loop.call_soon(_resolve, outcomes, start + _WOKEN_AT_ONCE)
    for call, result, error in outcomes[start : start + _WOKEN_AT_ONCE]:
        if call.future.done():  # cancelled
            continue
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(own_copy(error))
