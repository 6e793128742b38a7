"""Reads of one event loop that come in the same turn are one read of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found

_WOKEN_AT_ONCE = 16

Read = Callable[[Sequence[EncodedKey]], Awaitable[Sequence[Found]]]


class Gathering:
    """Gathers the reads of one event loop.

    Args:
        loop: the event loop.
        read: reads many keys at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, read: Read) -> None:
        self._loop = loop
        self._read = read
        self._calls: list[tuple[Sequence[EncodedKey], asyncio.Future[Sequence[Found] | StoreError]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Return what is found for each key, in the order of the keys.

        Raises:
            StoreError: the server failed.
        """
        future: asyncio.Future[Sequence[Found] | StoreError] = self._loop.create_future()
        self._calls.append((keys, future))
        if len(self._calls) == 1:
            self._loop.call_soon(self._begin)
        answer = await future
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def _begin(self) -> None:
        # A reader that is cancelled takes no other with it: the task is nobody's.
        task = self._loop.create_task(self._together())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _together(self) -> None:
        calls, self._calls = self._calls, []
        found: Sequence[Found] = ()
        error: Exception | None = None
        try:
            if len(calls) == 1:
                found = await self._read(calls[0][0])
            else:
                found = await self._read([key for keys, _ in calls for key in keys])
        except Exception as failure:
            error = failure
        start = 0
        for number, (keys, future) in enumerate(calls):
            if number and number % _WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)  # others are served in between
            end = start + len(keys)
            if not future.done():  # or else it was cancelled
                if error is None:
                    future.set_result(found[start:end])
                elif isinstance(error, StoreError):
                    again = StoreError(*error.args)  # each its own, which does not gather the tracebacks of all
                    again.__cause__ = error.__cause__
                    future.set_result(again)
                else:
                    future.set_exception(error)
            start = end
