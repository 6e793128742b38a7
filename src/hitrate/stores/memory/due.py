"""Which entries in memory expire when.

An entry is noted for the second in which it expires, once: if its TTL is set anew before that, it is looked at in the
second noted first, and noted again. So there is nothing to note when an entry is overwritten, which writers do without
the lock.
"""

from __future__ import annotations

import heapq
import sys
from typing import Any

NEVER = sys.float_info.max

_TOO_MANY = 4096


class Due:
    """Which entries expire in which second, or later; what has left is found there too, and passed over.

    Attributes:
        soonest: when the first of them are due, the end of a second; ``NEVER`` if there are none.
        begins: when that second begins: what expires from then on is due no sooner.
        noted: how many notes there are.
        told: for each second, as the end of it, namespace, key, namespace, key, and so on.
    """

    __slots__ = ("_seconds", "begins", "noted", "soonest", "told")

    def __init__(self) -> None:
        self.soonest = self.begins = NEVER
        self.noted = 0
        self.told: dict[int, list[Any]] = {}
        self._seconds: list[int] = []

    def add(self, expiry: float, name: Any, key: Any) -> None:
        second = int(expiry) + 1
        due = self.told.get(second)
        if due is None:
            due = self.told[second] = []
            heapq.heappush(self._seconds, second)
            self._look()
        due += (name, key)
        self.noted += 1

    def pop(self, now: float, most: int) -> list[tuple[Any, Any]]:
        """Take out a bounded number of those that are due."""
        taken: list[tuple[Any, Any]] = []
        while self._seconds and self._seconds[0] <= now and len(taken) < most:
            due = self.told[self._seconds[0]]
            some = due[-2 * (most - len(taken)) :]
            del due[-2 * (most - len(taken)) :]
            taken += zip(some[::2], some[1::2], strict=True)
            if not due:
                del self.told[heapq.heappop(self._seconds)]
        self.noted -= len(taken)
        self._look()
        return taken

    def is_stale(self, entries: int) -> bool:
        """Tell whether most of the notes are of entries that have left, by how many there are."""
        return self.noted > 2 * entries + _TOO_MANY

    def _look(self) -> None:
        self.soonest, self.begins = (self._seconds[0], self._seconds[0] - 1) if self._seconds else (NEVER, NEVER)
