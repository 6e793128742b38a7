"""Eviction by worth: what saves the fewest seconds per byte goes first.

GreedyDual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
Policy", HP Laboratories, 1998) gives an entry the priority ``level + hits * seconds / bytes`` and evicts the lowest;
``level`` is the priority of what was evicted last, so that old worth fades. Here the worth is rounded to a power of
two, as in CAMP (Ghandeharizadeh et al., Middleware 2014): within a class the priorities only grow, so that a FIFO for
each class takes the place of the heap.

A hit sets the visited bit and moves nothing, as with SIEVE. The bit is looked at when the entry's turn has come: then
it counts as two hits, as one bit may stand for many, up to fifteen in all, and the entry queues again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from math import log2
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

_HITS_PER_TURN = 2
_HITS_AT_MOST = 15
_SECONDS_AT_LEAST, _SECONDS_AT_MOST = 1e-9, 1e9
_MEDIAN_STEP = 1.05
_LOOKS = 512
"""Places that a sweep looks at, with four more for each entry that it evicts: after that, visited ones go too."""


class Place(Generic[ItemT]):
    """An entry's place in the queue of its class.

    Attributes:
        item: what stands there.
        rank: its class, the power of two nearest to its worth.
        priority: what its turn comes by; the lowest is first.
        hits: 1 for its arrival, and two for each turn at which it had been visited, up to fifteen.
    """

    __slots__ = ("hits", "item", "priority", "rank")

    def __init__(self, item: ItemT) -> None:
        self.item = item
        self.rank = 0
        self.priority = 0.0
        self.hits = 1


State = tuple[bool, float, int]
"""Of an entry: whether it was visited, the seconds that it took (0 if that is not known), and its bytes."""


class Worth(Generic[ItemT]):
    """The queues of all classes.

    Attributes:
        dead: how many of the places are of entries that have left; whoever lets one leave counts it.
    """

    def __init__(self) -> None:
        self.dead = 0
        self._queues: dict[int, deque[Place[ItemT]]] = {}
        self._level = 0.0
        self._median = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def queues(self) -> list[deque[Place[ItemT]]]:
        """All places, for whoever lets go of them."""
        return [*self._queues.values()]

    def add(self, item: ItemT, seconds: float, size: int) -> Place[ItemT]:
        """Give an entry a place.

        Args:
            item: what to call it.
            seconds: how long it took to make; 0 if that is not known, which counts as the median of the others.
            size: its bytes.
        """
        if seconds > 0:  # the median, nearly: each one moves it a step towards itself
            median = self._median or seconds
            self._median = median * _MEDIAN_STEP if seconds > median else median / _MEDIAN_STEP
        place = Place(item)
        self._queue(place, self._rank(place, seconds, size))
        return place

    def sweep(
        self,
        state_of: Callable[[Place[ItemT]], State | None],
        visit_noted: Callable[[ItemT], object],
        spared: Callable[[ItemT], bool],
        excess_bytes: int,
        excess_entries: int,
    ) -> list[ItemT]:
        """Choose what to evict so that both excesses are gone; their places are gone with that.

        The work is bounded, so that less may be chosen where many places are of entries that have left.

        Args:
            state_of: the state of the entry at a place; None if it has left.
            visit_noted: is told of each item whose visited bit is to be cleared.
            spared: whether an item is not to be chosen now.
            excess_bytes: how many bytes must go; 0 or less for none.
            excess_entries: how many entries must go; 0 or less for none.
        """
        evicted: list[ItemT] = []
        aside: list[Place[ItemT]] = []
        looks = 0
        while (excess_bytes > 0 or excess_entries > 0) and self._queues:
            allowed = _LOOKS + 4 * len(evicted)
            if looks >= 2 * allowed:
                break
            looks += 1
            rank = min(self._queues, key=self._first_priority)
            queue = self._queues[rank]
            place = queue.popleft()
            if not queue:
                del self._queues[rank]
            state = state_of(place)
            if state is None:
                self.dead -= 1
                continue
            if spared(place.item):
                aside.append(place)
                continue
            visited, seconds, size = state
            if visited:
                place.hits = min(place.hits + _HITS_PER_TURN, _HITS_AT_MOST)
            now = self._rank(place, seconds, size)
            # It was read, or replaced by something of more worth.
            if (visited or now > rank) and looks < allowed:
                self._level = max(self._level, place.priority)
                visit_noted(place.item)
                self._queue(place, now)
                continue
            self._level = max(self._level, place.priority)
            evicted.append(place.item)
            excess_bytes -= size
            excess_entries -= 1
        for place in reversed(aside):
            self._queues.setdefault(place.rank, deque()).appendleft(place)
        return evicted

    @property
    def wants_compacting(self) -> bool:
        """Whether more than half of the places are of entries that have left."""
        return self.dead > 2 * _LOOKS and 2 * self.dead > len(self)

    def compact(self, has_left: Callable[[Place[ItemT]], bool], at_once: int) -> Iterator[None]:
        """Forget the places of entries that have left, some in each step; nothing else may happen within a step.

        What queues between two steps may come to stand before what was there, which costs no more than its turn.
        """
        for rank in [*self._queues]:
            left = len(self._queues.get(rank, ()))
            while left > 0 and (queue := self._queues.get(rank)):
                for _ in range(min(at_once, left, len(queue))):
                    place = queue.popleft()
                    if has_left(place):
                        self.dead -= 1
                    else:
                        queue.append(place)
                left -= at_once
                if not queue:
                    del self._queues[rank]
                yield

    def _first_priority(self, rank: int) -> float:
        return self._queues[rank][0].priority

    def _rank(self, place: Place[ItemT], seconds: float, size: int) -> int:
        seconds = min(max(seconds or self._median or 1.0, _SECONDS_AT_LEAST), _SECONDS_AT_MOST)
        return round(log2(place.hits * seconds / size))

    def _queue(self, place: Place[ItemT], rank: int) -> None:
        place.rank = rank
        place.priority = self._level + 2.0**rank
        queue = self._queues.get(rank)
        if queue is None:
            queue = self._queues[rank] = deque()
        queue.append(place)
