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


def carry_out(plan: Plan[T], interrupted: BaseException | None = None) -> T:
    """Carry out a plan, waiting on this thread.

    Args:
        plan: what to do.
        interrupted: what came in between, for the plan to end what it began.
    """
    if _forsaken:
        _end_forsaken()
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
    if _forsaken:
        _end_forsaken()
    send: Callable[[Any], Call] = plan.send if interrupted is None else plan.throw
    value: Any = interrupted
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
    except GeneratorExit:  # its event loop was closed
        raise
    except BaseException as error:
        if plan.gi_frame is None:  # type: ignore[attr-defined]  # it has ended
            raise
        interrupted = error
    finally:
        _under_way.discard(plan)
    return await acarry_out(plan, interrupted)


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
