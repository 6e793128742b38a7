"""The order in which entries arrived in memory, and the hand that evicts.

An entry that leaves keeps its place in the order until the order is compacted. A million places are not looked at in
one step: that is done beside the lock, in small steps, and only the exchange of one list for the other takes the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Any

from hitrate.sieve import rounds
from hitrate.stores.memory.space import SIZE, VISITED, Space

_DEAD_AT_LEAST = 1024
_AT_ONCE = 4096
"""Places that are compacted at once, and in a step."""


class Arrivals:
    """The order of arrival, and the hand.

    Attributes:
        places: space, key, space, key, and so on: a pair an entry would cost 56 bytes.
        hand: where in it the next sweep begins.
        dead: how many of its entries have left.
    """

    __slots__ = ("dead", "hand", "places")

    def __init__(self) -> None:
        self.places: list[Any] = []
        self.hand = 0
        self.dead = 0

    def ring(self) -> Iterator[tuple[tuple[Space, Any], bool, int]]:
        """Yield the live entries from the hand on, as ``sweep`` wants them, moving the hand past each."""
        places = self.places
        live = len(places) // 2 - self.dead
        for end in rounds(len(places) // 2, live):
            while self.hand < 2 * end:
                space, key = places[self.hand : self.hand + 2]
                self.hand += 2
                held = space.get(key)
                if held is not None and space.live:
                    yield (space, key), held[VISITED], held[SIZE]
            self.hand = 0

    def take_over(self, old: Arrivals, spaces: Iterable[Space]) -> None:
        """Take the places of another order, and give one to each entry that has none there."""
        self.places = old.places
        self.hand = min(old.hand, len(self.places)) & ~1
        there = {(self.places[at], self.places[at + 1]) for at in range(0, len(self.places) & ~1, 2)}
        for space in spaces:
            for key in space:
                if (space, key) not in there:
                    self.places += (space, key)
        self.dead = len(self.places) // 2 - sum(map(len, spaces))
        self.compact()

    @property
    def wants_compacting(self) -> bool:
        """Whether more than half of the places are of entries that have left."""
        return self.dead > _DEAD_AT_LEAST and self.dead * 4 > len(self.places)

    @property
    def is_short(self) -> bool:
        """Whether it can be compacted at once."""
        return len(self.places) <= 2 * _AT_ONCE

    def compact(self) -> None:
        """Forget the places of entries that have left, while the lock is held."""
        compaction = Compaction(self)
        deque(compaction.steps(), maxlen=0)
        compaction.finish()


class Compaction:
    """An order of arrival without the places of what has left, made beside the lock.

    Places are only ever added at the end of the list; so those that are there at the beginning stay where they are.
    Where an entry left and came back, the later of its places counts.

    Args:
        arrivals: the order; the lock is held here.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._old = arrivals.places
        self._length = len(arrivals.places)
        self._stays = bytearray(self._length // 2)
        self._kept: list[Any] = []

    def steps(self) -> Iterator[None]:
        """Look at all places, some in each step. The lock need not be held."""
        old, length, stays = self._old, self._length, self._stays
        # Doubles are looked for among keys of like hash: one set for a million keys takes long to grow, and to free.
        alike: list[list[int]] = [[] for _ in range(length // (2 * _AT_ONCE) + 1)]
        for start in range(0, length, 2 * _AT_ONCE):
            part = old[start : min(start + 2 * _AT_ONCE, length)]
            for at, space, key in zip(range(start // 2, length), part[::2], part[1::2], strict=False):
                if key in space and space.live:
                    alike[hash(key) % len(alike)].append(at)
            yield
        for numbers in alike:
            seen: set[tuple[Space, Any]] = set()
            for at in reversed(numbers):
                place = old[2 * at], old[2 * at + 1]
                if place not in seen:
                    seen.add(place)
                    stays[at] = 1
            yield
        for start in range(0, length, 2 * _AT_ONCE):
            part = old[start : min(start + 2 * _AT_ONCE, length)]
            pairs = zip(part[::2], part[1::2], strict=True)
            for pair in compress(pairs, stays[start // 2 : start // 2 + _AT_ONCE]):
                self._kept += pair
            yield

    def finish(self) -> None:
        """Exchange the one list for the other; the lock is held."""
        arrivals, kept, length = self._arrivals, self._kept, self._length
        if arrivals.places is not self._old:
            return
        arrivals.dead -= (length - len(kept)) // 2
        before_hand = 2 * self._stays.count(1, 0, min(arrivals.hand, length) // 2)
        arrivals.hand = before_hand + max(0, arrivals.hand - length)
        kept += self._old[length:]
        arrivals.places = kept

    def free(self) -> Iterator[None]:
        """Let go of the old list, in steps."""
        while self._old:
            del self._old[-2 * _AT_ONCE :]
            yield
