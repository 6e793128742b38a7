"""Where evict="cost" keeps the order in which entries leave memory: by worth, see ``hitrate.worth``.

There is a queue for each class of worth. A place in a queue is five items in a row: the namespace's entries and the key
of the entry, the number of the place, the priority, of which the lowest is first, and the hits: 1 for the arrival, and
two for each turn at which the entry had been visited. An object for each place would be one more for the garbage
collector to look at, in each of its pauses.

An entry knows its place by a number that its namespace holds (``Space.ranks``), so that an entry that left and came
back is not taken for the one that its old place was for. The store's lock is held during all of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Sequence
from typing import Any

from hitrate.stores.memory.dividing import Divisible
from hitrate.stores.memory.space import SECONDS, SIZE, UNRANKED, VISITED, Space
from hitrate.worth import HITS_AT_MOST, HITS_PER_TURN, Median

_LOOKS = 512
"""Places that a sweep looks at, with four more for each entry that it evicts: after that, visited ones go too."""

_PLACES_PER_STEP = 2_000

_FIELDS = 5
_PRIORITY = 3


class Ranks:
    """The places of a store's entries in the order of worth.

    Attributes:
        dead: how many of the places are of entries that have left.
    """

    def __init__(self) -> None:
        self.dead = 0
        self._queues: dict[int, deque[Any]] = {}
        self._numbers = 0
        self._level = 0.0
        self._median = Median()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values())) // _FIELDS

    @property
    def queues(self) -> list[deque[Any]]:
        """All places, for a caller that frees them in steps."""
        return [*self._queues.values()]

    def place(self, space: Space, keys: Sequence[Any]) -> None:
        """Give entries their places."""
        if space.ranks is UNRANKED:
            space.ranks = Divisible()
        median, ranks = self._median, space.ranks
        for key in keys:
            held = space[key]
            median.add(held[SECONDS])
            self._numbers += 1
            ranks[key] = self._numbers
            self._queue(median.rank(1, held[SECONDS], held[SIZE]), space, key, self._numbers, 1)

    def forget(self, space: Space, key: Any) -> None:
        """Note that an entry leaves, if it has a place."""
        if space.ranks and space.ranks.pop(key, None) is not None:
            self.dead += 1

    def forget_all(self, space: Space) -> None:
        """Note that a whole namespace leaves."""
        self.dead += len(space.ranks)

    def sweep(
        self, spared: Container[tuple[Space, Any]], excess_bytes: int, excess_entries: int
    ) -> list[tuple[Space, Any]]:
        """Choose what to evict so that both excesses are gone; what is chosen has no place any more.

        The work is bounded, so that less may be chosen where many places are of entries that have left.

        Args:
            spared: what is not to be chosen now.
            excess_bytes: how many bytes must go; 0 or less for none.
            excess_entries: how many entries must go; 0 or less for none.
        """
        evicted: list[tuple[Space, Any]] = []
        aside: list[tuple[int, tuple[Any, ...]]] = []
        looks = 0
        while (excess_bytes > 0 or excess_entries > 0) and self._queues:
            allowed = _LOOKS + 4 * len(evicted)
            if looks >= 2 * allowed:
                break
            looks += 1
            rank = min(self._queues, key=self._first_priority)
            space, key, number, priority, hits = place = self._take_first(rank)
            if _has_left(space, key, number):
                self.dead -= 1
                continue
            if (space, key) in spared:
                aside.append((rank, place))
                continue
            held = space[key]
            if held[VISITED]:
                hits = min(hits + HITS_PER_TURN, HITS_AT_MOST)
            now = self._median.rank(hits, held[SECONDS], held[SIZE])
            self._level = max(self._level, priority)
            # It was read meanwhile, or replaced by a value of more worth.
            if (held[VISITED] or now > rank) and looks < allowed:
                space.clear_visited(key)
                self._queue(now, space, key, number, hits)
                continue
            evicted.append((space, key))
            del space.ranks[key]
            excess_bytes -= held[SIZE]
            excess_entries -= 1
        for rank, place in reversed(aside):
            self._queues.setdefault(rank, deque()).extendleft(reversed(place))
        return evicted

    @property
    def wants_compacting(self) -> bool:
        """Whether more than half of the places are of entries that have left."""
        return self.dead > 2 * _LOOKS and 2 * self.dead > len(self)

    def compact(self) -> Iterator[None]:
        """Forget the places of entries that have left, some in each step; between two steps the lock may be released.

        A place that is added between two steps may come before older ones, and is then looked at too early, which is
        harmless.
        """
        for rank in [*self._queues]:
            left = len(self._queues.get(rank, ())) // _FIELDS
            while left > 0 and rank in self._queues:
                for _ in range(min(_PLACES_PER_STEP, left, len(self._queues[rank]) // _FIELDS)):
                    place = self._take_first(rank)
                    if _has_left(*place[:_PRIORITY]):
                        self.dead -= 1
                    else:
                        self._queues.setdefault(rank, deque()).extend(place)
                left -= _PLACES_PER_STEP
                yield

    def _take_first(self, rank: int) -> tuple[Any, ...]:
        queue = self._queues[rank]
        take = queue.popleft
        place = take(), take(), take(), take(), take()
        if not queue:
            del self._queues[rank]
        return place

    def _first_priority(self, rank: int) -> float:
        priority: float = self._queues[rank][_PRIORITY]
        return priority

    def _queue(self, rank: int, space: Space, key: Any, number: int, hits: int) -> None:
        queue = self._queues.get(rank)
        if queue is None:
            queue = self._queues[rank] = deque()
        queue.extend((space, key, number, self._level + 2.0**rank, hits))


def _has_left(space: Space, key: Any, number: int) -> bool:
    return space.ranks.get(key) != number or not space.live
