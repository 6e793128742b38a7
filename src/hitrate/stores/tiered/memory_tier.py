"""A memory cache as a tier: entries in memory by encoded keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from hitrate.keys import EncodedKey, NamespaceDecoder, decode_text, encode_namespace, encode_text
from hitrate.stores.base import Changes, Found, Listed, Page, Usage
from hitrate.stores.memory import MemoryStore
from hitrate.stores.paired import ImmediateStore


class MemoryTier(ImmediateStore):
    """Entries in a ``MemoryStore``, which holds keys as they are. It never waits."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.offers = store.offers
        self._names = NamespaceDecoder()

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return self._store.get([self._plain(key) for key in keys])

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self._store.expired([self._plain(key) for key in keys])

    def write(self, changes: Changes) -> int:
        fits = self._store.fits
        return self._store.write(
            {
                self._plain(key): entry if entry is None or fits(key[1], entry[1]) else None
                for key, entry in changes.items()
            }
        )

    def clear(self, namespaces: Collection[bytes] | None) -> None:
        self._store.clear(None if namespaces is None else [self._names[name] for name in namespaces])

    def clear_under(self, prefix: bytes) -> None:
        self._store.clear_under(self._names[prefix])

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        prefix: Any = self._names[under]
        return self._encoded(self._store.list_page(prefix, after, limit))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        prefix: Any = self._names[under]
        return self._encoded(await self._store.alist_page(prefix, after, limit))

    @staticmethod
    def _encoded(page: Page) -> Page:
        entries = [
            Listed(encode_namespace(name), encode_text(key), *rest)  # type: ignore[arg-type]  # the store has them plain
            for name, key, *rest in page.entries
        ]
        return Page(entries, page.after)

    def removals(self) -> tuple[int, int]:
        return self._store.removals()

    def usage(self) -> Usage:
        return self._store.usage()

    def close(self) -> None:
        self._store.close()

    def _plain(self, key: EncodedKey) -> Any:
        name, raw = key
        try:
            return self._names[name], raw.decode()
        except UnicodeDecodeError:  # lone surrogates
            return self._names[name], decode_text(raw)
