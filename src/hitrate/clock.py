"""The clock of a cache that is not given one: the machine's, or what a test has put in its place.

freezegun and ``unittest.mock.patch("time.time")`` put another function in the place of ``time.time``. A default
argument ``clock=time.time`` would still be the function that was there when hitrate was
imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import BuiltinFunctionType


def wall_clock() -> float:
    """Return the seconds since the epoch, by whatever ``time.time`` is now."""
    return time.time()


class OtherTime:
    """A clock in the form of the module ``time``: code that calls ``time.time()`` can be given it at no extra cost.

    Args:
        time: returns the seconds since the epoch.
    """

    __slots__ = ("time",)

    def __init__(self, time: Callable[[], float]) -> None:
        self.time = time


def is_machines(clock: Callable[[], float]) -> bool:
    """Tell whether a clock is the machine's own, which servers have too."""
    return clock is wall_clock or (clock is time.time and not is_replaced())


def is_replaced() -> bool:
    """Tell whether something else is in the place of ``time.time``, of which no server knows."""
    return type(time.time) is not BuiltinFunctionType
