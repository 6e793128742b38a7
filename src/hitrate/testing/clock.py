"""Clocks that a test moves, so that no test sleeps to see a TTL pass."""

from __future__ import annotations

import time


class Clock:
    """A clock that stands still until it is moved; call it for the time in seconds.

    It is moved by one thread and may be read by many.

    Args:
        start: the first reading, in seconds since the epoch.
    """

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock on by ``seconds``."""
        self.set(self() + seconds)

    def set(self, now: float) -> None:
        """Move the clock to ``now``, in seconds since the epoch; also back, as a corrected clock may go."""
        self._now = now


class WallClock(Clock):
    """The machine's own clock, for a cache that takes no other: moving it is waiting."""

    def __call__(self) -> float:
        """Return the machine's time, in seconds since the epoch."""
        return time.time()

    def set(self, now: float) -> None:
        """Wait until ``now``, in seconds since the epoch; return at once if that is past."""
        time.sleep(max(0.0, now - self()))
