"""The two faces of a cache, its sync and its async methods, behind one set of calls: each promise is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from hitrate.base import FullKey, Namespace

Pairs = Mapping[FullKey, tuple[Any, float | None]]


class Driver(Protocol):
    """A cache driven through one of its faces. ``raw`` is the cache itself."""

    raw: Any

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """Call ``get`` or ``aget``."""
        ...

    def set(self, pairs: Pairs) -> None:
        """Call ``set`` or ``aset``."""
        ...

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Call ``clear`` or ``aclear``."""
        ...

    def clear_under(self, prefix: Namespace) -> None:
        """Call ``clear_under`` or ``aclear_under``."""
        ...

    def delete(self, keys: Sequence[FullKey]) -> int | None:
        """Call ``delete`` or ``adelete``."""
        ...

    def entries(self, under: Namespace = ()) -> list[Any]:
        """All that ``entries`` or ``aentries`` yields."""
        ...

    def namespaces(self, under: Namespace = ()) -> list[Any]:
        """All that ``namespaces`` or ``anamespaces`` yields."""
        ...

    def close(self) -> None:
        """Call ``close`` or ``aclose``."""
        ...


class SyncDriver:
    """A cache driven through its plain methods."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        found: dict[FullKey, Any] = self.raw.get(keys)
        return found

    def set(self, pairs: Pairs) -> None:
        self.raw.set(pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self.raw.clear(namespaces)

    def clear_under(self, prefix: Namespace) -> None:
        self.raw.clear_under(prefix)

    def delete(self, keys: Sequence[FullKey]) -> int | None:
        removed: int | None = self.raw.delete(keys)
        return removed

    def entries(self, under: Namespace = ()) -> list[Any]:
        return list(self.raw.entries(under))

    def namespaces(self, under: Namespace = ()) -> list[Any]:
        return list(self.raw.namespaces(under))

    def close(self) -> None:
        self.raw.close()


class AsyncDriver:
    """A cache driven through its ``async`` methods, all on the event loop of one runner."""

    def __init__(self, raw: Any, runner: asyncio.Runner) -> None:
        self.raw = raw
        self._runner = runner

    def _call(self, method: str, *arguments: object) -> Any:
        async def call() -> Any:
            return await getattr(self.raw, method)(*arguments)

        return self._runner.run(call())

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        found: dict[FullKey, Any] = self._call("aget", keys)
        return found

    def set(self, pairs: Pairs) -> None:
        self._call("aset", pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self._call("aclear", namespaces)

    def clear_under(self, prefix: Namespace) -> None:
        self._call("aclear_under", prefix)

    def delete(self, keys: Sequence[FullKey]) -> int | None:
        removed: int | None = self._call("adelete", keys)
        return removed

    def _all(self, method: str, under: Namespace) -> list[Any]:
        async def listed() -> list[Any]:
            return [each async for each in getattr(self.raw, method)(under)]

        return self._runner.run(listed())

    def entries(self, under: Namespace = ()) -> list[Any]:
        return self._all("aentries", under)

    def namespaces(self, under: Namespace = ()) -> list[Any]:
        return self._all("anamespaces", under)

    def close(self) -> None:
        self._call("aclose")


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
