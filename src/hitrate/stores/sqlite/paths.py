"""The path of a file: what it may be, its folders, and how the file is made."""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hitrate.stores.sqlite.new_file import link_whole
from hitrate.stores.sqlite.rights import PRIVATE, folder_mode, no_permission, permits, refuse_planted_links

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

Inode = tuple[int, int] | None
"""The device and inode of a file; None for none."""


def inodes_of(path: str) -> tuple[Inode, ...]:
    """Return the device and inode of a database, of its -wal and of its -shm."""
    return inode_of(path), inode_of(f"{path}-wal"), inode_of(f"{path}-shm")


def inode_of(path: str) -> Inode:
    """Return the device and inode of a file, None if it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def one_process_at_a_time(folder: str) -> Iterator[None]:
    """Keep out other processes that lock the same folder.

    Where folders cannot be locked, as on Windows, nobody is kept out. There a file that anybody has open can be neither
    renamed nor replaced, which is what the lock guards against.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing does not release it if a forked child has it open, too
    finally:
        os.close(descriptor)


def make_file(path: str, mode: int) -> None:
    """Create the file, unless it is there, with a mode less the umask; SQLite gives its -wal and -shm the same.

    It has the tables in it, or else is empty.
    """
    if os.path.exists(path):
        return
    # The lock: a database that is set aside is renamed file by file.
    with one_process_at_a_time(os.path.dirname(path)), suppress(FileExistsError):
        if not link_whole(path, mode):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def set_aside(path: str) -> str:
    """Rename a damaged file, and what lies beside it; return what it is called now."""
    name = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{random.randrange(1 << 32):08x}"
    before = os.stat(path)
    os.rename(path, name)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.rename(path + suffix, name + suffix)
    if before.st_mode & 0o020:
        _make_in_place_of(path, before)
    return name


def _make_in_place_of(path: str, before: os.stat_result) -> None:
    """Create the file in the place of one that was set aside, for those who shared that one."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    try:
        if hasattr(os, "fchown") and before.st_gid != os.fstat(descriptor).st_gid:
            os.fchown(descriptor, -1, before.st_gid)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, PRIVATE | stat.S_IMODE(before.st_mode) & 0o666)
    except PermissionError:  # it belonged to another group; the new file is ours alone
        pass
    finally:
        os.close(descriptor)


def checked_path(path: Any) -> str:
    """Return the absolute path of a cache's file, or ``:memory:``.

    Raises:
        TypeError: it is neither a str nor an os.PathLike.
        ValueError: it is empty, a URL, holds a NUL or cannot be written in UTF-8.
        PermissionError: it leads through a link that another user has planted.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is a str or os.PathLike, not {path!r} of type {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path is a str or an os.PathLike of str, not {text!r}")
    if not text or "\0" in text:
        raise ValueError(f"path is to name a file, which {text!r} cannot")
    if text.startswith("sqlite:/"):
        raise ValueError(f"path is the path of a file, and {text!r} is a URL, which hitrate.open takes")
    if text == ":memory:":
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"path {text!r} cannot be written in UTF-8, as SQLite wants it") from error
    refuse_planted_links(os.path.abspath(text))
    return os.path.realpath(text)


def prepare_path(path: Any, mode: int) -> str:
    """Return the path of a cache's file after checking it and making the folders it lies in.

    Args:
        path: a str or os.PathLike, or ``:memory:``.
        mode: the permissions of the file; a folder that is made is for those who may read it.

    Raises:
        TypeError: the path is neither.
        ValueError: it is empty, holds a NUL or cannot be written in UTF-8.
        OSError: it is a folder, no regular file, or cannot be read and written here.
    """
    text = checked_path(path)
    if text == ":memory:":
        return text
    for each in reversed([folder for folder in Path(text).parents if not folder.exists()]):
        with suppress(FileExistsError):  # another process was faster
            each.mkdir(folder_mode(mode))
    try:
        mode = os.stat(text).st_mode
    except FileNotFoundError:
        _writable(os.path.dirname(text), text)
        return text
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"path {text!r} is a folder; give the file in it that the cache is to use")
    if not stat.S_ISREG(mode):
        raise OSError(f"path {text!r} is not a regular file")
    _writable(text, text)
    _writable(os.path.dirname(text), text)  # for the files beside it
    return text


def _writable(needed: str, path: str) -> None:
    if not permits(needed, os.R_OK | os.W_OK):
        raise PermissionError(no_permission(path, needed))
