"""Where evict="cost" keeps the order in which entries leave memory: by worth, see ``hitrate.worth``.

An entry knows its place by a number that its namespace holds (``Space.ranks``), so that an entry that left and came
back is not taken for the one that its old place was for. The store's lock is held during all of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hitrate.stores.memory.dividing import Divisible
from hitrate.stores.memory.space import SECONDS, SIZE, UNRANKED, VISITED, Space
from hitrate.worth import State, Worth

_PLACES_PER_STEP = 2_000


class Ranks:
    """The places of a store's entries in the order of worth."""

    __slots__ = ("worth",)

    def __init__(self) -> None:
        self.worth: Worth[Space] = Worth()

    def place(self, space: Space, keys: Sequence[Any]) -> None:
        """Give entries their places."""
        if space.ranks is UNRANKED:
            space.ranks = Divisible()
        add, ranks = self.worth.add, space.ranks
        for key in keys:
            held = space[key]
            ranks[key] = add(space, key, held[SECONDS], held[SIZE])

    def forget(self, space: Space, key: Any) -> None:
        """Note that an entry leaves, if it has a place."""
        if space.ranks and space.ranks.pop(key, None) is not None:
            self.worth.dead += 1

    def forget_all(self, space: Space) -> None:
        """Note that a whole namespace leaves."""
        self.worth.dead += len(space.ranks)

    def sweep(
        self,
        visit_noted: Callable[[Space, Any], object],
        spared: Callable[[tuple[Space, Any]], bool],
        excess_bytes: int,
        excess_entries: int,
    ) -> list[tuple[Space, Any]]:
        """Choose what to evict, as ``Worth.sweep``; what is chosen has no place any more."""
        evicted = self.worth.sweep(_state, visit_noted, spared, excess_bytes, excess_entries)
        for space, key in evicted:
            del space.ranks[key]
        return evicted

    @property
    def wants_compacting(self) -> bool:
        """Whether more than half of the places are of entries that have left."""
        return self.worth.wants_compacting

    def compact(self) -> Iterator[None]:
        """Forget the places of entries that have left; the lock is held during each step, and not between two."""
        return self.worth.compact(_has_left, _PLACES_PER_STEP)

    @property
    def parts(self) -> list[deque[Any]]:
        """All places, for whoever lets go of them."""
        return self.worth.queues


def _has_left(space: Space, key: Any, number: int) -> bool:
    return space.ranks.get(key) != number or not space.live


def _state(space: Space, key: Any, number: int) -> State | None:
    if _has_left(space, key, number):
        return None
    held = space[key]
    return held[VISITED], held[SECONDS], held[SIZE]
