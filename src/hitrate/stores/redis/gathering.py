"""Reads of one event loop that come in the same turn are one read of the server.

Those of many keys are begun as soon as there are enough for a command, so that the server is at work while the loop
still starts the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.gathering import own_copy
from hitrate.stores.per_loop import close_tasks
from hitrate.stores.redis.loop_links import Answer

if TYPE_CHECKING:
    from hitrate.stores.redis.store import RedisStore

_ENOUGH = 50
_WOKEN_AT_ONCE = 32

_Calls = list[tuple[Sequence[EncodedKey], asyncio.Future[Sequence[Found]]]]


class Gathering:
    """Gathers the reads of one event loop for a store, which reads keys by one command if it can, or by a plan."""

    def __init__(self, loop: asyncio.AbstractEventLoop, store: RedisStore) -> None:
        self._loop = loop
        self._store = store
        self._calls: _Calls = []
        self._keys = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: deque[tuple[_Calls, Sequence[Found]]] = deque()  # whose callers are still to be woken
        self._waking = False

    def read(self, keys: Sequence[EncodedKey]) -> asyncio.Future[Sequence[Found]]:
        """Return a future of what is found for each key, in the order of the keys; of a StoreError if that fails."""
        future: asyncio.Future[Sequence[Found]] = self._loop.create_future()
        if not self._calls:
            self._loop.call_soon(self._begin)
        self._calls.append((keys, future))
        self._keys += len(keys)
        if self._keys >= _ENOUGH:
            self._begin()
        return future

    def drop(self) -> None:
        """Let go of what is under way: the loop is closed."""
        close_tasks(self._tasks)

    def _begin(self) -> None:
        calls, self._calls, self._keys = self._calls, [], 0
        if not calls:
            return
        keys = calls[0][0] if len(calls) == 1 else [key for keys, _ in calls for key in keys]
        if not self._store.ask(keys, partial(self._answered, calls, keys)):
            self._begin_task(calls, keys)

    def _answered(self, calls: _Calls, keys: Sequence[EncodedKey], answer: Answer) -> None:
        try:
            found = self._store.found(keys, answer)
        except Exception as error:
            self._fail(calls, error)
            return
        if found is None:
            self._begin_task(calls, keys)
        else:
            self._answer(calls, found)

    def _begin_task(self, calls: _Calls, keys: Sequence[EncodedKey]) -> None:
        # Its own task: cancelling one reader must not cancel the others' read.
        task = self._loop.create_task(self._whatever_it_takes(calls, keys))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _whatever_it_takes(self, calls: _Calls, keys: Sequence[EncodedKey]) -> None:
        try:
            found = await self._store.read(keys)
        except Exception as error:
            self._fail(calls, error)
        else:
            self._answer(calls, found)

    def _answer(self, calls: _Calls, found: Sequence[Found]) -> None:
        self._answers.append((calls, found))
        if not self._waking:
            self._wake()

    def _wake(self) -> None:
        """Wake those who wait, a few in each turn of the loop, so that it serves others in between."""
        left = _WOKEN_AT_ONCE
        while self._answers and left > 0:
            calls, found = self._answers.popleft()
            start = 0
            for keys, future in calls[:left]:
                end = start + len(keys)
                if not future.done():  # else it was cancelled
                    future.set_result(found if len(calls) == 1 else found[start:end])
                start = end
            if len(calls) > left:
                self._answers.appendleft((calls[left:], found[start:]))
            left -= len(calls)
        # After many, all others wait for the next turn, those of an answer that comes in this turn, too.
        self._waking = left <= 0
        if self._waking:
            self._loop.call_soon(self._wake)

    @staticmethod
    def _fail(calls: _Calls, error: Exception) -> None:
        for _, future in calls:
            if not future.done():
                future.set_exception(own_copy(error))
