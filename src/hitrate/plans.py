"""Plans: what an operation asks of whom, one thing after the other, written once for both faces.

A plan whose event loop is closed ends when the collector comes upon its coroutine: at any line of any thread, perhaps
one that holds the very lock that the plan's end needs. So such a plan is kept, and ended by whoever carries out the
next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

Call = tuple[Any, ...]
"""A store, or what else has both faces, the name of its method in the sync face, and the arguments."""

Plan = Generator[Call, Any, T]
"""Yields calls, is sent what they returned or thrown how they failed, and returns the result."""


def carry_out(plan: Plan[T]) -> T:
    """Carry out a plan, waiting on this thread."""
    if _forsaken:
        _end_forsaken()
    send: Callable[[Any], Call] = plan.send
    value: Any = None
    try:
        while True:
            store, do, *arguments = send(value)
            try:
                value, send = getattr(store, do)(*arguments), plan.send
            except BaseException as error:
                value, send = error, plan.throw
    except StopIteration as end:
        result: T = end.value
        return result


async def acarry_out(plan: Plan[T]) -> T:
    """Carry out a plan by the async faces of those it calls."""
    if _forsaken:
        _end_forsaken()
    send: Callable[[Any], Call] = plan.send
    value: Any = None
    _under_way.add(plan)
    try:
        while True:
            store, do, *arguments = send(value)
            try:
                value, send = await getattr(store, f"a{do}")(*arguments), plan.send
            except GeneratorExit:
                _forsaken.append(plan)
                raise
            except BaseException as error:
                value, send = error, plan.throw
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        _under_way.discard(plan)


_under_way: set[Plan[Any]] = set()
"""Those that event loops carry out: held here, so that the collector does not end one before its coroutine."""

_forsaken: deque[Plan[Any]] = deque()
"""Those whose event loop was closed, to be ended."""


def _end_forsaken() -> None:
    while _forsaken:
        try:
            plan = _forsaken.popleft()
        except IndexError:  # another thread has ended the last
            return
        plan.close()
