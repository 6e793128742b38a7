"""Listing what memory holds: the places of all entries are copied at once, and looked at in steps.

A place is a namespace's dict and a key. To copy those of 100,000 entries takes less than a millisecond of the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from hitrate.stores.base import Listed, Page
from hitrate.stores.memory import MemoryStore, Space, size_of, spelled_out

_SETTLED_AT_ONCE = 256

Place = tuple[Space, Any]


def begin(store: MemoryStore) -> Iterator[Place]:
    """Return where each entry is that is held now, in their order of arrival.

    A store without limits keeps that within each namespace alone; there one namespace comes after the other.
    """
    copied = None
    if store.keeps_order:
        store.settle_in_steps(_SETTLED_AT_ONCE)
        copied = store.copy_places()
    if copied is None:
        return _in_spaces(list(store.spaces.values()))
    places, doubles = copied
    if doubles:
        return iter(_without_doubles(places))
    each = iter(places)
    return zip(each, each, strict=True)


def _in_spaces(spaces: Iterable[Space]) -> Iterator[Place]:
    for space in spaces:
        for key in list(space):  # no thread switch can happen in it: see the head of stores/memory.py
            yield space, key


def _without_doubles(places: list[Any]) -> list[Place]:
    """Return the places of what was removed and set again once, where it came last."""
    last: dict[Place, None] = {}
    for at in range(len(places) - 2, -2, -2):
        last.setdefault((places[at], places[at + 1]))
    return [*reversed(last)]


def page_of(places: Iterator[Place], under: Any, limit: int, now: float) -> Page:
    """Return what is held at the next places."""
    entries: list[Listed] = []
    length, looked_at = len(under), 0
    for space, key in islice(places, limit):
        looked_at += 1
        if space.name[:length] != under:
            continue
        held = space.get(key)
        if held is None or not space.live:
            continue
        _, _, expiry, seconds, *_ = spelled_out(held)
        if expiry is None or expiry > now:
            entries.append(Listed(space.name, key, size_of(key, held), None, expiry, seconds))
    return Page(entries, places if looked_at == limit else None)
