"""Plans: what an operation asks of whom, one thing after the other, written once for both faces."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

Call = tuple[Any, ...]
"""A store, or what else has both faces, the name of its method in the sync face, and the arguments."""

Plan = Generator[Call, Any, T]
"""Yields calls, is sent what they returned or thrown how they failed, and returns the result."""


def carry_out(plan: Plan[T]) -> T:
    """Carry out a plan, waiting on this thread."""
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
    send: Callable[[Any], Call] = plan.send
    value: Any = None
    try:
        while True:
            store, do, *arguments = send(value)
            try:
                value, send = await getattr(store, f"a{do}")(*arguments), plan.send
            except BaseException as error:
                value, send = error, plan.throw
    except StopIteration as end:
        result: T = end.value
        return result
