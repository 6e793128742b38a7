"""What the store in memory holds: the entries of a namespace, each in the form that serves its hits best.

What is held for a key is immutable, and whatever changes (a visited bit, another form of the value) replaces it. A
reader therefore needs no lock: it sees one form or the other, each of them whole.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Mapping
from itertools import islice
from typing import Any

from hitrate.stats import Counts
from hitrate.stores.memory.dividing import Divided, Divisible

Held = tuple[Any, ...]
"""What is held for a key: (encoding, payload, expiry, seconds, visited, created, size).

The first four are an entry's, ``visited`` is SIEVE's bit, ``created`` says when the value was stored, in seconds since
the epoch, and ``size`` is the bytes that the entry counts as. What follows is the cache's own. A callable in the place
of the encoding makes the value from the payload; None says that the payload is the value. The reads and writes that are
done most take fields by their number, which a named tuple would make slower to build.
"""

EXPIRY, SECONDS, VISITED, CREATED, SIZE = 2, 3, 4, 5, 6

ABSENT: Held = (None, None, -1.0, 0.0, False, 0.0, 0)
"""Stands for what a new entry replaces: it takes no bytes, and has been noted as due already."""

ENTRY_OVERHEAD = 280
"""Bytes that an entry takes beyond its key and payload: its tuple and the numbers in it, its slot in the dict, its
place in the order of arrival and object headers."""

UNRANKED: Divisible[Any, int] = Divisible()
"""Stands for the ranks of a namespace none of whose entries has one."""

_BURIED = -(1 << 62)
_CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


class Space(Divisible[Any, Held]):
    """The entries of one namespace.

    Attributes:
        name: the namespace.
        counts: what is counted of the namespace, which outlasts these entries.
        granted: bytes that count as taken by it: by its entries, and the room.
        room: bytes that may be stored without the lock; far below 0 once the namespace was cleared or left empty, and
            an entry that is put into it would be lost.
        queued: how many of its entries, the first in its order, have their place in the order of arrival.
        ranks: the number of each entry's place in the order of worth, where that decides what is evicted.
        latest: of a large namespace, the keys that have no place in the order of arrival yet, in their order.
        decoded: whether an entry was found to be served best by decoding it for each hit; others here are alike.
    """

    __slots__ = ("counts", "decoded", "granted", "latest", "name", "queued", "ranks", "room")

    latest: dict[Any, None]

    def __init__(self, name: Any, counts: Counts) -> None:
        self.parts = None  # all that the inherited one does: namespaces come and go
        self.name = name
        self.counts = counts
        self.granted = 0
        self.room = 0
        self.queued = 0
        self.ranks = UNRANKED
        self.decoded = False

    @property
    def size(self) -> int:
        """Bytes that its entries take."""
        return self.granted - self.room

    @property
    def live(self) -> bool:
        """False once it was cleared or left empty."""
        return self.room > _BURIED // 2

    def bury(self) -> None:
        """Let nothing more into it."""
        self.room = _BURIED

    def take_room(self) -> int:
        """Take all of its room, so that nobody writes to it without the lock; return how much it was."""
        # One line, within which nobody can spend of it: see the head of stores/memory/store.py.
        room = self.room; self.room = 0; return room  # fmt: skip  # noqa: E702

    def exchange(self, key: Any, held: Held, other: Held) -> bool:
        """Hold another form of an entry if it is still this one that is held; tell whether it was."""
        # One line, as above. It may have been divided since this was called.
        if self.parts is None and key in self and self[key] is held: self[key] = other; return True  # fmt: skip  # noqa: E701, E702
        return False

    def clear_visited(self, key: Any) -> None:
        """Clear the visited bit of an entry."""
        held = self[key]
        if held[VISITED]:
            self.exchange(key, held, with_visited(held, False))

    def arrived(self, count: int) -> list[Any]:
        """Return so many keys, the last that came, in their order; they are about to get their place in it."""
        return [*islice(reversed(self), count)][::-1]

    def divide(self) -> None:
        """Go on in parts. It has no room meanwhile."""
        if self.ranks and self.ranks.parts is None:
            self.ranks.divide()
        self.latest = {}
        super().divide()

    __hash__ = object.__hash__  # type: ignore[assignment]  # told apart by identity in the order of arrival

    def __eq__(self, other: object) -> bool:
        return self is other


class LargeSpace(Divided[Any, Held], Space):
    """The entries of a namespace that has so many that they lie in parts."""

    __slots__ = ()

    def __setitem__(self, key: Any, held: Held) -> None:
        part = self.part_of(key)
        if key in part:
            part[key] = held
        else:
            # One line, as above.
            part[key] = held; self.count += 1; self.latest[key] = None  # fmt: skip  # noqa: E702

    def exchange(self, key: Any, held: Held, other: Held) -> bool:
        """Hold another form of an entry if it is still this one that is held; tell whether it was."""
        part = self.part_of(key)
        # One line, as above.
        if key in part and part[key] is held: part[key] = other; return True  # fmt: skip  # noqa: E701, E702
        return False

    def update(self, batch: Mapping[Any, Held]) -> None:  # type: ignore[override]  # all that is asked of it
        for key, held in batch.items():
            self[key] = held

    def arrived(self, count: int) -> list[Any]:
        keys = [*self.latest][-count:]
        self.latest = {}
        return keys


Space.divided = LargeSpace


def size_of(key: Any, payload: Any) -> int:
    """Return the bytes that an entry counts as while its value is held as a payload, or is one."""
    return len(payload) + len(key) + ENTRY_OVERHEAD


def with_visited(held: Held, visited: bool) -> Held:
    """Return what is held with the visited bit set or cleared."""
    return (*held[:VISITED], visited, *held[VISITED + 1 :])


def footprint(value: Any) -> int:
    """Return about how many bytes a value takes as objects, with all that it refers to but classes and functions."""
    seen: dict[int, Any] = {}
    level = [value]
    while level:
        for each in level:
            seen[id(each)] = each
        level = [each for each in gc.get_referents(*level) if id(each) not in seen and not isinstance(each, _CODE)]
    return sum(map(sys.getsizeof, seen.values()))
