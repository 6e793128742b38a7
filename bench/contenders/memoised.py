"""Decorators that keep the results of functions, each as its documentation shows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

Function = Callable[..., Any]


class Memoiser(ABC):
    """A library's decorator over a cache of its own.

    Args:
        folder: an empty folder, for what keeps files.
    """

    name: ClassVar[str]
    note: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open()

    @abstractmethod
    def open(self) -> None:
        """Make the cache."""

    @abstractmethod
    def over(self, function: Function) -> Function:
        """Return the decorated function."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of files and memory."""


class Hitrate(Memoiser):
    name = "hitrate"

    def open(self) -> None:
        from hitrate import InMemoryCache

        self.cache: Any = InMemoryCache()

    def over(self, function: Function) -> Function:
        from hitrate import cached

        return cached(self.cache)(function)

    def close(self) -> None:
        self.cache.close()


class HitrateFile(Hitrate):
    def open(self) -> None:
        from hitrate import SqliteCache

        self.cache = SqliteCache(path=self.folder / "cache.db")


class Diskcache(Memoiser):
    name = "diskcache"

    def open(self) -> None:
        from diskcache import Cache

        self.cache = Cache(str(self.folder))

    def over(self, function: Function) -> Function:
        decorated: Function = self.cache.memoize()(function)
        return decorated

    def close(self) -> None:
        self.cache.close()


class Cachebox(Memoiser):
    name = "cachebox"
    note = "copies a dict, a list or a set as it is at its top, not what is in it; nothing is serialised"

    def open(self) -> None:
        import cachebox

        self._library = cachebox

    def _options(self) -> dict[str, Any]:
        return {}

    def over(self, function: Function) -> Function:
        decorated: Function = self._library.cached(self._library.LRUCache(0), **self._options())(function)
        return decorated


class CacheboxDeep(Cachebox):
    name = "cachebox, deep copies"
    note = "copies all of a dict, a list or a set, by copy.deepcopy"

    def _options(self) -> dict[str, Any]:
        return {"postprocess": self._library.postprocess_deepcopy_mutables}


class Cachetools(Memoiser):
    name = "cachetools, lock="
    note = "hands out the stored object itself; the lock guards the cache and not the function"

    def open(self) -> None:
        import cachetools

        self._library = cachetools

    def over(self, function: Function) -> Function:
        from threading import Lock

        decorated: Function = self._library.cached(self._library.LRUCache(1024), lock=Lock())(function)
        return decorated


MEMOISERS: dict[str, type[Memoiser]] = {
    kind.name: kind for kind in (Hitrate, Diskcache, Cachebox, CacheboxDeep, Cachetools)
}
