"""The pending calls of an event loop go together, in one statement.

A round trip costs many times what one more key in it costs. So calls of a loop queue up while others are on their way,
and the next statement takes all of them. Cancelling the wait for a call leaves its statement to go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from hitrate.stores.gathering import own_copy
from hitrate.stores.per_loop import close_tasks, extra_time
from hitrate.stores.postgres.wire import TimedOut

_AT_ONCE = 1024
_WOKEN_AT_ONCE = 16


class Queue:
    """A queue of one event loop, and the tasks that do what is pending in it.

    Args:
        do: does several calls' work as one; returns a result for each.
        most: how many statements may be under way at once; with one, calls are done in their order.
        timeout: seconds that a call may take, those included that it queues for.
        in_vain: called with the work of a call that nobody waits for any more, if the work was done or may have been.
    """

    def __init__(
        self,
        do: Callable[[list[Any]], Awaitable[Sequence[Any]]],
        most: int,
        timeout: float,
        in_vain: Callable[[Any], None] = lambda work: None,
    ) -> None:
        self._do = do
        self._most = most
        self._timeout = timeout
        self._in_vain = in_vain
        self._due: deque[tuple[float, asyncio.Future[Any]]] = deque()  # when each call is late, in their order
        self._timer: asyncio.TimerHandle | None = None
        self._pending: list[tuple[Any, asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._starting = False

    async def submit(self, work: Any) -> Any:
        """Have work done, together with what else is pending; return its result.

        Raises:
            StoreError: what was done together failed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._pending.append((work, future))
        if self._running >= self._most:  # else its statement begins at once, and keeps the time itself
            self._watch(loop, future)
        if not self._starting and self._running < self._most:
            # It begins with the loop's next turn, and so takes along what else is called in this one.
            self._starting = True
            task = loop.create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            outcome = await future
            if isinstance(outcome, _Failed):
                raise own_copy(outcome.error)
            return outcome
        except BaseException:
            if future.done() and not future.cancelled():  # it was cancelled when its answer had come, or it failed
                self._in_vain(work)
            raise

    def _watch(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        """Have a call fail at its deadline: behind a slow statement it would else take twice its timeout."""
        due = self._due
        while due and due[0][1].done():
            due.popleft()
        due.append((loop.time() + self._timeout, future))
        if self._timer is None:
            # It goes on while calls queue, so it must not keep what the context of this one holds.
            self._timer = loop.call_at(due[0][0], self._fail_late, loop, context=Context())

    def _fail_late(self, loop: asyncio.AbstractEventLoop) -> None:
        timer, self._timer = self._timer, None
        due, now = self._due, loop.time()
        if timer is not None and (extra := extra_time(now - timer.when(), self._timeout)):
            self._timer = loop.call_at(now + extra, self._fail_late, loop)
            return
        while due and (due[0][1].done() or due[0][0] <= now):
            _, future = due.popleft()
            if not future.done():
                future.set_result(_Failed(TimedOut("no answer from PostgreSQL in time")))
        if due:
            self._timer = loop.call_at(due[0][0], self._fail_late, loop)

    def drop(self) -> None:
        """Let go of what is under way: the loop is closed."""
        close_tasks(self._tasks)

    async def _serve(self) -> None:
        self._starting = False
        self._running += 1
        try:
            while self._pending:
                await self._serve_some()
        finally:
            self._running -= 1  # at once: a call that comes after the last look at the pending ones begins another task

    async def _serve_some(self) -> None:
        calls = [call for call in self._pending[:_AT_ONCE] if not call[1].done()]
        del self._pending[:_AT_ONCE]
        if not calls:
            return
        place = 0
        try:
            try:
                results = await self._do([work for work, _ in calls])
            except Exception as error:
                results = [_Failed(error)] * len(calls)
            for place, (work, future) in enumerate(calls):
                if place and place % _WOKEN_AT_ONCE == 0:
                    await asyncio.sleep(0)  # others are served in between
                if future.done():  # it was cancelled, or came late
                    self._in_vain(work)
                else:
                    future.set_result(results[place])
        except BaseException as error:  # the loop is about to end, and with it all who wait
            for work, future in calls[place:]:
                if not isinstance(error, GeneratorExit):  # else it was closed, and calls nobody back
                    future.cancel()
                self._in_vain(work)
            raise


class _Failed(NamedTuple):
    """An error, set as the result of a future: asyncio logs an exception of a future that nobody awaits."""

    error: Exception
