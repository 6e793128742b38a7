"""Plans: what an operation asks of whom, one thing after the other, written once for both faces."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

Call = tuple[Any, ...]
"""A store, or what else has both faces, the name of its method in the sync face, and the arguments."""

Plan = Generator[Call, Any, T]
"""Yields calls, is sent what they returned or thrown how they failed, and returns the result."""


def carry_out(plan: Plan[T], interrupted: BaseException | None = None) -> T:
    """Carry out a plan, waiting on this thread.

    Args:
        plan: what to do.
        interrupted: what came in between, for the plan to end what it began.
    """
    send: Callable[[Any], Call] = plan.send if interrupted is None else plan.throw
    value: Any = interrupted
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
    except BaseException as error:
        if plan.gi_frame is None:  # type: ignore[attr-defined]  # it has ended
            raise
        interrupted = error
    return carry_out(plan, interrupted)


async def acarry_out(plan: Plan[T], interrupted: BaseException | None = None) -> T:
    """Carry out a plan by the async faces of those it calls; as ``carry_out``."""
    send: Callable[[Any], Call] = plan.send if interrupted is None else plan.throw
    value: Any = interrupted
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
    except BaseException as error:
        if plan.gi_frame is None:  # type: ignore[attr-defined]  # it has ended
            raise
        interrupted = error
    return await acarry_out(plan, interrupted)
