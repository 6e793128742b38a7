"""Caches and simulations that evict: each says of a key that is read whether it was held, and holds it from then on."""

from __future__ import annotations

from collections import OrderedDict, deque
from pathlib import Path
from typing import Any, ClassVar, Protocol


class Policy(Protocol):
    """Room for a number of keys.

    Args:
        room: keys held at most.
        folder: an empty folder, for caches that keep files.
    """

    name: ClassVar[str]

    def __init__(self, room: int, folder: Path) -> None: ...

    def read(self, key: int) -> bool:
        """Return whether the key was held; it is stored if not."""

    def close(self) -> None:
        """Let go of what is held."""


class _Hitrate:
    name: ClassVar[str] = "hitrate"
    cache: Any

    def read(self, key: int) -> bool:
        full = (("bench",), str(key))
        if self.cache.get([full]):
            return True
        self.cache.set({full: (key, None)})
        return False

    def close(self) -> None:
        self.cache.close()


class HitrateMemory(_Hitrate):
    def __init__(self, room: int, folder: Path) -> None:
        from hitrate import InMemoryCache

        self.cache = InMemoryCache(max_entries=room)


class HitrateFile(_Hitrate):
    def __init__(self, room: int, folder: Path) -> None:
        from hitrate import SqliteCache

        self.cache = SqliteCache(path=folder / "cache.db", max_entries=room)


class Lru:
    name: ClassVar[str] = "LRU"

    def __init__(self, room: int, folder: Path) -> None:
        self._room = room
        self._held: OrderedDict[int, None] = OrderedDict()

    def read(self, key: int) -> bool:
        if key in self._held:
            self._held.move_to_end(key)
            return True
        if len(self._held) == self._room:
            self._held.popitem(last=False)
        self._held[key] = None
        return False

    def close(self) -> None:
        self._held.clear()


class S3Fifo:
    """S3-FIFO: what is new waits in a tenth of the room, and is kept if it was read again before it leaves that.

    Source: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023.
    """

    name: ClassVar[str] = "S3-FIFO"

    def __init__(self, room: int, folder: Path) -> None:
        self._small_room = max(1, room // 10)
        self._room = room
        self._small: deque[int] = deque()
        self._main: deque[int] = deque()
        # As many keys that have left the small queue as the main one has room for.
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._reads: dict[int, int] = {}

    def read(self, key: int) -> bool:
        if key in self._reads:
            self._reads[key] = min(3, self._reads[key] + 1)
            return True
        while len(self._reads) >= self._room:
            self._evict()
        if key in self._ghosts:
            del self._ghosts[key]
            self._main.append(key)
        else:
            self._small.append(key)
        self._reads[key] = 0
        return False

    def _evict(self) -> None:
        if len(self._small) >= self._small_room or not self._main:
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        key = self._small.popleft()
        if self._reads[key] > 1:
            self._reads[key] = 0
            self._main.append(key)
        else:
            del self._reads[key]
            self._ghosts[key] = None
            if len(self._ghosts) > self._room - self._small_room:
                self._ghosts.popitem(last=False)

    def _evict_main(self) -> None:
        while self._reads[key := self._main.popleft()]:
            self._reads[key] -= 1
            self._main.append(key)
        del self._reads[key]

    def close(self) -> None:
        self._reads.clear()


class Theine:
    name: ClassVar[str] = "theine"

    def __init__(self, room: int, folder: Path) -> None:
        from theine import Cache

        self._cache: Any = Cache(room)

    def read(self, key: int) -> bool:
        _, held = self._cache.get(str(key))
        if not held:
            self._cache.set(str(key), key)
        return bool(held)

    def close(self) -> None:
        self._cache.close()


class Moka:
    name: ClassVar[str] = "moka-py"

    def __init__(self, room: int, folder: Path) -> None:
        from moka_py import Moka

        self._cache: Any = Moka(room)

    def read(self, key: int) -> bool:
        if self._cache.get(str(key)) is not None:
            return True
        self._cache.set(str(key), key)
        return False

    def close(self) -> None:
        self._cache.clear()


PEERS: tuple[type[Policy], ...] = (Lru, S3Fifo, Theine, Moka)
OURS: dict[str, type[Policy]] = {"memory": HitrateMemory, "file": HitrateFile}
