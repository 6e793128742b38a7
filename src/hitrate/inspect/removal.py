"""Removing entries: what would go, to be confirmed, and then removing it."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from hitrate.base import Namespace
from hitrate.errors import StoreError
from hitrate.inspect.asking import Query, WrongRequestError
from hitrate.inspect.counts import Cache
from hitrate.inspect.entry_list import Selection
from hitrate.inspect.pages import Inspector, Page, wanted_key


class Removal(NamedTuple):
    """What is to be removed: an entry, what is in some namespaces, or what has expired.

    Attributes:
        selection: the namespaces.
        key: the one entry of that namespace; None for all.
        expired: whether only what has expired, of all namespaces.
    """

    selection: Selection
    key: str | None
    expired: bool


def chosen(query: Query) -> Removal:
    """Return what an address names.

    Raises:
        WrongRequestError: it names nothing, or more than one thing.
    """
    exactly, under = query.namespace("ns"), query.namespace("under")
    if sum([exactly is not None, under is not None, "expired" in query, "all" in query]) != 1:
        raise WrongRequestError("say what is to be removed: ns (and key), under, expired=1 or all=1")
    key = wanted_key(query)[1] if "key" in query else None
    return Removal(
        Selection(exactly if exactly is not None else under or (), exactly is not None), key, "expired" in query
    )


def preview(inspector: Inspector, query: Query) -> Page:
    """What would be removed, and how much that is."""
    removal = chosen(query)
    page: Page = {
        "cache": inspector.name,
        "now": inspector.clock(),
        "namespace": list(removal.selection.under),
        "exactly": removal.selection.exactly,
        "key": removal.key,
        "expired": removal.expired,
        "removed": None,
        "done": False,
        "listed": None,
    }
    if removal.expired:
        return page | {"entries": inspector.cache._open_store().count_expired(), "bytes": None}
    if removal.key is not None:
        return page | {"entries": 1, "bytes": None}
    listed = inspector.index.look()
    if listed is None:
        return page | {"entries": None, "bytes": None}
    held = [sums for namespace, sums in listed.namespaces.items() if removal.selection.has(namespace)]
    return page | {
        "listed": listed.taken,
        "entries": sum(sums.entries for sums in held),
        "bytes": sum(sums.bytes for sums in held),
    }


def remove(inspector: Inspector, cache: Cache, query: Query) -> Page:
    """Remove it, for every program that uses the cache; return how many entries that were, None if not known.

    Raises:
        StoreError: the store failed.
    """
    removal = chosen(query)
    under: Namespace = removal.selection.under
    page = {"cache": inspector.name, "now": inspector.clock()}
    removed: int | None = None
    if removal.expired:
        removed = cache._open_store().remove_expired()
    elif removal.key is not None:
        removed = cache.delete([(under, removal.key)])
    else:
        listed = inspector.index.latest
        removed = None if listed is None else listed.count(removal.selection)
        if removal.selection.exactly:
            cache.clear([under])
        else:
            cache.clear_under(under)
    inspector.index.forget(removal.selection, removal.key, expired=removal.expired)
    with suppress(StoreError):  # it is removed in any case
        inspector.cache._open_store().usage()  # of a file that is only read, pages see this change from now on
    return page | {"removed": removed, "done": True}
