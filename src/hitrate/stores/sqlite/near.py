"""A near tier: copies of entries of a file, as bytes in this process, which are used as long as nothing has changed.

Half of a short read is SQLite's work. Each commit, of whatever process, raises a number in the wal-index, which is read
through shared memory (``snapshots.py``). While that number is the one that this store knows, the copies are what a read
of the file would find. A commit of this store drops the copies of the keys that it changed, and makes the new number
known. After a commit of any other process all copies are dropped, since nobody tells what it changed. Now and then a
read goes to the file all the same, to see whether it is still the file at the path.

A copy costs time: the read that makes it takes a little longer. Where few copies are read again, the tier sleeps while
a number of keys are read, and for four times as many each time that copies, tried again, did not pay.

Nothing here takes a lock. A copy is stored only if the number is still what it was before the file, or the older copy,
was read. The look at the number and the store are one line without a call, within which no other thread, signal handler
or finaliser runs. A commit raises the number before it drops a key; so a read that a commit overtook leaves no copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hitrate.entry import Entry
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.sqlite.snapshots import NO_INDEX, Snapshot

COPY_OVERHEAD = 560
"""Bytes of memory that a copy takes beyond its key and payload: objects of Python, and two places in a table."""

_LARGEST = 64
"""No copy takes more than such a part of the whole tier."""

_FIRST_PAUSE, _SHORTEST_PAUSE, _LONGEST_PAUSE = 16, 128, 8192
_JUDGED_AT = 256
"""Keys read from the file, after which it is judged whether the copies paid."""

_WORTH = 0.6
"""Hits for each key read from the file that pay for the copies."""

_WORTH_AT_FIRST = 0.1
"""Hits for each key read from the file that are enough while the tier is being filled."""

_WORTH_BESIDE_WRITERS = 2.0
"""Hits for each key read from the file that pay for beginning anew, too, after a commit of another process."""


Copy = tuple[str, bytes, float | None, float, int]
"""An entry, and the id of its row."""


def size_of(key: EncodedKey, entry: Entry | Copy) -> int:
    """Return the bytes of memory that a copy takes."""
    return len(key[0]) + len(key[1]) + len(entry[1]) + COPY_OVERHEAD


Read = Callable[[Sequence[EncodedKey]], Sequence[Found]]


@dataclass(eq=False, slots=True)
class Copies:
    """Copies of the entries that a file holds after a number of commits.

    The newer ones fill ``young`` until that is half of what the tier may hold; then they become the ``old`` ones, in
    the place of those that were not read meanwhile.

    Attributes:
        index: the wal-index that counts the commits.
        commits: the number that they are of.
        young: for each key its copy; and for each id of a row its key.
        old: the same, of those that are older.
        size: bytes of memory that the young ones take.
    """

    index: Any
    commits: int
    young: dict[Any, Any] = field(default_factory=dict)
    old: dict[Any, Any] = field(default_factory=dict)
    size: int = 0


_NONE = Copies(NO_INDEX, -1)


class Near:
    """The near tier of one store.

    Args:
        most: bytes of memory that it takes at most; 0 for no tier.
        clock: returns the seconds since the epoch.

    Attributes:
        awake: whether reads are to ask here, and to leave copies.
        seen: the ids of the rows that this process has read, from the file too, for eviction.

    Raises:
        TypeError: ``most`` is not an int.
        ValueError: it is negative.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        if isinstance(most, bool) or not isinstance(most, int):
            raise TypeError(f"near_bytes is an int, 0 for none, not {most!r} of type {type(most).__name__}")
        if most < 0:
            raise ValueError(f"near_bytes is 0 or more, not {most!r}")
        self.awake = False
        self._largest = most // _LARGEST
        self._young_at_most = most // 2 - self._largest
        self._clock = clock
        self.seen: set[int] = set()
        self._copies = _NONE
        self._is_off = not most
        self._sleeps_for = _FIRST_PAUSE
        self._pause = _SHORTEST_PAUSE
        self._read = 0
        self._hits = 0
        self._look_at = 0.0

    def current(self) -> Copies | None:
        """Return the copies if they are of what the file holds now; None if that is not known."""
        copies = self._copies
        if copies.index.commits.value != copies.commits or time.monotonic() >= self._look_at:
            return None
        return copies

    def note_hits(self, rows: Collection[int]) -> None:
        """Count that the copies of some rows were read."""
        self._hits += len(rows)
        self.seen.update(rows)

    def get(self, keys: Sequence[EncodedKey], read: Read | None = None) -> Sequence[Found] | None:
        """Return what the file holds for keys; None if that is not known.

        Args:
            keys: encoded keys.
            read: reads those of several keys of which it is not known, if it is of others.
        """
        if len(keys) == 1:
            copy = self.get_one(keys[0])
            return None if copy is None else (copy[:4],)
        copies = self.current()
        if copies is None:
            return None
        commits, now = copies.commits, self._clock()
        found: list[Found] = []
        rows: list[int] = []
        unknown: list[int] = []
        for place, key in enumerate(keys):
            copy = copies.young.get(key) or self._renewed(copies, commits, key)
            if copy is None or (copy[2] is not None and copy[2] <= now):
                unknown.append(place)
                found.append(None)
            else:
                found.append(copy[:4])
                rows.append(copy[4])
        if not rows or (unknown and read is None):
            return None
        if unknown and read is not None:
            for place, entry in zip(unknown, read([keys[place] for place in unknown]), strict=True):
                found[place] = entry
        if copies.index.commits.value != commits:  # else half of a batch that was stored meanwhile might be returned
            return None
        self.note_hits(rows)
        return found

    def get_one(self, key: EncodedKey) -> Copy | None:
        """Return the copy of what the file holds for a key; None if that is not known."""
        copies = self._copies
        commits = copies.commits
        if copies.index.commits.value != commits or time.monotonic() >= self._look_at:
            return None
        copy: Copy | None = copies.young.get(key) or self._renewed(copies, commits, key)
        if copy is None or (copy[2] is not None and copy[2] <= self._clock()):
            return None
        self._hits += 1
        self.seen.add(copy[4])
        return copy

    def _renewed(self, copies: Copies, commits: int, key: EncodedKey) -> Copy | None:
        """Return an old copy, which becomes a young one; None if there is none."""
        copy: Copy | None = copies.old.get(key)
        if copy is not None:
            self._keep(copies, commits, key, copy, size_of(key, copy))
        return copy

    def begin(self, snapshot: Snapshot, busy: bool, keys: int) -> tuple[Copies, int] | None:
        """Before a read of the file: return what its entries will be copies of, None for nothing.

        Args:
            snapshot: of the connection that is to read.
            busy: whether a change of this store is under way, which will tell what it changed.
            keys: how many are to be read.

        Raises:
            StoreError: the file is not the one at the path any more.
        """
        index = snapshot.index
        if index is None:
            return None
        if not self.awake:
            self._sleeps_for -= keys
            if self._sleeps_for < 0:
                self._wake(snapshot)
            return None
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = snapshot.check(now)
        copies = self._copies
        commits = index.commits.value
        if copies.commits != commits or copies.index is not index:
            if busy or index.commits.value != commits:  # the change that is under way, or was a step ago, will be told
                return None
            if copies is not _NONE and not self._was_worth_it(_WORTH_BESIDE_WRITERS):
                self._copies = _NONE
                return None
            self._copies = copies = Copies(index, commits)
        return copies, commits

    def _wake(self, snapshot: Snapshot) -> None:
        """Be awake; where there is no tier only see whether the file is the one at the path, as reads do when awake."""
        if self._is_off:
            self._sleeps_for = _LONGEST_PAUSE
            snapshot.check(time.monotonic())
        else:
            self.awake = True

    def keep(
        self, begun: tuple[Copies, int], keys: Iterable[EncodedKey], found: Iterable[Found], rows: Iterable[int]
    ) -> None:
        """After a read of the file, and ``begin``: keep copies of what was found, if nobody has committed meanwhile."""
        copies, commits = begun
        for key, entry, row in zip(keys, found, rows):  # noqa: B905 - of one length
            self._read += 1
            if type(entry) is tuple and (size := size_of(key, entry)) <= self._largest:
                self._keep(copies, commits, key, (*entry, row), size)
        if self._read >= _JUDGED_AT:
            self._was_worth_it(_WORTH if copies.old else _WORTH_AT_FIRST)

    def _keep(self, copies: Copies, commits: int, key: EncodedKey, copy: Copy, size: int) -> None:
        """Put a young copy in its place, unless there was a commit meanwhile."""
        index, young, row = copies.index, copies.young, copy[4]
        if index.commits.value == commits: young[row] = key; young[key] = copy  # fmt: skip  # noqa: E701, E702
        copies.size += size
        if copies.size > self._young_at_most:
            copies.old, copies.young, copies.size = copies.young, {}, 0

    def _was_worth_it(self, hits_for_each: float) -> bool:
        """Tell whether there were so many hits for each key that was read from the file lately; else sleep."""
        worth = self._hits >= hits_for_each * self._read
        self._read = self._hits = 0
        if worth:
            self._pause = _SHORTEST_PAUSE
        else:
            self._sleeps_for = self._pause
            self._pause = min(4 * self._pause, _LONGEST_PAUSE)
            self.awake = False
        return worth

    def committed(self, index: Any, before: int, keys: Iterable[EncodedKey], rows: Iterable[int] = ()) -> None:
        """This store committed, when the number was ``before``. Called before another change of it can begin.

        Args:
            index: the wal-index that it was counted in.
            before: the number of commits until then.
            keys: those that it changed.
            rows: the ids of the rows that it removed.
        """
        copies = self._copies
        if copies.index is not index or copies.commits != before:
            return
        for key in keys:
            copies.young.pop(key, None)
            copies.old.pop(key, None)  # after the young ones, which may have become the old ones in between
        for row in rows:
            for some in (copies.young, copies.old):
                key = some.pop(row, None)
                if key is not None:
                    copies.young.pop(key, None)
                    copies.old.pop(key, None)
        copies.commits = (before + 1) & 0xFFFFFFFF

    def lose(self) -> None:
        """Drop all copies: everything changed, or nothing may count the commits any more."""
        self._copies = _NONE
