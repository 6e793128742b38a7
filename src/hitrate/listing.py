"""Listing what a cache holds: a page of the store after the other, written once for both faces.

Between two pages nothing is held, neither a lock nor a transaction: whoever lists may take any time, and stop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from hitrate.base import FullKey, Namespace
from hitrate.entry_info import EntryInfo
from hitrate.errors import StoreError
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
        self._names: set[Any] = set()

    def entries(self) -> Iterator[EntryInfo]:
        """Yield the entries."""
        while (page := self._next()) is not None:
            yield from self._infos(page)

    async def aentries(self) -> AsyncIterator[EntryInfo]:
        """Yield the entries without blocking the event loop."""
        while (page := await self._anext()) is not None:
            for info in self._infos(page):
                yield info

    def namespaces(self) -> Iterator[Namespace]:
        """Yield the namespaces that hold something, by their first entry."""
        while (page := self._next()) is not None:
            yield from self._new_namespaces(page)

    async def anamespaces(self) -> AsyncIterator[Namespace]:
        """Yield the namespaces that hold something without blocking the event loop."""
        while (page := await self._anext()) is not None:
            for namespace in self._new_namespaces(page):
                yield namespace

    def _next(self) -> Page | None:
        """Return the next page; None if there is none."""
        if self._after is None:
            return None
        try:
            page = self._store().list_page(self._under, self._place, _PAGE)
        except StoreError as error:
            self._failed("listing", error)
            return None
        self._after = page.after
        return page

    async def _anext(self) -> Page | None:
        if self._after is None:
            return None
        try:
            page = await self._store().alist_page(self._under, self._place, _PAGE)
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
            except (ValueError, IndexError):  # no key that was ever encoded, and so none that a get could find
                continue
            yield EntryInfo(namespace, text, size, created, expiry, seconds)

    def _new_namespaces(self, page: Page) -> Iterator[Namespace]:
        for name, key, *_ in page.entries:
            if name not in self._names:
                try:
                    namespace, _ = self._full_key(name, key)
                except (ValueError, IndexError):
                    continue
                self._names.add(name)
                yield namespace
