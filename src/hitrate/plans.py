"""Plans: an operation as a generator of the calls that it makes, written once for the sync and the async methods.

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
"""A store or another object with sync and async methods, the name of its sync method, and the arguments."""

Plan = Generator[Call, Any, T]
"""Yields calls, is sent what they returned or thrown how they failed, and returns the result."""


def carry_out(plan: Plan[T], interrupted: BaseException | None = None) -> T:
    """Carry out a plan, waiting on this thread.

    Args:
        plan: what to do.
        interrupted: the exception that interrupted the plan; it is thrown into it, so that it ends what it began.
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
    """Carry out a plan by the async methods of those that it calls; as ``carry_out``."""
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
        del under_way  # dropped before the carrier, so that its callback is not called
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
    """Lives as long as the coroutine that carries out a plan: a weak reference tells when that is gone."""

    __slots__ = ("__weakref__",)


_under_way: dict[weakref.ref[_Carrier], Plan[Any]] = {}
"""The plans that event loops carry out: held here, so that the collector does not end one before its coroutine."""

_forsaken: deque[weakref.ref[_Carrier]] = deque()
"""The plans that lost their coroutine, because an event loop was closed or by an interrupt, and are to be ended.

The weak references call this deque's ``append``, not a function in Python: there an interrupt would be lost.
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
        except Exception as error:  # its caller is gone, and nobody waits for this plan
            log.debug("what a closed event loop left could not be ended: %r", error)


def _end_all() -> None:
    """End the plans that are under way as the interpreter exits: no loop goes on with them."""
    _forsaken.extend(_under_way)
    _end_forsaken()


atexit.register(_end_all)
