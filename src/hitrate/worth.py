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
from typing import Any, Generic, TypeVar

GroupT = TypeVar("GroupT")

HITS_PER_TURN = 2
HITS_AT_MOST = 15
_SECONDS_AT_LEAST, _SECONDS_AT_MOST = 1e-9, 1e9
_MEDIAN_STEP = 1.05
_LOOKS = 512
"""Places that a sweep looks at, with four more for each entry that it evicts: after that, visited ones go too."""


State = tuple[bool, float, int]
"""Of an entry: whether it was visited, the seconds that it took (0 if that is not known), and its bytes."""

_FIELDS = 5
_PRIORITY = 3


class Median:
    """The median of the seconds that entries took, nearly: each one moves it a step towards itself.

    Attributes:
        seconds: what it is now; 0 as long as none are known.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Move the median towards the seconds that an entry took; 0, not known, moves nothing."""
        if seconds > 0:
            median = self.seconds or seconds
            self.seconds = median * _MEDIAN_STEP if seconds > median else median / _MEDIAN_STEP

    def rank(self, hits: int, seconds: float, size: int) -> int:
        """Return the class of an entry: the power of two nearest to its worth.

        Args:
            hits: how often it is counted as read.
            seconds: how long it took to make; 0 if that is not known, which counts as the median.
            size: its bytes.
        """
        seconds = min(max(seconds or self.seconds or 1.0, _SECONDS_AT_LEAST), _SECONDS_AT_MOST)
        return round(log2(hits * seconds / size))


class Worth(Generic[GroupT]):
    """The queues of all classes; a class is the power of two nearest to the worth of its entries.

    A place in a queue is five items in a row: the group and the key of the entry, the number of the place, the
    priority, of which the lowest is first, and the hits: 1 for the arrival, and two for each turn at which the entry
    had been visited. An object for each place would be one more for the garbage collector to look at, in each of its
    pauses.

    Attributes:
        dead: how many of the places are of entries that have left; whoever lets one leave counts it.
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

    def add(self, group: GroupT, key: Any, seconds: float, size: int) -> int:
        """Give an entry a place.

        Args:
            group: with the key, what to call it.
            key: as above.
            seconds: how long it took to make; 0 if that is not known, which counts as the median of the others.
            size: its bytes.

        Returns:
            The number of its place, which no other has.
        """
        self._median.add(seconds)
        self._numbers += 1
        self._queue(self._median.rank(1, seconds, size), group, key, self._numbers, 1)
        return self._numbers

    def sweep(
        self,
        state_of: Callable[[GroupT, Any, int], State | None],
        visit_noted: Callable[[GroupT, Any], object],
        spared: Callable[[tuple[GroupT, Any]], bool],
        excess_bytes: int,
        excess_entries: int,
    ) -> list[tuple[GroupT, Any]]:
        """Choose what to evict so that both excesses are gone; their places are gone with that.

        The work is bounded, so that less may be chosen where many places are of entries that have left.

        Args:
            state_of: the state of the entry of a group, key and number; None if it has left.
            visit_noted: is told the group and key of each entry whose visited bit is to be cleared.
            spared: whether an entry is not to be chosen now.
            excess_bytes: how many bytes must go; 0 or less for none.
            excess_entries: how many entries must go; 0 or less for none.

        Returns:
            Groups and keys.
        """
        evicted: list[tuple[GroupT, Any]] = []
        aside: list[tuple[int, tuple[Any, ...]]] = []
        looks = 0
        while (excess_bytes > 0 or excess_entries > 0) and self._queues:
            allowed = _LOOKS + 4 * len(evicted)
            if looks >= 2 * allowed:
                break
            looks += 1
            rank = min(self._queues, key=self._first_priority)
            group, key, number, priority, hits = place = self._take_first(rank)
            state = state_of(group, key, number)
            if state is None:
                self.dead -= 1
                continue
            if spared((group, key)):
                aside.append((rank, place))
                continue
            visited, seconds, size = state
            if visited:
                hits = min(hits + HITS_PER_TURN, HITS_AT_MOST)
            now = self._median.rank(hits, seconds, size)
            self._level = max(self._level, priority)
            # It was read meanwhile, or replaced by a value of more worth.
            if (visited or now > rank) and looks < allowed:
                visit_noted(group, key)
                self._queue(now, group, key, number, hits)
                continue
            evicted.append((group, key))
            excess_bytes -= size
            excess_entries -= 1
        for rank, place in reversed(aside):
            self._queues.setdefault(rank, deque()).extendleft(reversed(place))
        return evicted

    @property
    def wants_compacting(self) -> bool:
        """Whether more than half of the places are of entries that have left."""
        return self.dead > 2 * _LOOKS and 2 * self.dead > len(self)

    def compact(self, has_left: Callable[[GroupT, Any, int], bool], at_once: int) -> Iterator[None]:
        """Forget the places of entries that have left, some in each step; nothing else may happen within a step.

        A place that is added between two steps may come before older ones, and is then looked at too early, which is
        harmless.

        Args:
            has_left: tells whether the entry of a group, key and number has left.
            at_once: how many places to look at in a step.
        """
        for rank in [*self._queues]:
            left = len(self._queues.get(rank, ())) // _FIELDS
            while left > 0 and rank in self._queues:
                for _ in range(min(at_once, left, len(self._queues[rank]) // _FIELDS)):
                    place = self._take_first(rank)
                    if has_left(*place[:_PRIORITY]):
                        self.dead -= 1
                    else:
                        self._queues.setdefault(rank, deque()).extend(place)
                left -= at_once
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

    def _queue(self, rank: int, group: GroupT, key: Any, number: int, hits: int) -> None:
        queue = self._queues.get(rank)
        if queue is None:
            queue = self._queues[rank] = deque()
        queue.extend((group, key, number, self._level + 2.0**rank, hits))
