"""What a store still holds and should not, because it did not carry out removals and overwrites.

While a store is down (a tier, or the only store of a cache) it keeps what is deleted, cleared or overwritten meanwhile.
These removals are owed to it: what they concern is not read from it until they are carried out. If very many keys are
owed, only their namespaces are remembered, and if these are very many, only that everything is to be cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any, TypeVar

from hitrate.keys import EncodedKey

T = TypeVar("T")

KEYS_AT_MOST = 10_000
NAMESPACES_AT_MOST = 1_000
PREFIXES_AT_MOST = 100
PAID_AT_ONCE = 1_000


Change = tuple[str, Any]
"""What is changed, as the method of a store that drops it and its argument: ``("write", keys)``, ``("clear", names)``
with None for all names, or ``("clear_under", prefix)``."""


def concerned_by(do: str, what: Any) -> Callable[[EncodedKey], bool]:
    """Return what tells whether a key is concerned by a ``Change``."""
    if do == "write":
        return frozenset(what).__contains__
    if do == "clear_under":
        return lambda key: key[0].startswith(what)
    names = None if what is None else frozenset(what)
    return lambda key: names is None or key[0] in names


class Debts:
    """The removals that are owed to one store, in the order in which they came to be owed.

    The caller holds one lock around each call.
    """

    def __init__(self) -> None:
        self._keys: dict[EncodedKey, int] = {}
        self._names: dict[bytes, int] = {}
        self._prefixes: dict[bytes, int] = {}
        self._all = 0
        self._under_way: dict[object, Collection[EncodedKey]] = {}  # each change is one step: an exception may come
        self._time = 0
        self.paying = False

    def __bool__(self) -> bool:
        return bool(self._all or self._names or self._prefixes or self._keys)

    def doubts(self, key: EncodedKey) -> bool:
        """Tell whether the tier may hold for a key what it should not."""
        return self.clears(key) or key in self._keys or any(key in keys for keys in [*self._under_way.values()])

    def clears(self, key: EncodedKey) -> bool:
        """Tell whether a clear is owed that would remove the entry of a key."""
        return bool(self._all or key[0] in self._names or key[0].startswith(tuple(self._prefixes)))

    def latest(self, key: EncodedKey) -> int:
        """Return when something last came to be owed that concerns a key; 0 for never."""
        prefixes = [time for prefix, time in self._prefixes.items() if key[0].startswith(prefix)]
        return max(self._all, self._keys.get(key, 0), self._names.get(key[0], 0), *prefixes)

    @property
    def any(self) -> bool:
        """Whether there is a key that the tier is not to be asked for."""
        return bool(self or self._under_way)

    # What comes about

    def owe(self, do: str, what: Any) -> None:
        """The store may hold what it held before a ``Change``."""
        now = self.now()
        if do == "write":
            self._keys.update(dict.fromkeys(what, now))
            if len(self._keys) > KEYS_AT_MOST:
                names = {name for name, _ in self._keys}
                self._keys.clear()
                self.owe("clear", names)
            return
        if do == "clear_under":
            self._prefixes[what] = now
        elif what is not None:
            self._names.update(dict.fromkeys(what, now))
        if what is None or len(self._names) > NAMESPACES_AT_MOST or len(self._prefixes) > PREFIXES_AT_MOST:
            self._keys.clear()
            self._names.clear()
            self._prefixes.clear()
            self._all = now

    def now(self) -> int:
        """Return a number larger than that of all that is owed."""
        self._time += 1
        return self._time

    # Writes that are under way, whose entries are not to be read yet

    def begin(self, write: object, keys: Collection[EncodedKey]) -> int:
        """A write to some keys is about to begin; return the time, for ``paid``."""
        self._under_way[write] = keys
        return self.now()

    def end(self, write: object) -> None:
        """A write has been done, or failed, or never began."""
        self._under_way.pop(write, None)

    def forget_what_is_under_way(self) -> None:
        """Take what is under way for owed: the parent of this process does it, and how it ends is not told here."""
        self.owe("write", [key for keys in self._under_way.values() for key in keys])
        self._under_way.clear()
        self.paying = False

    # What is carried out

    def paid(self, keys: Iterable[EncodedKey], since: int) -> None:
        """Forget what was owed for keys before a time at which a write of them began that is done now."""
        self._forget(self._keys, keys, since)

    def bill(self) -> tuple[list[Change], int]:
        """Return what to carry out next, a bounded part of it, and the time by which all of that was owed."""
        changes: list[Change] = [("clear_under", prefix) for prefix in self._prefixes]
        if self._all or self._names:
            changes.insert(0, ("clear", None if self._all else list(self._names)))
        if self._keys:
            changes.append(("write", dict.fromkeys(islice(self._keys, PAID_AT_ONCE))))
        return changes, self.now()

    def carried_out(self, changes: Iterable[Change], at: int) -> None:
        """Forget what was carried out, but not what has come to be owed since."""
        for do, what in changes:
            if do == "write":
                self.paid(what, at)
            elif do == "clear_under":
                self._forget(self._prefixes, (what,), at)
            elif what is not None:
                self._forget(self._names, what, at)
            elif self._all < at:
                self._all = 0

    @staticmethod
    def _forget(owed: dict[T, int], done: Iterable[T], at: int) -> None:
        for each in done:
            if owed.get(each, at) < at:
                del owed[each]
