"""How nearer tiers hear of changes in a file: the wal-index counts all commits, and this process knows its own.

Each commit raises a number in shared memory, which everybody who has the file open can see (``snapshots.py``). A commit
of this store raises the number of its watches, too, if they were in step before, and tells which keys it changed. After
a commit of anybody else the watches are behind, and all copies are dropped, since nobody tells what it changed.

The number is kept only while a connection is open: the last one to close removes the wal-index. So a watch keeps a
connection of its own. When all connections are closed, before a fork or when a damaged file is set aside, the watch is
lost and all copies are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hitrate.errors import HitrateError
from hitrate.exclusive import a_few_lines, held
from hitrate.stores.base import Channel, Listener
from hitrate.stores.sqlite.snapshots import NO_INDEX

if TYPE_CHECKING:
    from hitrate.stores.sqlite.connections import Connections
    from hitrate.stores.sqlite.handle import Handle

_ALONE: Any = SimpleNamespace(commits=SimpleNamespace(value=0))
"""Stands for the wal-index of ``:memory:``, where nobody else commits."""

_BEHIND = -1


class CommitWatch(Channel):
    """Compares the number of commits with those that are known; its listener is told what this store changed."""

    def __init__(self, connections: Connections, listener: Listener) -> None:
        self.live = False
        self.listener = listener
        self._connections = connections
        self._kept: Handle | None = None
        self._index = NO_INDEX
        self._seen: int | None = _BEHIND
        self._losses = 0
        self._blind = False  # whether the wal-index cannot be seen on this system

    def in_step(self) -> bool:
        index = self._index  # a reference of its own: without one its memory is unmapped
        return index.commits.value == self._seen  # type: ignore[no-any-return]

    def catch_up(self, empty: Callable[[], None]) -> None:
        losses = self._losses
        index, kept = self._index, None
        if self._connections.in_memory:
            index = _ALONE
        elif index is NO_INDEX and not self._blind and (kept := self._connections.take_idle()) is not None:
            index = kept.snapshot.index
            self._blind = index is None
        if index in (None, NO_INDEX) and self._seen is None:
            self._give_back(kept)
            return  # lost still, and its copies were dropped
        index = index or NO_INDEX
        seen = index.commits.value
        empty()
        self._give_back(held(a_few_lines, self._watch, index, seen, kept, losses))

    def _watch(self, index: Any, seen: Any, kept: Handle | None, losses: int) -> Handle | None:
        """Watch a wal-index, unless it was lost meanwhile; return the connection that is not needed."""
        if losses == self._losses:
            self.live = index is not NO_INDEX
            self._index, self._seen = index, seen
            if self.live:
                self._kept, kept = kept or self._kept, None
        return kept

    def _give_back(self, handle: Handle | None) -> None:
        if handle is not None:
            self._connections.discard(handle)

    def lost(self) -> None:
        """All connections are about to be closed, the one of this watch too."""
        self._give_back(held(a_few_lines, self._unwatch))

    def _unwatch(self) -> Handle | None:
        self._losses += 1
        self.live = False
        self._seen = _BEHIND  # first: a read that compares the two numbers meanwhile is to find them unlike
        self._index = NO_INDEX
        kept, self._kept = self._kept, None
        return kept

    def committed(self, index: Any, before: int) -> None:
        """This store committed, when the number was ``before``; it tells itself what that changed."""
        held(a_few_lines, self._committed, index, before)

    def _committed(self, index: Any, before: int) -> None:
        if index is self._index and self._seen == before:
            self._seen = (before + 1) & 0xFFFFFFFF

    def distrust(self) -> None:
        """A commit of this store may not have been told of: it was interrupted."""
        self._seen = _BEHIND

    def close(self) -> None:
        self._connections.watches.remove(self)
        self.lost()

    def after_fork_in_child(self) -> None:
        """Do nothing: the watch was lost before the fork, when all connections were closed."""


class Watches(list[CommitWatch]):
    """The watches of one store, each told the same."""

    @property
    def kept(self) -> int:
        """How many connections they keep for themselves."""
        return sum(watch.live for watch in self)

    def committed(self, index: Any, before: int) -> None:
        """This store committed, when the number was ``before``."""
        for watch in self:
            watch.committed(index, before)

    def tell(self, did: str, what: Any) -> None:
        """Tell all listeners by one of their methods: ``changed``, ``cleared`` or ``cleared_under``."""
        for watch in self:
            getattr(watch.listener, did)(what)

    def interrupted(self, error: BaseException) -> None:
        """Put the watches out of step after a change was interrupted: not all of it may have been told."""
        if not isinstance(error, HitrateError):
            for watch in self:
                watch.distrust()

    def lost(self) -> None:
        """All connections are about to be closed."""
        for watch in self:
            watch.lost()
