"""What is under way: which of the reads and writes that end now may leave their entries in the nearer tiers.

A read that began before a write ended may bring back what the write replaced, and of two writes that overlap nobody
knows which came last to the far tier. So an access is spoiled for a key as soon as another write of it overlaps, in
whatever order they begin and end; a read's entry is then not kept, and a write's is removed. Reads do not disturb
each other.

Nothing here waits or locks: the caller holds one lock around each call together with what it does to the nearer tiers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from hitrate.keys import EncodedKey
from hitrate.stores.debts import concerned_by


class Access:
    """A read or a write that is under way.

    Args:
        do: ``"get"``, or what it does by a ``Change``.
        what: the keys of ``get``, or what it changes.

    Attributes:
        change: both of these.
        writes: whether it changes anything.
        keys: what it reads or writes; nothing for a clear.
        clears: tells whether it clears the namespace of a key; None for a read, and for a write of keys.
        spoiled: those of the keys that were changed by another meanwhile.
    """

    __slots__ = ("change", "clears", "keys", "spoiled", "writes")

    def __init__(self, do: str, what: Any) -> None:
        self.change = do, what
        self.writes = do != "get"
        is_clear = do in ("clear", "clear_under")
        self.keys: Collection[EncodedKey] = () if is_clear else what
        self.clears = concerned_by(do, what) if is_clear else None
        self.spoiled: set[EncodedKey] = set()


class UnderWay:
    """The reads and writes that are under way.

    Attributes:
        changes: how often anything began or ended to change.
        writing: the writes and clears that are under way, until the nearer tiers hold what they changed.
    """

    def __init__(self) -> None:
        self._by_key: dict[EncodedKey, list[Access]] = {}
        self._clears: dict[Access, Callable[[EncodedKey], bool]] = {}
        self.changes = 0
        self.writing: set[Access] = set()

    def begin(self, access: Access) -> Access:
        """Note an access, and spoil what it overlaps."""
        if access.writes:
            self.writing.add(access)
            self.spoil(*access.change)
        if access.clears is not None:
            self._clears[access] = access.clears
        for key in access.keys:
            others = self._by_key.setdefault(key, [])
            if any(other.writes for other in others) or any(clears(key) for clears in self._clears.values()):
                access.spoiled.add(key)
            others.append(access)
        return access

    def spoil(self, do: str, what: Any) -> None:
        """Spoil what is under way for a ``Change`` that was made, or may have been."""
        self.changes += 1
        for key in what if do == "write" else filter(concerned_by(do, what), self._by_key):
            for access in self._by_key.get(key, ()):
                access.spoiled.add(key)

    def end(self, access: Access) -> list[EncodedKey]:
        """Forget an access; return its keys that are not spoiled."""
        for key in access.keys:
            others = self._by_key.get(key)
            if others is None:  # a child that was forked meanwhile
                continue
            if access in others:
                others.remove(access)
            if not others:
                self._by_key.pop(key, None)
        self._clears.pop(access, None)
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
        return [key for key in access.keys if key not in access.spoiled] if access.spoiled else list(access.keys)
