"""What is under way: which of the reads and writes that end now may leave their entries in the nearer tiers.

A read that began before a write ended may bring back what the write replaced, and of two writes that overlap nobody
knows which came last to the far tier. So a flight is spoiled for a key as soon as another write of it overlaps, in
whatever order they begin and end; a read's entry is then not kept, and a write's is removed. Reads do not disturb
each other.

Nothing here waits or locks: the caller holds one lock around each call together with what it does to the nearer tiers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hitrate.keys import EncodedKey


class Flight:
    """A read or a write that is under way.

    Attributes:
        keys: what it reads or writes; nothing for a clear.
        names: the namespaces it clears, None for all; nothing for a read or a write of keys.
        prefix: it clears the namespaces that begin with it too.
        writes: whether it changes anything.
        spoiled: those of the keys that were written by another meanwhile.
        wholly: whether all of them were.
    """

    __slots__ = ("keys", "names", "prefix", "spoiled", "wholly", "writes")

    def __init__(
        self,
        keys: Collection[EncodedKey],
        names: Collection[bytes] | None,
        *,
        writes: bool,
        prefix: bytes | None = None,
    ) -> None:
        self.keys = keys
        self.names = names
        self.prefix = prefix
        self.writes = writes
        self.spoiled: set[EncodedKey] = set()
        self.wholly = False

    def clears(self, name: bytes) -> bool:
        """Tell whether it clears a namespace."""
        return self.names is None or name in self.names or (self.prefix is not None and name.startswith(self.prefix))


class Flights:
    """The reads and writes that are under way.

    Attributes:
        changes: how often anything began or ended to change.
        writing: the writes and clears that are under way, until the nearer tiers hold what they changed.
    """

    def __init__(self) -> None:
        self._by_key: dict[EncodedKey, list[Flight]] = {}
        self._clears: list[Flight] = []
        self.changes = 0
        self.writing: set[Flight] = set()

    def begin_read(self, keys: Collection[EncodedKey]) -> Flight:
        """Note a read; what is being written already, it may not keep."""
        return self.begin(Flight(keys, (), writes=False))

    def begin_write(self, keys: Collection[EncodedKey]) -> Flight:
        """Note a write, which spoils all that is under way for its keys."""
        return self.begin(Flight(keys, (), writes=True))

    def begin_clear(self, names: Collection[bytes] | None) -> Flight:
        """Note a clear, which is a write of every key in its namespaces."""
        return self.begin(Flight((), names, writes=True))

    def begin_clear_under(self, prefix: bytes) -> Flight:
        """Note a clear of all namespaces that begin with a prefix."""
        return self.begin(Flight((), (), writes=True, prefix=prefix))

    def begin(self, flight: Flight) -> Flight:
        """Note a flight, and spoil what it overlaps."""
        if flight.writes:
            self.writing.add(flight)
            self.spoil_what_is_written(flight)
            if not flight.keys:
                self._clears.append(flight)
        for key in flight.keys:
            others = self._by_key.setdefault(key, [])
            if any(other.writes for other in others) or any(clear.clears(key[0]) for clear in self._clears):
                flight.spoiled.add(key)
            others.append(flight)
        return flight

    def spoil_what_is_written(self, flight: Flight) -> None:
        """What a flight writes or clears was changed, or may have been."""
        if flight.keys:
            self.spoil(flight.keys)
        elif flight.prefix is not None:
            self.spoil_under(flight.prefix)
        else:
            self.spoil_namespaces(flight.names)

    def spoil(self, keys: Iterable[EncodedKey]) -> None:
        """Some keys were changed: what is under way for them is not to be kept."""
        self.changes += 1
        for key in keys:
            for flight in self._by_key.get(key, ()):
                flight.spoiled.add(key)

    def spoil_namespaces(self, names: Collection[bytes] | None) -> None:
        """Namespaces were changed, or all for None."""
        if names is None:
            self.changes += 1
            for flights in self._by_key.values():
                for flight in flights:
                    flight.wholly = True
            return
        names = frozenset(names)
        self.spoil([key for key in self._by_key if key[0] in names])

    def spoil_under(self, prefix: bytes) -> None:
        """All namespaces that begin with a prefix were changed."""
        self.spoil([key for key in self._by_key if key[0].startswith(prefix)])

    def end(self, flight: Flight) -> list[EncodedKey]:
        """Forget a flight; return its keys that are not spoiled."""
        if flight.keys:
            for key in flight.keys:
                others = self._by_key.get(key)
                if others is None:  # a child that was forked meanwhile
                    continue
                if flight in others:
                    others.remove(flight)
                if not others:
                    self._by_key.pop(key, None)
        elif flight in self._clears:
            self._clears.remove(flight)
        return self.clean(flight)

    def passed_on(self, flight: Flight | None = None) -> None:
        """The nearer tiers hold nothing any more that a flight, or somebody else, has changed."""
        self.changes += 1
        if flight is not None:
            self.writing.discard(flight)

    def state(self) -> int | None:
        """Return a number that is the same until anything is changed; None while anything is being changed."""
        return None if self.writing else self.changes

    @staticmethod
    def clean(flight: Flight) -> list[EncodedKey]:
        """Return the keys of a flight that are not spoiled so far."""
        if flight.wholly:
            return []
        return [key for key in flight.keys if key not in flight.spoiled] if flight.spoiled else list(flight.keys)
