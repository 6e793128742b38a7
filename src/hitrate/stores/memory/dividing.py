"""A dict that goes on in parts once it is large, so that no insertion takes long.

CPython makes room in a dict by building it anew, in one step during which no other thread runs: for a million keys that
takes 50 ms, and comes again with every 700,000 new ones. So a dict that has become large is divided: each new key goes
into one of many small dicts, which its hash chooses. What was there stays together, until it is moved in small steps.

The object remains the same for all who refer to it; only its class changes. Before that it is a dict as any other,
whose reads cost nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from itertools import chain, islice
from typing import Any, ClassVar, TypeVar

K = TypeVar("K")
V = TypeVar("V")

LARGE = 1 << 17
"""Keys from which on a dict is to be divided: to build one of so many anew takes some 5 ms."""

_PARTS = 127  # a prime: keys whose hashes end in the same bits would meet in one place of a dict


class _Part(dict[K, V]):
    """A part of it. The garbage collector takes a plain dict for new, and looks through it, with each write."""

    __slots__ = ()


class Divisible(dict[K, V]):
    """A dict that can be divided. Its values are not None.

    Attributes:
        parts: the dicts in which it goes on; None as long as it is whole.
        first: what was there when it was divided, and has not been removed or moved since.
        count: how many keys there are in all of these.
    """

    __slots__ = ("count", "first", "parts")

    divided: ClassVar[type[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[dict[K, V]] | None = None

    def divide(self) -> None:
        """Go on in parts. Nobody may change it meanwhile; whoever reads finds everything at any time."""
        self.first = _Part(self)
        self.count = len(self)
        parts: list[dict[K, V]] = [_Part() for _ in range(_PARTS)]
        # One line, see the head of stores/memory/store.py: nobody finds it half divided.
        self.parts = parts; self.__class__ = self.divided; dict.clear(self)  # fmt: skip  # noqa: E702

    def part_of(self, key: K) -> dict[K, V]:
        """Return the dict that holds a key, or is to hold it, as long as nobody removes or moves it."""
        return self

    def dicts(self) -> list[dict[K, V]]:
        """Return the dicts that hold what is in it."""
        return [self]


class Divided(Divisible[K, V]):
    """A dict that is divided.

    It can be read while another thread changes it or moves what is in it: nothing ever comes into the first of its
    dicts, and that is where a key is looked for at first.
    """

    __slots__ = ()

    parts: list[dict[K, V]]

    def part_of(self, key: K) -> dict[K, V]:
        first = self.first
        return first if key in first else self.parts[hash(key) % _PARTS]

    def get(self, key: K, default: Any = None) -> Any:
        value = self.first.get(key)
        return self.parts[hash(key) % _PARTS].get(key, default) if value is None else value

    def __getitem__(self, key: K) -> V:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value  # type: ignore[no-any-return]

    def __contains__(self, key: object) -> bool:
        return key in self.first or key in self.parts[hash(key) % _PARTS]

    def __setitem__(self, key: K, value: V) -> None:
        part = self.part_of(key)
        if key in part:
            part[key] = value
        else:
            # One line, as above.
            part[key] = value; self.count += 1  # fmt: skip  # noqa: E702

    def __delitem__(self, key: K) -> None:
        self.pop(key)

    def pop(self, key: K, *default: Any) -> Any:
        part = self.part_of(key)
        if default and key not in part:
            return default[0]
        value = part[key]
        # One line, as above.
        del part[key]; self.count -= 1  # fmt: skip  # noqa: E702
        if part is self.first and not part:
            part.clear()  # of the memory for what was in it
        return value

    def clear(self) -> None:
        for part in self.dicts():
            part.clear()
        self.count = 0

    def move(self, most: int) -> bool:
        """Move some keys out of the first dict; tell whether there are more. Nobody may remove anything meanwhile."""
        first = self.first
        for key in [*islice(reversed(first), most)]:
            part = self.parts[hash(key) % _PARTS]
            # One line, as above.
            part[key] = first[key]; del first[key]  # fmt: skip  # noqa: E702
        if not first:
            first.clear()  # as above
        return bool(first)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[K]:
        return chain(*self.dicts())

    def keys(self) -> KeysView[K]:  # type: ignore[override]
        return KeysView(self)

    def values(self) -> Iterator[V]:  # type: ignore[override]
        return chain.from_iterable([part.values() for part in self.dicts()])

    def items(self) -> Iterator[tuple[K, V]]:  # type: ignore[override]
        return chain.from_iterable([part.items() for part in self.dicts()])

    def dicts(self) -> list[dict[K, V]]:
        return [self.first, *self.parts]


Divisible.divided = Divided
