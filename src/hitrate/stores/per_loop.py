"""What a store has for each event loop, and drops when the loop is closed.

A program that calls ``asyncio.run`` again and again closes a loop each time, often with work pending. Nobody is told
that a loop was closed, and what a store has for a loop refers to the loop, so that a dict with weak keys would never
drop it. So each time a new loop comes, the others are asked whether they are closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Holds one object for each event loop; those of closed loops are dropped when the next loop comes.

    Args:
        make: makes it for a loop.
        drop: lets go of it when its loop is closed.
    """

    def __init__(self, make: Callable[[asyncio.AbstractEventLoop], T], drop: Callable[[T], None]) -> None:
        self._make = make
        self._drop = drop
        self._made: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self) -> T:
        """Return what is there for the running event loop."""
        loop = asyncio.get_running_loop()
        found = self._made.get(loop)
        if found is None:
            self.let_go_of_closed()
            found = self._made[loop] = self._make(loop)
        return found

    def let_go_of_closed(self) -> None:
        """Let go of what was for loops that are closed."""
        for loop in list(self._made):
            if loop.is_closed() and (found := self._made.pop(loop, None)) is not None:
                self._drop(found)

    def all(self) -> list[T]:
        """Return what is there for any loop."""
        return list(self._made.values())

    def take_all(self) -> list[T]:
        """Return what is there for any loop, and forget it."""
        made, self._made = self._made, {}
        return list(made.values())


def close_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End tasks of a loop that is closed, so that they give back what they have now and not when they are collected."""
    for task in list(tasks):
        coroutine = task.get_coro()
        if coroutine is not None:
            coroutine.close()


_LATE = 0.05


def extra_time(late: float, timeout: float) -> float:
    """Return the seconds that calls are given beyond their deadline because their event loop looked at it late.

    While a program kept the loop from running, answers may have come that the loop has not read yet.

    Args:
        late: seconds from the deadline until the loop came to look at it.
        timeout: seconds that a call may take.
    """
    return min(late, timeout / 4) if late > _LATE else 0.0
