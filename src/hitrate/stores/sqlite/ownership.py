"""Whether a file is a database of another program, found out without SQLite.

LangGraph's cache uses Python's own SQLite library, this one another. Two SQLite libraries in one process must not
open the same file: neither sees the other's locks, and the second to come cuts short the shared memory of the first.
So a database that another program made is not opened at all; the cache takes a file beside it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from hitrate.failsafe import log

_MAGIC = b"SQLite format 3\0"
_HEADER_LENGTH = 100
_VERSION_AT = 60
_APPLICATION_AT = 68


def own_path(path: str, open_here: Iterable[tuple[int, int]]) -> str:
    """Return the path for a cache's file: the one given, or one beside it if that is another program's database.

    Args:
        path: an absolute path.
        open_here: device and inode of each file that a cache of this process has open.

    Returns:
        The path itself for a new file, one of ours, one that is damaged, and one that its program has marked as its own
        (which opening it then refuses).
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return path
    inode = found.st_dev, found.st_ino
    if inode in open_here:
        return path
    header = _read_header(path, inode)
    if len(header) < _HEADER_LENGTH or not header.startswith(_MAGIC):
        return path
    (version,) = struct.unpack_from(">I", header, _VERSION_AT)
    (application,) = struct.unpack_from(">I", header, _APPLICATION_AT)
    if application or version:
        return path
    beside = f"{path}.hitrate"
    log.warning("%s is the database of another program; the cache keeps its entries beside it, in %s", path, beside)
    return beside


def _read_header(path: str, inode: tuple[int, int]) -> bytes:
    # To open and close a file drops all locks that this process has on it. If something else here has it open, as
    # LangGraph's cache may, it is read through that descriptor.
    for name in _descriptors():
        try:
            opened = os.fstat(int(name))
            if (opened.st_dev, opened.st_ino) == inode:
                return os.pread(int(name), _HEADER_LENGTH, 0)
        except OSError:  # closed meanwhile
            continue
    with open(path, "rb") as file:
        return file.read(_HEADER_LENGTH)


def _descriptors() -> list[str]:
    """Return the numbers of the files that this process has open; nothing on Windows, whose locks closing leaves."""
    if hasattr(os, "pread"):
        for folder in ("/proc/self/fd", "/dev/fd"):  # Linux; macOS and BSD
            if os.path.isdir(folder):
                return os.listdir(folder)
    return []
