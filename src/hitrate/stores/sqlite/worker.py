"""The async face: one thread that does what is pending, all of it at a time.

A hop to a thread costs twenty reads. So the loop's calls queue up, the worker takes everything there is, does the
writes in one transaction and the reads in one statement, and wakes each loop once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from hitrate.errors import HitrateError, StoreError

_IDLE_SECONDS = 5.0
_BATCH = 1024


class Call(NamedTuple):
    """What a coroutine waits for.

    Attributes:
        kind: ``get``, ``write`` or any other, which is done by itself.
        work: the argument of ``kind``, or the function to call.
        future: where the outcome goes.
        loop: the loop of the future.
    """

    kind: str
    work: Any
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Worker:
    """Does the calls of event loops on a thread of its own, which ends when there has been nothing to do for a while.

    Args:
        get: reads many keys at once.
        write: applies changes as one; returns how many keys were removed.
    """

    def __init__(self, get: Callable[[Sequence[Any]], Sequence[Any]], write: Callable[[list[Any]], list[Any]]) -> None:
        self._get = get
        self._write = write
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._lock = threading.Lock()  # guards the start and the end of the thread
        self._thread: threading.Thread | None = None

    def submit(self, kind: str, work: Any) -> asyncio.Future[Any]:
        """Queue a call of the running loop; return what to await. Cancelling that leaves the call to be done."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._calls.put(Call(kind, work, future, loop))
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._start()
        return future

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="hitrate-sqlite", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to spare, or the interpreter is about to exit
            self._thread = None
            raise StoreError(f"the thread that serves event loops cannot be started: {error}") from error

    def _run(self) -> None:
        while True:
            try:
                calls = [self._calls.get(timeout=_IDLE_SECONDS)]
            except Empty:
                with self._lock:
                    if self._calls.empty():
                        self._thread = None
                        return
                continue
            try:
                while len(calls) < _BATCH:
                    calls.append(self._calls.get_nowait())
            except Empty:
                pass
            self._do(calls)

    def _do(self, calls: list[Call]) -> None:
        """Do the writes in their order, then the reads, which so find what was written before them."""
        outcomes: list[tuple[Call, Any, BaseException | None]] = []
        pending: list[Call] = []
        for call in calls:
            if call.kind == "write":
                pending.append(call)
            elif call.kind != "get":
                outcomes += self._together(self._write, pending)
                pending = []
                outcomes += self._alone(call)
        outcomes += self._together(self._write, pending)
        reads = [call for call in calls if call.kind == "get" and not call.future.cancelled()]
        outcomes += self._together(self._read, reads)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Call, Any, BaseException | None]]] = {}
        for outcome in outcomes:
            by_loop.setdefault(outcome[0].loop, []).append(outcome)
        for loop, done in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, done)
            except RuntimeError:  # the loop was closed; nobody waits any more
                pass

    @staticmethod
    def _together(
        do: Callable[[list[Any]], Sequence[Any]], calls: list[Call]
    ) -> list[tuple[Call, Any, BaseException | None]]:
        if not calls:
            return []
        try:
            results = do([call.work for call in calls])
        except Exception as error:
            return [(call, None, error) for call in calls]
        return [(call, result, None) for call, result in zip(calls, results, strict=True)]

    @staticmethod
    def _alone(call: Call) -> list[tuple[Call, Any, BaseException | None]]:
        try:
            return [(call, call.work(), None)]
        except Exception as error:
            return [(call, None, error)]

    def _read(self, wanted: list[Sequence[Any]]) -> list[Sequence[Any]]:
        if len(wanted) == 1:
            return [self._get(wanted[0])]
        found = self._get([key for keys in wanted for key in keys])
        results = []
        start = 0
        for keys in wanted:
            results.append(found[start : start + len(keys)])
            start += len(keys)
        return results


def _resolve(outcomes: list[tuple[Call, Any, BaseException | None]]) -> None:
    for call, result, error in outcomes:
        if call.future.done():  # cancelled
            continue
        if error is None:
            call.future.set_result(result)
        else:
            # A copy each: an exception that several tasks raise would gather the tracebacks of them all.
            copied = type(error)(*error.args) if isinstance(error, HitrateError) else error
            copied.__cause__ = error.__cause__
            call.future.set_exception(copied)
