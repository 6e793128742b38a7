"""One connection to a file, and how it is set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import apsw

from hitrate.stores.sqlite.paths import Inode, inodes_of
from hitrate.stores.sqlite.snapshots import Snapshot

Durability = Literal["normal", "full"]


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
        self.closing: Callable[[], None] = lambda: None
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
        # It was given back to a list that is no longer in use. A fork waits until it is closed.
        if getattr(self, "_open", False):  # its constructor may have been interrupted
            self.close()


def restrict(con: apsw.Connection) -> None:
    """Keep SQLite from running anything that the file holds, and set how much of it SQLite keeps in memory."""
    con.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    con.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    for name, value in (("cache_size", -48_000), ("trusted_schema", 0), ("cell_size_check", 1)):
        con.pragma(name, value)
    con.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)


def use_wal(con: apsw.Connection, wait: Callable[[int], bool]) -> None:
    """Switch to a write-ahead log, for which SQLite does not wait when others open the file too."""
    for tries in range(1000):
        try:
            con.pragma("journal_mode", "wal")
            return
        except apsw.BusyError:
            if not wait(tries):
                raise


def make_durable(con: apsw.Connection, durability: Durability) -> None:
    """Flush commits to the disk as is wanted, and leave folding the -wal file into the database to the keeper."""
    for name, value in (
        ("synchronous", durability),
        # On macOS fsync leaves data in the cache of the disk: have F_FULLFSYNC. Elsewhere these have no effect.
        ("fullfsync", durability == "full"),
        ("checkpoint_fullfsync", True),
        ("wal_autocheckpoint", 0),  # the keeper's work, off the writer's path
        ("journal_size_limit", 64 << 20),  # a -wal file that grew longer is cut when it begins anew
    ):
        con.pragma(name, value)
