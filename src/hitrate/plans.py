"""Plans: what an operation asks of whom, one thing after the other, written once for both faces.

A plan whose event loop is closed ends when the collector comes upon its coroutine: at any line of any thread, perhaps
one that holds the very lock that the plan's end needs. So such a plan is kept, and ended by whoever carries out the
next one, or as the interpreter exits: later, while modules are taken apart, it could not be.
"""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from hitrate.failsafe import log

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
    carrier = _Carrier()
    under_way = weakref.ref(carrier, _forsaken.append)
    _under_way[under_way] = plan
    try:
        while True:
            store, do, *arguments = send(value)
            try:
                value, send = await getattr(store, f"a{do}")(*arguments), plan.send
            except GeneratorExit:
                raise
            except BaseException as error:
                value, send = error, plan.throw
    except StopIteration as end:
        _under_way.pop(under_way, None)
        del under_way  # before what it refers to, and so nothing is told of that
        result: T = end.value
        return result
    except GeneratorExit:  # its event loop was closed: the plan is ended by others
        raise
    except BaseException as error:
        _under_way.pop(under_way, None)
        del under_way
        if plan.gi_frame is None:  # type: ignore[attr-defined]  # it has ended
            raise
        interrupted = error
    return await acarry_out(plan, interrupted)


class _Carrier:
    """Lives as long as the coroutine that carries out a plan, and is known to be gone whatever ended that."""

    __slots__ = ("__weakref__",)


_under_way: dict[weakref.ref[_Carrier], Plan[Any]] = {}
"""Those that event loops carry out: held here, so that the collector does not end one before its coroutine."""

_forsaken: deque[weakref.ref[_Carrier]] = deque()
"""Which of them have lost their coroutine, to an event loop that was closed or to an interrupt, and are to be ended.

It takes the place of a callback in Python, in which an interrupt would reach nobody.
"""


def _end_forsaken() -> None:
    while _forsaken:
        try:
            plan = _under_way.pop(_forsaken.popleft(), None)
        except IndexError:  # another thread has ended the last
            return
        try:
            if plan is not None:
                plan.close()
        except Exception as error:  # it concerns nobody who is there
            log.debug("what a closed event loop left could not be ended: %r", error)


def _end_all() -> None:
    """End what is under way as the interpreter exits: nobody goes on with it."""
    _forsaken.extend(_under_way)
    _end_forsaken()


atexit.register(_end_all)
