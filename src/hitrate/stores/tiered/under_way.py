"""What is under way: which of the reads and writes that end now may leave their entries in the nearer tiers.

A read that began before a write ended may bring back what the write replaced, and of two writes that overlap nobody
knows which came last to the far tier. So an access is spoiled for a key as soon as another write of it overlaps, in
whatever order they begin and end; a read's entry is then not kept, and a write's is removed. Reads do not disturb
each other.

Nothing here waits or locks: the caller holds one lock around each call together with what it does to the nearer tiers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hitrate.keys import EncodedKey

Change = tuple[str, Any]
"""What is changed, as the method of a store that drops it and its argument: ``("write", keys)``, ``("clear", names)``
with None for all names, or ``("clear_under", prefix)``."""


class Access:
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

    @property
    def change(self) -> Change:
        """What it writes or clears."""
        if self.keys:
            return "write", self.keys
        return ("clear", self.names) if self.prefix is None else ("clear_under", self.prefix)

    def clears(self, name: bytes) -> bool:
        """Tell whether it clears a namespace."""
        return self.names is None or name in self.names or (self.prefix is not None and name.startswith(self.prefix))


class UnderWay:
    """The reads and writes that are under way.

    Attributes:
        changes: how often anything began or ended to change.
        writing: the writes and clears that are under way, until the nearer tiers hold what they changed.
    """

    def __init__(self) -> None:
        self._by_key: dict[EncodedKey, list[Access]] = {}
        self._clears: list[Access] = []
        self.changes = 0
        self.writing: set[Access] = set()

    def begin(self, access: Access) -> Access:
        """Note an access, and spoil what it overlaps."""
        if access.writes:
            self.writing.add(access)
            self.spoil(*access.change)
            if not access.keys:
                self._clears.append(access)
        for key in access.keys:
            others = self._by_key.setdefault(key, [])
            if any(other.writes for other in others) or any(clear.clears(key[0]) for clear in self._clears):
                access.spoiled.add(key)
            others.append(access)
        return access

    def spoil(self, do: str, what: Any) -> None:
        """Spoil what is under way for something that was changed, or may have been. The arguments are a ``Change``."""
        self.changes += 1
        if what is None:
            for others in self._by_key.values():
                for access in others:
                    access.wholly = True
            return
        keys = what
        if do == "clear":
            names = frozenset(what)
            keys = [key for key in self._by_key if key[0] in names]
        elif do == "clear_under":
            keys = [key for key in self._by_key if key[0].startswith(what)]
        for key in keys:
            for access in self._by_key.get(key, ()):
                access.spoiled.add(key)

    def end(self, access: Access) -> list[EncodedKey]:
        """Forget an access; return its keys that are not spoiled."""
        if access.keys:
            for key in access.keys:
                others = self._by_key.get(key)
                if others is None:  # a child that was forked meanwhile
                    continue
                if access in others:
                    others.remove(access)
                if not others:
                    self._by_key.pop(key, None)
        elif access in self._clears:
            self._clears.remove(access)
        return self.clean(access)

    def passed_on(self, access: Access | None = None) -> None:
        """Note that the nearer tiers hold nothing any more that an access, or another process, has changed."""
        self.changes += 1
        if access is not None:
            self.writing.discard(access)

    def state(self) -> int | None:
        """Return a number that is the same until anything is changed; None while anything is being changed."""
        return None if self.writing else self.changes

    @staticmethod
    def clean(access: Access) -> list[EncodedKey]:
        """Return the keys of an access that are not spoiled so far."""
        if access.wholly:
            return []
        return [key for key in access.keys if key not in access.spoiled] if access.spoiled else list(access.keys)
