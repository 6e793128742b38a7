"""Which users a file may belong to and be written by: a file that another user has put there is not used.

In a folder that all may write to, such as /tmp, anybody can be there first with a file of this name, or with a -wal
that SQLite would read beside our own file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KNOWS_USERS = hasattr(os, "geteuid")
"""Whether files belong to users and have modes, which they do not on Windows: there an access list decides alone."""

PRIVATE = 0o600
_SUFFIXES = ("", "-wal", "-shm")


def check_mode(mode: Any) -> int:
    """Return the permissions that files are made with.

    Raises:
        TypeError: it is no int.
        ValueError: it has other bits than those of reading and writing, or keeps the owner out.
    """
    if mode is None:
        return PRIVATE
    if isinstance(mode, bool) or not isinstance(mode, int):
        raise TypeError(f"mode is an int such as 0o660, not {mode!r} of type {type(mode).__name__}")
    if mode & ~0o666 or mode & PRIVATE != PRIVATE:
        digits = str(mode)
        meant = f"; {mode} is decimal, write 0o{digits}" if re.fullmatch("6[0246]{2}", digits) else ""
        raise ValueError(
            f"mode is the permissions to read and write of the owner and perhaps others, such as 0o660, not {mode:#o}"
            f"{meant}"
        )
    return mode


def folder_mode(mode: int) -> int:
    """Return the permissions of a folder for files with these: who may read them may enter it."""
    return mode | (mode & 0o444) >> 2


def check_rights(path: str, mode: int, *, read_only: bool = False) -> None:
    """Refuse files that another user may have put there, or may write to, unless ``mode`` lets them.

    Args:
        path: of the database; the -wal and -shm beside it are looked at too.
        mode: the permissions that files are made with: whoever these let write may have made the file.
        read_only: whether the file is one that somebody else has built, in a folder where not everybody may write.

    Raises:
        PermissionError: it names the file and says what to do.
    """
    if not KNOWS_USERS:
        return
    builder = None
    for suffix in _SUFFIXES:
        try:
            found = os.stat(path + suffix)
        except OSError:  # it is not there, or opening it tells better
            continue
        if found.st_mode & 0o002 and not mode & 0o002:
            raise PermissionError(
                f"{path + suffix!r} can be written by every user (mode {stat.S_IMODE(found.st_mode):o}), so that "
                f"anybody may have put into it what it holds: remove it, or give mode=0o666 to use it all the same"
            )
        if not suffix and read_only and not os.stat(os.path.dirname(path)).st_mode & 0o002:
            builder = found.st_uid
        if found.st_uid in (os.geteuid(), 0, builder) or _is_shared(found, mode):
            continue
        raise PermissionError(
            f"{path + suffix!r} belongs to user {found.st_uid}, not to user {os.geteuid()} who opens it nor to root: "
            f"remove it, or give another path; a file that a group shares is opened with mode=0o660, and "
            f"anybody's with mode=0o666"
        )


def refuse_planted_links(path: str) -> None:
    """Refuse a path that leads through a link which another user has put where all may write, such as /tmp.

    The link may name a file of ours, which would be taken for a damaged cache and set aside. Linux follows no such link
    either where ``fs.protected_symlinks`` is set; to resolve a path by hand gets round that.

    Args:
        path: absolute.

    Raises:
        PermissionError: it names the link and says what to do.
    """
    if not KNOWS_USERS:
        return
    for _ in range(_LINKS_AT_MOST):
        for each in (*map(str, reversed(Path(path).parents)), path):
            if os.path.islink(each):
                break
        else:
            return
        folder, link = os.stat(os.path.dirname(each)), os.lstat(each)
        if folder.st_mode & _STICKY == _STICKY and link.st_uid not in (os.geteuid(), folder.st_uid):
            raise PermissionError(
                f"{each!r} is a link of user {link.st_uid} in a folder where everybody may put one: remove it, or give "
                f"the path that it leads to"
            )
        path = os.path.normpath(os.path.join(os.path.dirname(each), os.readlink(each)) + path[len(each) :])


_STICKY = stat.S_ISVTX | stat.S_IWOTH
_LINKS_AT_MOST = 40  # as Linux


def _is_shared(found: os.stat_result, mode: int) -> bool:
    """Tell whether a file of another user is one of those who share the cache."""
    if mode & 0o002:
        return True
    ours = os.geteuid() == 0 or found.st_gid in (os.getegid(), *os.getgroups())
    return ours and bool(mode & 0o020)


@contextmanager
def explained(path: Any) -> Iterator[None]:
    """Say in a sentence what a PermissionError of the system is about.

    Raises:
        PermissionError: one was raised within; those that say it already come out as they are.
    """
    try:
        yield
    except PermissionError as error:
        if error.errno is None:
            raise
        raise PermissionError(no_permission(os.fspath(path), error.filename or os.fspath(path))) from error


def permits(path: str, needed: int) -> bool:
    """Tell whether the user as whom this process acts may use a file so; ``needed`` is as for ``os.access``."""
    # By itself access goes by the user who started the process, even where it has taken on another's rights since.
    return os.access(path, needed, effective_ids=os.access in os.supports_effective_ids)


def no_permission(path: str, needed: str, doing: str = "read and write") -> str:
    """Return what is wrong where a file or folder does not let us."""
    only_read = ", or only read it, with read_only=True" if doing != "read" and permits(path, os.R_OK) else ""
    if not KNOWS_USERS:
        return f"path {path!r} cannot be used: no permission to {doing} {needed!r}; give another path{only_read}"
    try:
        found = os.stat(needed)
        whose = (
            f", which belongs to user {found.st_uid} and group {found.st_gid} (mode {stat.S_IMODE(found.st_mode):o})"
        )
    except OSError:
        whose = ""
    return (
        f"path {path!r} cannot be used by user {os.geteuid()}: no permission to {doing} {needed!r}{whose}; give "
        f"another path, or have its owner open it with mode=0o660 in a folder of a group that both are in{only_read}"
    )
