"""Listing what a cache holds: one page of the store after the other, written once for the sync and async methods.

Between two pages neither a lock nor a transaction is held: a caller may take its time, and may stop at any entry.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from hitrate.base import FullKey, Namespace
from hitrate.entry_info import EntryInfo, NamespaceInfo
from hitrate.errors import StoreError
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stores.base import Page, Store

_PAGE = 500
"""Entries that a store looks at in one step."""

_BEGUN = object()


class Listing:
    """What is stored under a prefix.

    Args:
        under: what the encoded namespaces begin with.
        store: returns the store to ask, each time anew; raises if the cache was closed.
        full_key: returns the key that the store has in its encoded form.
        failed: is told that a page could not be had, and may raise it; if not, the listing ends there.
    """

    def __init__(
        self,
        under: Any,
        store: Callable[[], Store],
        full_key: Callable[[Any, Any], FullKey],
        failed: Callable[[str, StoreError], None],
    ) -> None:
        self._under = under
        self._store = store
        self._full_key = full_key
        self._failed = failed
        self._after: Any = _BEGUN

    def entries(self) -> Iterator[EntryInfo]:
        """Yield the entries."""
        while (page := carry_out(self._next())) is not None:
            yield from self._infos(page)

    async def aentries(self) -> AsyncIterator[EntryInfo]:
        """Yield the entries without blocking the event loop."""
        while (page := await acarry_out(self._next())) is not None:
            for info in self._infos(page):
                yield info

    def namespaces(self) -> Iterator[NamespaceInfo]:
        """Yield the namespaces that hold something, by their first entry, when all entries have been looked at."""
        found: dict[Namespace, _Sums] = {}
        while (page := carry_out(self._next())) is not None:
            self._count(page, found)
        for namespace, sums in found.items():
            yield sums.info(namespace)

    async def anamespaces(self) -> AsyncIterator[NamespaceInfo]:
        """Yield the namespaces that hold something without blocking the event loop."""
        found: dict[Namespace, _Sums] = {}
        while (page := await acarry_out(self._next())) is not None:
            self._count(page, found)
        for namespace, sums in found.items():
            yield sums.info(namespace)

    def _next(self) -> Plan[Page | None]:
        """Return the next page; None if there is none."""
        if self._after is None:
            return None
        try:
            page: Page = yield self._store(), "list_page", self._under, self._place, _PAGE
        except StoreError as error:
            self._failed("listing", error)
            return None
        self._after = page.after
        return page

    @property
    def _place(self) -> Any:
        return None if self._after is _BEGUN else self._after

    def _infos(self, page: Page) -> Iterator[EntryInfo]:
        for name, key, size, created, expiry, seconds in page.entries:
            try:
                namespace, text = self._full_key(name, key)
            except (ValueError, IndexError):  # no encoding of a key, so that no get could find it
                continue
            yield EntryInfo(namespace, text, size, created, expiry, seconds)

    def _count(self, page: Page, found: dict[Namespace, _Sums]) -> None:
        for info in self._infos(page):
            sums = found.get(info.namespace)
            if sums is None:
                sums = found[info.namespace] = _Sums()
            sums.add(info)


class _Sums:
    """What a namespace holds, as far as it was listed."""

    __slots__ = ("bytes", "entries", "newest", "oldest")

    def __init__(self) -> None:
        self.entries = 0
        self.bytes = 0
        self.oldest: float | None = None
        self.newest: float | None = None

    def add(self, info: EntryInfo) -> None:
        self.entries += 1
        self.bytes += info.bytes
        created = info.created
        if created is not None:
            self.oldest = created if self.oldest is None else min(self.oldest, created)
            self.newest = created if self.newest is None else max(self.newest, created)

    def info(self, namespace: Namespace) -> NamespaceInfo:
        return NamespaceInfo(namespace, self.entries, self.bytes, self.oldest, self.newest)
