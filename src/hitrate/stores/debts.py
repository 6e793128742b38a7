"""What a store still holds and should not, because it did not carry out removals and overwrites.

While a store is down (a tier, or the only store of a cache) it keeps what is deleted, cleared or overwritten meanwhile.
These removals are owed to it: what they concern is not read from it until they are carried out. If very many keys are
owed, only their namespaces are remembered, and if these are very many, only that everything is to be cleared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hitrate.keys import EncodedKey

KEYS_AT_MOST = 10_000
NAMESPACES_AT_MOST = 1_000
PREFIXES_AT_MOST = 100
PAID_AT_ONCE = 1_000


@dataclass(frozen=True)
class OwedRemovals:
    """Some of what is owed, to be carried out.

    Attributes:
        names: namespaces to clear, None for all.
        prefixes: what the namespaces begin with that are to be cleared too.
        keys: keys to remove.
        at: all of it was owed by then.
    """

    names: Sequence[bytes] | None
    keys: Sequence[EncodedKey]
    at: int
    prefixes: Sequence[bytes] = ()


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
        return (
            bool(self._all)
            or key in self._keys
            or key[0] in self._names
            or any(key in keys for keys in [*self._under_way.values()])
            or (bool(self._prefixes) and key[0].startswith(tuple(self._prefixes)))
        )

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

    def owe(self, keys: Iterable[EncodedKey]) -> None:
        """The tier may hold something else than the last that was written to these keys."""
        now = self.now()
        for key in keys:
            self._keys[key] = now
        if len(self._keys) > KEYS_AT_MOST:
            names = {name for name, _ in self._keys}
            self._keys.clear()
            self.owe_namespaces(names)

    def owe_namespaces(self, names: Iterable[bytes] | None) -> None:
        """The tier may hold entries of namespaces that were cleared, or of any for None."""
        now = self.now()
        if names is not None:
            for name in names:
                self._names[name] = now
            if len(self._names) <= NAMESPACES_AT_MOST:
                return
        self._owe_all(now)

    def owe_under(self, prefix: bytes) -> None:
        """The tier may hold entries of namespaces that begin with a prefix and were cleared."""
        now = self.now()
        self._prefixes[prefix] = now
        if len(self._prefixes) > PREFIXES_AT_MOST:
            self._owe_all(now)

    def _owe_all(self, now: int) -> None:
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
        self.owe([key for keys in self._under_way.values() for key in keys])
        self._under_way.clear()
        self.paying = False

    # What is carried out

    def paid(self, keys: Iterable[EncodedKey], since: int) -> None:
        """Forget what was owed for keys before a time at which a write of them began that is done now."""
        for key in keys:
            if self._keys.get(key, since) < since:
                del self._keys[key]

    def bill(self) -> OwedRemovals:
        """Return what to carry out next, a bounded part of it."""
        names = None if self._all else list(self._names)
        keys = [key for key, _ in zip(self._keys, range(PAID_AT_ONCE), strict=False)]
        return OwedRemovals(names, keys, self.now(), list(self._prefixes))

    def carried_out(self, bill: OwedRemovals) -> None:
        """Forget what was carried out, but not what has come to be owed since."""
        if bill.names is None and self._all < bill.at:
            self._all = 0
        for owed, done in ((self._names, bill.names or ()), (self._prefixes, bill.prefixes)):
            for name in done:
                if owed.get(name, bill.at) < bill.at:
                    del owed[name]
        self.paid(bill.keys, bill.at)
