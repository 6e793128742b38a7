"""Caches and simulations with room for a number of bytes, which are told what each key's value takes."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

_BEGAN = 1_700_000_000.0


class Room(Protocol):
    def read(self, key: int, size: int, seconds: float) -> bool:
        """Return whether the key was held; if not, it takes the seconds and is stored, of that size."""

    def close(self) -> None:
        """Let go of what is held."""


class _Hitrate:
    def __init__(self, open_cache: Callable[..., Any]) -> None:
        self._now = _BEGAN
        self._cache = open_cache(clock=lambda: self._now)

    def read(self, key: int, size: int, seconds: float) -> bool:
        full = (("bench",), str(key))
        if self._cache.get([full]):
            return True
        self._now += seconds  # from the miss to the set
        self._cache.set({full: (bytes(size), None)})
        return False

    def close(self) -> None:
        self._cache.close()


def ours(where: str) -> dict[str, Callable[[int, Path], Room]]:
    """Return our cache in memory or in a file, by worth and by default."""

    from hitrate import InMemoryCache, SqliteCache

    def opened(evict: Literal["sieve", "cost"]) -> Callable[[int, Path], Room]:
        def open_room(room: int, folder: Path) -> Room:
            if where == "memory":
                return _Hitrate(partial(InMemoryCache, max_bytes=room, evict=evict))
            return _Hitrate(partial(SqliteCache, path=folder / "cache.db", max_bytes=room, evict=evict))

        return open_room

    return {"hitrate": opened("cost"), "hitrate by default": opened("sieve")}


class Lru:
    def __init__(self, room: int, folder: Path) -> None:
        self._left = room
        self._held: OrderedDict[int, int] = OrderedDict()

    def read(self, key: int, size: int, seconds: float) -> bool:
        if key in self._held:
            self._held.move_to_end(key)
            return True
        self._left -= size
        while self._left < 0:
            _, gone = self._held.popitem(last=False)
            self._left += gone
        self._held[key] = size
        return False

    def close(self) -> None:
        self._held.clear()


class Gdsf:
    """GreedyDual-Size-Frequency: what has the lowest ``level + hits * seconds / bytes`` goes.

    Source: Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
    HP Laboratories, 1998.
    """

    def __init__(self, room: int, folder: Path) -> None:
        self._left = room
        self._level = 0.0
        self._held: dict[int, tuple[float, int, int]] = {}
        """By key: priority, hits, bytes."""
        self._heap: list[tuple[float, int]] = []

    def read(self, key: int, size: int, seconds: float) -> bool:
        held = self._held.get(key)
        if held is None:
            self._left -= size
            while self._left < 0:
                self._evict()
        hits = held[1] + 1 if held else 1
        priority = self._level + hits * seconds / size
        self._held[key] = priority, hits, size
        heapq.heappush(self._heap, (priority, key))
        return held is not None

    def _evict(self) -> None:
        priority, key = heapq.heappop(self._heap)
        if key in self._held and self._held[key][0] == priority:  # not one of before a hit
            self._level = priority
            self._left += self._held.pop(key)[2]

    def close(self) -> None:
        self._held.clear()


PEERS: dict[str, Callable[[int, Path], Room]] = {"LRU": Lru, "GDSF": Gdsf}
