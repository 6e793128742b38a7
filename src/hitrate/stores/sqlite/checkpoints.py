"""Folding the -wal file into the database, and having it begin anew.

SQLite lets the -wal file begin anew only if nothing was added since the checkpoint, which under steady writes never
happens. So most of it is folded while others write, again and again until few pages are added meanwhile; these few are
then folded while writers are kept out.

While another program keeps a transaction open, none of that is possible and the -wal file grows with each write. So
there is a length beyond which nothing is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import apsw

from hitrate.stores.sqlite.handle import Handle

_LITTLE = 64  # pages: writers wait about a millisecond for them
_ROUNDS = 8

_WAL_BYTES_AT_LEAST, _WAL_BYTES_AT_MOST = 64 << 20, 1 << 30
_PAGE_BYTES = 4096


def longest_wal(max_bytes: int) -> int:
    """Return how many pages the -wal file may have: as many as the cache may hold, within bounds."""
    return min(max(max_bytes, _WAL_BYTES_AT_LEAST), _WAL_BYTES_AT_MOST) // _PAGE_BYTES


def pages_in_wal(handle: Handle) -> int:
    """Return how many pages the -wal file has now, whoever wrote them."""
    return handle.con.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0]


def fold_bulk(handle: Handle, end_snapshots: Callable[[], object]) -> None:
    """Fold what can be folded without making anyone wait; ``end_snapshots`` ends our transactions in the way."""
    before = 0
    try:
        for _ in range(_ROUNDS):
            end_snapshots()
            pages, folded = handle.con.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages - before <= _LITTLE or folded <= before:  # the rest may be held by a reader of another process
                break
            before = folded
    except apsw.BusyError:  # another thread or process does a checkpoint
        pass


def begin_anew(handle: Handle, patience: float, usual_wait: Callable[[int], bool]) -> bool:
    """Fold the rest with writers kept out, and wait a while for readers; tell whether the next write begins anew."""

    def wait(tries: int) -> bool:
        time.sleep(0.0001)
        return tries * 0.0001 < patience  # and not by a clock, which a test may have stopped

    return _checkpoint(handle, apsw.SQLITE_CHECKPOINT_RESTART, wait, usual_wait)


def truncate_wal(handle: Handle, usual_wait: Callable[[int], bool]) -> None:
    """Fold the -wal file into the database and cut it to nothing, unless somebody is in the way."""
    _checkpoint(handle, apsw.SQLITE_CHECKPOINT_TRUNCATE, None, usual_wait)


def _checkpoint(
    handle: Handle, mode: int, wait: Callable[[int], bool] | None, usual_wait: Callable[[int], bool]
) -> bool:
    """Do a checkpoint that keeps writers out, with a wait of its own for who is in the way; None for no wait."""
    handle.con.set_busy_handler(wait)
    try:
        handle.con.wal_checkpoint(mode=mode)
    except apsw.BusyError:
        return False
    finally:
        handle.con.set_busy_handler(usual_wait)
    return True
