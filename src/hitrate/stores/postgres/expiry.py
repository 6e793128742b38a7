"""Expiry: by the server's clock, which all that share a table have in common, or by a clock of the cache's own."""

from __future__ import annotations

from collections.abc import Callable

from hitrate.clock import is_replaced, wall_clock
from hitrate.stores.postgres.binary import float8


class ExpiryClock:
    """The clock that says what has expired: the one that was given, else the server's.

    A machine's clock that a test has replaced when the cache is opened counts as given.

    Attributes:
        now: returns the time by the clock that was given, or else by the machine's.
        is_own: whether a clock was given.
    """

    def __init__(self, given: Callable[[], float] | None) -> None:
        if given is None and is_replaced():
            given = wall_clock
        self.is_own = given is not None
        self.now = given or wall_clock

    def argument(self) -> bytes | None:
        """Return the time as statements take it, None for the server's."""
        return float8(self.now()) if self.is_own else None

    def zero(self) -> float:
        """Return the time from which statements count expiries: now, if it is the server's clock that tells them."""
        return 0.0 if self.is_own else self.now()
