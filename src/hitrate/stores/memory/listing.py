"""Listing what memory holds: the places of all entries are copied at once, and looked at in steps.

A place is a namespace's dict and a key. To copy those of 100,000 entries takes less than a millisecond of the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hitrate.stores.base import Listed, Page
from hitrate.stores.memory.space import CREATED, EXPIRY, SECONDS, SIZE, Space
from hitrate.stores.oldest_first import OldestFirst

if TYPE_CHECKING:
    from hitrate.stores.memory.store import MemoryStore

_SETTLED_AT_ONCE = 256
_GATHERED_AT_ONCE = 1024


class Place:
    """How far a listing has come.

    Attributes:
        places: where entries are, in their order of arrival: space, key, space, key, and so on.
        left: how many of these pairs, the first, are still to be looked at.
        seen: what was looked at, if an entry may stand there twice, of which the last counts.
        rows: the numbers of pairs by the times of their entries.
    """

    def __init__(self, places: list[Any], doubles: bool) -> None:
        self.places = places
        self.left = len(places) // 2
        self.seen: set[tuple[Space, Any]] | None = set() if doubles else None
        self.rows = OldestFirst()


def begin(store: MemoryStore) -> Place:
    """Return the place before the first entry.

    A store without limits keeps the order of arrival within each namespace alone.
    """
    copied = store.copy_places(_SETTLED_AT_ONCE)
    return Place(*copied) if copied is not None else Place(_in_spaces(store), False)


def _in_spaces(store: MemoryStore) -> list[Any]:
    places: list[Any] = []
    for space in list(store.spaces.values()):
        keys = list(space)  # no thread switch can happen in it: see the head of stores/memory/store.py
        pairs: list[Any] = [space] * (2 * len(keys))
        pairs[1::2] = keys
        places += pairs
    return places


def page_of(place: Place, under: Any, limit: int, now: float) -> Page:
    """Return the next page, which is empty while the times of the entries are still being gathered."""
    if place.left:
        _gather(place, under)
        return Page((), place)
    found: list[tuple[int, Listed]] = []
    numbers = place.rows.take(limit)
    for number in numbers:
        space, key = place.places[2 * number : 2 * number + 2]
        held = space.get(key)
        if held is None or not space.live:
            continue
        expiry = held[EXPIRY]
        if expiry is None or expiry > now:
            found.append((number, Listed(space.name, key, held[SIZE], held[CREATED], expiry, held[SECONDS])))
    return Page(place.rows.told(found), place if numbers else None)


def _gather(place: Place, under: Any) -> None:
    """Look at the times of some more entries, the last first."""
    end, place.left = place.left, max(0, place.left - _GATHERED_AT_ONCE)
    length, seen, rows = len(under), place.seen, []
    for number in range(end - 1, place.left - 1, -1):
        space, key = pair = place.places[2 * number], place.places[2 * number + 1]
        if seen is not None:
            if pair in seen:
                continue
            seen.add(pair)
        if space.name[:length] == under:
            held = space.get(key)
            rows.append((number, None if held is None else held[CREATED]))
    place.rows.gather(rows)
