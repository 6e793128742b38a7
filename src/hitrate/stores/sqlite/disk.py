"""Gives free pages back to the disk, in steps of a few milliseconds; and tells how many bytes a cache takes there.

Removed entries leave free pages in the file, which new entries fill. Where there are many more than new entries need,
they are given back: by ``PRAGMA incremental_vacuum``, pages from the end of the file move into free ones, and the file
is cut. This works for a file that was made for it; a file of an older hitrate keeps its size.
"""

from __future__ import annotations

import os
from typing import Any

from hitrate.stores.sqlite.handle import Handle

PAGES_PER_STEP = 64
SPARE_PAGES = 256
_SPARE_SHARE = 8
WAL_BYTES = 4 << 20
"""Bytes that a -wal file keeps while nobody writes to it: lengthening a file takes longer than writing over it."""


def give_back(execute: Any, spare: int = SPARE_PAGES) -> bool:
    """Give back a bounded number of free pages, within a write transaction; tell whether there are more to give.

    An eighth of the pages in use is kept free, and ``spare`` at least: a cache that stays as full as it is takes them
    again. With 0 to spare none is kept.
    """
    ((free,),) = execute("PRAGMA freelist_count").fetchall()
    if free <= spare:
        return False
    ((pages,),) = execute("PRAGMA page_count").fetchall()
    surplus = free - max(spare, (pages - free) // _SPARE_SHARE if spare else 0)
    if surplus <= 0 or execute("PRAGMA auto_vacuum").fetchall() != [(2,)]:
        return False
    execute(f"PRAGMA incremental_vacuum({min(surplus, PAGES_PER_STEP)})").fetchall()
    return bool(surplus > PAGES_PER_STEP)


def room_to_give(handle: Handle) -> tuple[int, int]:
    """Return whether cleared rows are still to be removed, and how many pages are free."""
    ((cleared,),) = handle.execute("SELECT EXISTS (SELECT 1 FROM hitrate_cleared)").fetchall()
    ((free,),) = handle.execute("PRAGMA freelist_count").fetchall()
    return cleared, free


def bytes_on_disk(path: str) -> int:
    """Return the size of a database and of its -wal."""
    return _size(path) + wal_bytes(path)


def wal_bytes(path: str) -> int:
    """Return the size of the -wal of a database."""
    return _size(f"{path}-wal")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
