"""The two faces of a cache, its sync and its async methods, behind one set of calls: each promise is written once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hitrate.base import FullKey, Namespace

Pairs = Mapping[FullKey, tuple[Any, float | None]]


class Driver(ABC):
    """A cache driven through one of its faces; ``raw`` is the cache itself."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    @abstractmethod
    def _call(self, method: str, *arguments: object) -> Any:
        """Call a method of this face, by the name of the sync one."""

    @abstractmethod
    def _all(self, method: str, under: Namespace) -> list[Any]:
        """All that a method of this face yields."""

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        found: dict[FullKey, Any] = self._call("get", keys)
        return found

    def set(self, pairs: Pairs) -> None:
        self._call("set", pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self._call("clear", namespaces)

    def clear_under(self, prefix: Namespace) -> None:
        self._call("clear_under", prefix)

    def delete(self, keys: Sequence[FullKey]) -> int | None:
        removed: int | None = self._call("delete", keys)
        return removed

    def entries(self, under: Namespace = ()) -> list[Any]:
        return self._all("entries", under)

    def namespaces(self, under: Namespace = ()) -> list[Any]:
        return self._all("namespaces", under)

    def close(self) -> None:
        self._call("close")


class SyncDriver(Driver):
    """A cache driven through its plain methods."""

    def _call(self, method: str, *arguments: object) -> Any:
        return getattr(self.raw, method)(*arguments)

    def _all(self, method: str, under: Namespace) -> list[Any]:
        return list(self._call(method, under))


class AsyncDriver(Driver):
    """A cache driven through its ``async`` methods, all on the event loop of one runner."""

    def __init__(self, raw: Any, runner: asyncio.Runner) -> None:
        super().__init__(raw)
        self._runner = runner

    def _call(self, method: str, *arguments: object) -> Any:
        async def call() -> Any:
            return await getattr(self.raw, f"a{method}")(*arguments)

        return self._runner.run(call())

    def _all(self, method: str, under: Namespace) -> list[Any]:
        async def listed() -> list[Any]:
            return [each async for each in getattr(self.raw, f"a{method}")(under)]

        return self._runner.run(listed())


class Face:
    """One of the two ways to call a cache: ``sync`` or ``async``."""

    def __init__(self, name: str) -> None:
        self.name = name

    @contextmanager
    def open(self, raw: Any) -> Iterator[Driver]:
        """Drive ``raw`` through this face; the async one has an event loop of its own for as long as it is open.

        A thread or a forked child that wants to drive the same cache opens the face for itself.
        """
        if self.name == "sync":
            yield SyncDriver(raw)
        else:
            with asyncio.Runner() as runner:
                yield AsyncDriver(raw, runner)


SYNC = Face("sync")
ASYNC = Face("async")


def opposite(face: Face) -> Face:
    return ASYNC if face is SYNC else SYNC
