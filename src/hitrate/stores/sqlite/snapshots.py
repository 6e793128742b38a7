"""Read transactions that outlive a read, for as long as nothing was written.

Half of a short read are the two locks that SQLite takes for its transaction. Every commit and every checkpoint, whoever
makes it, changes the first 100 bytes of the -shm file: the header of the wal-index, twice, and how much of the log is
folded into the database (https://www.sqlite.org/walformat.html, "The WAL-Index File Format"). So while these bytes are
the same, a transaction that is open shows what a new one would, and comparing them takes a hundredth of the locks.

An open transaction keeps the -wal file from beginning anew. So it is ended by the next read after a change, before a
checkpoint of this process, and by a thread that looks every tenth of a second.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary, finalize

from hitrate.stores.keeper import Keeper
from hitrate.stores.sqlite.paths import inode_of

_HEADER_LENGTH = 100
_COMMITS_AT = 8
_LOOK_SECONDS = 0.1
_TRIES = 5
_STREAK_SECONDS = 0.05
_STREAK = 16
"""Reads in a row after which a transaction is kept open: starting the thread that ends it takes as long as ten."""


class WalIndex:
    """The header of a -shm file, seen through memory that is shared with all who have it open.

    It is mapped by the descriptor that SQLite has of it: to open and close another would drop SQLite's locks.

    Attributes:
        header: its ``raw`` are the bytes as they are now.
        commits: its ``value`` is a number that each commit raises by one, round and round.
    """

    def __init__(self, descriptor: int) -> None:
        import ctypes
        import mmap

        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        address = libc.mmap(None, _HEADER_LENGTH, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if address is None or address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "the -shm file cannot be mapped")
        # Not by __del__: while that runs, the table below still hands this object out to other threads.
        finalize(self, libc.munmap, address, _HEADER_LENGTH).atexit = False
        self.header: Any = (ctypes.c_char * _HEADER_LENGTH).from_address(address)
        self.commits: Any = ctypes.c_uint32.from_address(address + _COMMITS_AT)

    def is_of(self, wal: str) -> bool:
        """Tell whether the -wal file at a path may be the one that this describes: whether it holds what it should."""
        for _ in range(_TRIES):
            header = self.header.raw
            frames = int.from_bytes(header[16:20], sys.byteorder)
            page = int.from_bytes(header[14:16], sys.byteorder)
            if not frames:
                return True
            try:
                with open(wal, "rb") as file:
                    salt = file.read(24)[16:]
                    size = file.seek(0, os.SEEK_END)
            except FileNotFoundError:
                salt, size = b"", 0
            if salt == header[32:40] and size >= 32 + frames * (24 + (65536 if page == 1 else page)):
                return True
            if self.header.raw == header:  # nobody wrote meanwhile
                return False
        return True


NO_INDEX: Any = SimpleNamespace(commits=SimpleNamespace(value=None))
"""Stands for the wal-index where none is known."""

_mapped: WeakValueDictionary[tuple[int, int], WalIndex] = WeakValueDictionary()


def wal_index(path: str) -> WalIndex | None:
    """Return the wal-index of a database that this process has open; None where it cannot be seen."""
    inode = inode_of(f"{path}-shm")
    if inode is None:
        return None
    known = _mapped.get(inode)
    if known is not None:
        return known
    try:
        for name in os.listdir("/proc/self/fd"):
            if inode_of(f"/proc/self/fd/{name}") == inode:  # None if it was closed meanwhile
                index = _mapped[inode] = WalIndex(int(name))
                return index
    except (ImportError, OSError):  # no /proc, or no ctypes
        pass
    return None


def has_removed_shm(path: str) -> bool:
    """Tell whether this process has a -shm open that is no longer there: new connections would share it, too."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:  # no /proc
        return False
    for name in names:
        try:
            if os.readlink(f"/proc/self/fd/{name}") == f"{path}-shm (deleted)":
                return True
        except OSError:  # closed meanwhile
            continue
    return False


class Snapshot:
    """The read transaction of one connection, and whether it is still the latest.

    Args:
        execute: of the connection.
        index: the wal-index; None if it cannot be seen, and then no transaction is kept open.
        check: called by a read now and then; raises if the files are no longer those at the path.

    Attributes:
        current: the header of the wal-index.
        header: its bytes at the start of the transaction, empty while they are not known; None while none is open.
    """

    __slots__ = ("_before", "_check", "_execute", "_last", "_look_at", "_streak", "current", "header", "index")

    def __init__(
        self, execute: Callable[..., Any], index: WalIndex | None, check: Callable[[], None] = lambda: None
    ) -> None:
        self._execute = execute
        self._check = check
        self._look_at = 0.0
        self.index = index
        self._before = b""
        self._streak = 0
        self._last = 0.0
        self.current: Any = None if index is None else index.header
        self.header: bytes | None = None

    def renew(self, closer: Keeper) -> None:
        """Before a read: end a transaction that is not the latest; begin one, for the closer to end, if reads go on."""
        if self.header is not None:
            self.end()
        elif self.index is None:
            return
        else:
            now = time.monotonic()
            if now >= self._look_at:
                self.check(now)
            self._streak = self._streak + 1 if now - self._last < _STREAK_SECONDS else 0
            self._last = now
            if self._streak < _STREAK:
                return
        closer.request()  # each time: the closer does not see a connection that is in use
        if not closer.runs:
            return
        self._before = self.current.raw
        self._execute("BEGIN")
        self.header = b""

    def check(self, now: float) -> float:
        """See whether the files are those at the path, and raise if they are not; return when to look again."""
        self._look_at = now + _LOOK_SECONDS
        self._check()
        return self._look_at

    def begun(self) -> None:
        """After the first read, with which the transaction began: note what it shows, unless that changed meanwhile."""
        if self.header is not None and self.current.raw == self._before:
            self.header = self._before

    def end(self) -> None:
        """End the transaction if one is open."""
        if self.header is not None:
            self.header = None
            self._execute("COMMIT")
