"""Whether copies pay while another process commits to the file: each of its commits drops all copies.

Looking for a copy, leaving one and dropping it takes several times as long as a short read of the file. Where copies
are dropped before they were read about twice, reads go to the farthest tier alone for a while: for some keys at first,
and for four times as many each time that copies, tried again, do not pay, as in ``stores/sqlite/near.py``.
"""

from __future__ import annotations

from collections.abc import Callable

_WORTH = 2.0
"""Hits for each copy that pay for it."""

_JUDGED_AT = 16
"""Copies after which it is asked whether they paid."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 128, 8192


class Sleep:
    """Counts copies and their hits, and sleeps where the copies do not pay. It takes no lock: what it counts may be
    off by a few.

    Args:
        hits: returns how many hits the tier in memory has had.

    Attributes:
        copies: left in memory since it was last asked whether they paid.
        sleeps: whether reads are to leave the nearer tiers alone.
    """

    def __init__(self, hits: Callable[[], int]) -> None:
        self.copies = 0
        self.sleeps = False
        self._hits = hits
        self._before = hits()
        self._pause = _SHORTEST_PAUSE
        self._left = 0

    def passes(self, keys: int) -> bool:
        """Tell whether a read of so many keys is to go to the farthest tier alone."""
        if self.sleeps:
            self._left -= keys
            if self._left < 0:
                self.sleeps = False
        return self.sleeps

    def dropped(self) -> None:
        """All copies were dropped: sleep if they did not pay."""
        if self.copies < _JUDGED_AT:
            return
        hits = self._hits()
        if hits - self._before >= _WORTH * self.copies:
            self._pause = _SHORTEST_PAUSE
        else:
            self._left = self._pause
            self._pause = min(4 * self._pause, _LONGEST_PAUSE)
            self.sleeps = True
        self.copies, self._before = 0, hits
