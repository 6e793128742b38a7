"""One connection to a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from hitrate.stores.sqlite.paths import Inode, inodes_of
from hitrate.stores.sqlite.snapshots import Snapshot


class Handle:
    """A connection, and a cursor that serves all its statements one after the other.

    Attributes:
        snapshot: its read transaction.
        files: device and inode of the database, the -wal and the -shm that it has open; of those that are known.
        closing: is called before it is closed.
        ranked: whether it is known that the file has the table of ``ranks.py``.
    """

    __slots__ = ("_open", "_path", "closing", "con", "execute", "files", "ranked", "snapshot")

    def __init__(self, con: apsw.Connection, path: str, inode: tuple[int, int] | None) -> None:
        self.con = con
        self.execute: Callable[..., Any] = con.cursor().execute
        self.files: tuple[Inode, ...] = () if inode is None else (inode,)
        self.snapshot = Snapshot(self.execute, None)
        self.closing: Callable[[], None] = _nothing
        self.ranked = False
        self._path = path
        self._open = True

    def close(self) -> None:
        """Close the connection. Calling it again does nothing."""
        if self._open:
            self.closing()
            self._open = False
            if self.files and inodes_of(self._path)[: len(self.files)] != self.files:
                # One was set aside or removed. SQLite, tidying up, might delete those of the file in its place, or copy
                # into it what is in another -wal.
                self.con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self.con.close(True)

    def __del__(self) -> None:
        # Given back to a list that is no longer in use; a fork counts it as open until it is closed.
        if getattr(self, "_open", False):  # or its constructor was interrupted
            self.close()


def _nothing() -> None:
    pass
