"""A store of bytes over a cache: for LangChain's ``CacheBackedEmbeddings``, and whatever else takes a ``ByteStore``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Mapping, Sequence
from typing import Any

from langchain_core.stores import BaseStore

from hitrate.base import TTL, FullKey, Namespace
from hitrate.cache import Cache
from hitrate.entry import expiry_of
from hitrate.keys import check_namespace
from hitrate.runs import BYPASS, USE, current_mode

Pairs = Sequence[tuple[str, bytes]]


class ByteStore(BaseStore[str, bytes]):
    """Keeps bytes by key in a cache: ``CacheBackedEmbeddings.from_bytes_store(embeddings, ByteStore(cache))``.

    What the cache cannot read is missing, and what it cannot write is not stored: a program goes on without it. In a
    run with ``hitrate.bypass()`` nothing is found and nothing stored, with ``hitrate.refresh()`` nothing is found.
    Keys are the program's own, so that ``hitrate.scope`` does not change them.

    Args:
        cache: any cache of hitrate's.
        namespace: where in the cache; stores of one namespace are one store.
        ttl: seconds, or a timedelta, that what is set stays; None for ever, or for the cache's ``default_ttl``.

    Raises:
        TypeError: an argument has the wrong type.
    """

    def __init__(self, cache: Cache[Any], *, namespace: Namespace = ("bytes",), ttl: TTL | None = None) -> None:
        if not isinstance(cache, Cache):
            raise TypeError(
                f"a ByteStore keeps its bytes in a cache of hitrate's, as InMemoryCache(), not in {cache!r} of type "
                f"{type(cache).__name__}"
            )
        check_namespace(namespace)
        expiry_of(ttl, 0.0)
        self._cache = cache
        self._namespace = namespace
        self._ttl = ttl

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the bytes of each key, in the order asked; None for one that is missing.

        Raises:
            TypeError: a key is not a str.
        """
        full_keys = self._full_keys(keys)
        return _bytes_of(full_keys, self._cache.get(full_keys) if current_mode() == USE else {})

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Asynchronously return the bytes of each key; as ``mget``."""
        full_keys = self._full_keys(keys)
        return _bytes_of(full_keys, await self._cache.aget(full_keys) if current_mode() == USE else {})

    def mset(self, key_value_pairs: Pairs) -> None:
        """Store bytes, all of them or none.

        Raises:
            TypeError: a key is not a str, or a value is not bytes.
        """
        pairs = self._pairs(key_value_pairs)
        if current_mode() != BYPASS:
            self._cache.set(pairs)

    async def amset(self, key_value_pairs: Pairs) -> None:
        """Asynchronously store bytes; as ``mset``."""
        pairs = self._pairs(key_value_pairs)
        if current_mode() != BYPASS:
            await self._cache.aset(pairs)

    def mdelete(self, keys: Sequence[str]) -> None:
        """Remove keys, those of them that are there."""
        self._cache.delete(self._full_keys(keys))

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Asynchronously remove keys; as ``mdelete``."""
        await self._cache.adelete(self._full_keys(keys))

    def yield_keys(self, *, prefix: str | None = None) -> Generator[str]:
        """Yield the keys that begin with a prefix, all of them for None, the oldest first.

        What is stored meanwhile may be among them or not.
        """
        for entry in self._cache.entries(self._namespace):
            if entry.namespace == self._namespace and entry.key.startswith(prefix or ""):
                yield entry.key

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncGenerator[str]:
        """Asynchronously yield the keys that begin with a prefix; as ``yield_keys``."""
        async for entry in self._cache.aentries(self._namespace):
            if entry.namespace == self._namespace and entry.key.startswith(prefix or ""):
                yield entry.key

    def _full_keys(self, keys: Iterable[str]) -> list[FullKey]:
        if isinstance(keys, str):
            raise TypeError(f"keys is a sequence of str, not the str {keys!r}; write [{keys!r}]")
        return [(self._namespace, key) for key in keys]

    def _pairs(self, pairs: Pairs) -> dict[FullKey, tuple[bytes, TTL | None]]:
        for key, value in pairs if type(pairs) is list else (pairs := list(pairs)):
            if not isinstance(value, bytes):
                raise TypeError(
                    f"a ByteStore keeps bytes, and the value of key {key!r} is a {type(value).__name__}; encode it "
                    f"first, or keep it in the cache itself, which takes values of other types"
                )
        return {(self._namespace, key): (value, self._ttl) for key, value in pairs}


def _bytes_of(full_keys: Sequence[FullKey], found: Mapping[FullKey, Any]) -> list[bytes | None]:
    """Return the bytes that were found for each key, None for a value that is no bytes: another program stored it."""
    values = [found.get(key) for key in full_keys]
    return [value if isinstance(value, bytes) else None for value in values]
