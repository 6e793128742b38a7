"""Which entries in memory expire when."""

from __future__ import annotations

import heapq
import sys
from typing import Any

NEVER = sys.float_info.max

_SPARE_AT_LEAST = 4096


class Due:
    """Which entries expire in which second; an entry whose TTL was set anew is found there too, and passed over.

    Attributes:
        soonest: when the first of them are due; ``NEVER`` if there are none.
        told: for each second, as the end of it, namespace, key, namespace, key, and so on.
        spare: how many more may be noted before it must be asked whether most of what is noted is out of date.
    """

    __slots__ = ("_seconds", "soonest", "spare", "told")

    def __init__(self) -> None:
        self.soonest = NEVER
        self.told: dict[int, list[Any]] = {}
        self.spare = _SPARE_AT_LEAST
        self._seconds: list[int] = []

    def add(self, expiry: float, name: Any, key: Any) -> None:
        second = int(expiry) + 1
        due = self.told.get(second)
        if due is None:
            due = self.told[second] = []
            heapq.heappush(self._seconds, second)
            self.soonest = self._seconds[0]
        due += (name, key)
        self.spare -= 1

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
        self.soonest = self._seconds[0] if self._seconds else NEVER
        return taken

    def is_stale(self, entries: int) -> bool:
        """Tell whether most of what is noted has been overwritten or removed since; let some more be noted in any case.

        Args:
            entries: how many there are.
        """
        self.spare = max(_SPARE_AT_LEAST, entries // 2)
        return sum(map(len, self.told.values())) // 2 > 2 * entries + _SPARE_AT_LEAST
