"""Which entries leave memory when there is no room: by SIEVE's hand (``hitrate.sieve``), or by worth (``ranks.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hitrate.exclusive import when_free
from hitrate.failsafe import log
from hitrate.sieve import sweep
from hitrate.stores.memory.space import Space

if TYPE_CHECKING:
    from hitrate.stores.memory.entries import Entries

_SLACK = 256  # of what may be held, one part in so many is freed at once
_SLACK_AT_MOST = 1 << 18  # bytes: of small entries some 800, which takes 3 ms


def make_room(entries: Entries, fresh: set[tuple[Any, Any]]) -> None:
    """Evict until the limits hold; what has just been stored goes only if there is nothing else. The lock is held."""
    entries.take_back_all_room()
    if entries.granted <= entries.max_bytes and entries.queued <= entries.max_entries:
        return
    if entries.evictions == 0:
        when_free(
            log.warning,
            "InMemoryCache is full (%s entries, %s bytes; max_entries=%s, max_bytes=%s) and evicts from now on",
            *(entries.queued, entries.granted, *entries.limits),
        )
    # Evict some more, so that the next writes find room, and need no lock.
    slack = min(entries.max_bytes // _SLACK, _SLACK_AT_MOST) if entries.granted > entries.max_bytes else 0
    spared = {(space, key) for name, key in fresh if (space := entries.spaces.get(name)) is not None}
    for spare, more in ((spared, slack), (set[tuple[Space, Any]](), 0)):
        if entries.by_worth:  # the hand below takes what is left to evict after a bounded search: usually nothing
            excess = entries.granted + more - entries.max_bytes, entries.queued - entries.max_entries
            for space, key in entries.ranks.sweep(spare, *excess):
                entries.drop_for_room(space, key)
        ring = (each for each in entries.arrivals.ring() if each[0] not in spare)
        decided = sweep(ring, entries.granted + more - entries.max_bytes, entries.queued - entries.max_entries)
        for (space, key), _ in decided.evicted:
            entries.drop_for_room(space, key)
        for space, key in decided.cleared:
            space.clear_visited(key)
        if entries.granted <= entries.max_bytes and entries.queued <= entries.max_entries:
            return
