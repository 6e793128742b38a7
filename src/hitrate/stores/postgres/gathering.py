"""The async face: what is pending on an event loop goes together, in one statement.

A round trip costs many times what one more key in it costs. So calls of a loop queue up while others are on their way,
and the next statement takes all of them. Cancelling the wait for a call leaves its statement to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hitrate.errors import HitrateError

_AT_ONCE = 1024
_WOKEN_AT_ONCE = 16


class Lane:
    """A queue of one event loop, and the tasks that do what is pending in it.

    Args:
        do: does several calls' work as one; returns a result for each.
        most: how many statements may be under way at once; with one, calls are done in their order.
    """

    def __init__(self, do: Callable[[list[Any]], Awaitable[Sequence[Any]]], most: int) -> None:
        self._do = do
        self._most = most
        self._pending: list[tuple[Any, asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle_tasks = 0

    def submit(self, work: Any) -> asyncio.Future[Any]:
        """Queue work; return what to await."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._pending.append((work, future))
        if not self._idle_tasks and len(self._tasks) < self._most:
            # It begins with the loop's next turn, and so takes along what else is called in this one.
            self._idle_tasks += 1
            task = loop.create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _serve(self) -> None:
        self._idle_tasks -= 1
        while self._pending:
            calls = [call for call in self._pending[:_AT_ONCE] if not call[1].done()]
            del self._pending[:_AT_ONCE]
            if not calls:
                continue
            try:
                results = await self._do([work for work, _ in calls])
            except Exception as error:
                await _tell(calls, error)
            except BaseException:  # the loop is about to end, and with it all who wait
                for _, future in calls:
                    future.cancel()
                raise
            else:
                await _tell(calls, results)


async def _tell(calls: list[tuple[Any, asyncio.Future[Any]]], outcome: Sequence[Any] | Exception) -> None:
    """Wake those who wait, a few in each turn of the loop, so that it serves others in between."""
    for place, (_, future) in enumerate(calls):
        if place and place % _WOKEN_AT_ONCE == 0:
            await asyncio.sleep(0)
        if future.done():  # cancelled
            continue
        if not isinstance(outcome, Exception):
            future.set_result(outcome[place])
        else:
            # A copy each: an exception that several tasks raise would gather the tracebacks of them all.
            copied = type(outcome)(*outcome.args) if isinstance(outcome, HitrateError) else outcome
            copied.__cause__ = outcome.__cause__
            future.set_exception(copied)
