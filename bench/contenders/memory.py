"""Contenders that keep entries in this process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from bench.contenders.base import TUPLES, Calls, Contender, Documented, single
from bench.payloads import FullKey


class Hitrate(Documented):
    name = "hitrate"

    def open(self) -> None:
        from hitrate import InMemoryCache

        limits: dict[str, Any] = {} if self.terms.max_bytes is None else {"max_bytes": self.terms.max_bytes}
        self.cache = InMemoryCache(max_entries=self.terms.max_entries, **limits)

    def close(self) -> None:
        self.cache.close()


class LangGraph(Documented):
    name = "LangGraph"
    note = TUPLES

    def open(self) -> None:
        from langgraph.cache.memory import InMemoryCache

        self.cache = InMemoryCache()

    def close(self) -> None:
        del self.cache


class _Cachetools(Contender):
    """cachetools with a lock around each access, as its documentation asks for where threads share a cache."""

    note = "hands out the stored object itself: no copy, no serialisation"
    cache: Any

    def open(self) -> None:
        self.cache = self._make()
        self.lock = threading.Lock()

    def _make(self) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        del self.cache

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        if single(batches):
            return self._get, [key for [key] in batches]
        return self.read, batches

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        if single(batches):
            return self._set, [item for batch in batches for item in batch.items()]
        return self._set_many, batches

    def _get(self, key: FullKey) -> Any:
        with self.lock:
            return self.cache.get(key)

    def _set(self, item: tuple[FullKey, Any]) -> None:
        key, value = item
        with self.lock:
            self.cache[key] = value

    def _set_many(self, batch: dict[FullKey, Any]) -> None:
        with self.lock:
            self.cache.update(batch)

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        with self.lock:
            return {key: self.cache[key] for key in keys if key in self.cache}


class CachetoolsTTL(_Cachetools):
    name = "cachetools TTLCache"

    def _make(self) -> Any:
        from cachetools import TTLCache

        return TTLCache(maxsize=self.terms.max_entries or 1 << 30, ttl=self.terms.ttl or 86_400)


class CachetoolsLRU(_Cachetools):
    name = "cachetools LRUCache"

    def _make(self) -> Any:
        from cachetools import LRUCache

        return LRUCache(maxsize=self.terms.max_entries or 1 << 30)


class RawDict(Contender):
    """A dict of bytes: what a cache that serialises cannot beat, and one that knows when not to can."""

    name = "dict + ormsgpack"
    note = "no lock, no TTL, no bound"

    def open(self) -> None:
        self._entries: dict[FullKey, bytes] = {}

    def close(self) -> None:
        self._entries = {}

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        if single(batches):
            return self._get, [key for [key] in batches]
        return self.read, batches

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        if single(batches):
            return self._set, [item for batch in batches for item in batch.items()]
        return self._set_many, batches

    def _get(self, key: FullKey) -> Any:
        data = self._entries.get(key)
        return None if data is None else self.payload.loads(data)

    def _set(self, item: tuple[FullKey, Any]) -> None:
        key, value = item
        self._entries[key] = self.payload.dumps(value)

    def _set_many(self, batch: dict[FullKey, Any]) -> None:
        dumps = self.payload.dumps
        self._entries.update({key: dumps(value) for key, value in batch.items()})

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        entries, loads = self._entries, self.payload.loads
        return {key: loads(data) for key in keys if (data := entries.get(key)) is not None}


MEMORY: dict[str, type[Contender]] = {
    kind.name: kind for kind in (Hitrate, LangGraph, CachetoolsTTL, CachetoolsLRU, RawDict)
}
