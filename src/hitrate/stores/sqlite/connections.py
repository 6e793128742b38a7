"""Connections to one file: a pool that any thread takes from, emptied before a fork.

SQLite must not carry a connection over a fork, nor open one in the child while one of the parent's is known to it: the
child would believe it holds locks that the system never gave it. So all connections are closed before a fork, once no
operation is under way, and both sides open new ones.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import apsw

from hitrate import forking
from hitrate.errors import StoreError
from hitrate.exclusive import Live, a_few_lines, reentrant, when_free, within_lines
from hitrate.failsafe import log
from hitrate.stores.keeper import Keeper
from hitrate.stores.sqlite import schema
from hitrate.stores.sqlite.changes import Watches
from hitrate.stores.sqlite.handle import Durability, Handle, make_durable, restrict, use_wal
from hitrate.stores.sqlite.idle import QUIET_SECONDS, Closed, ForkGate, MustNotWait, SharedConnection
from hitrate.stores.sqlite.near import Near
from hitrate.stores.sqlite.paths import Inode, inode_of, inodes_of, make_file, one_process_at_a_time, set_aside
from hitrate.stores.sqlite.rights import PRIVATE, check_rights
from hitrate.stores.sqlite.snapshots import Snapshot, has_removed_shm, wal_index

BUSY_SECONDS = 5.0
"""Seconds that an operation waits for the write of another process at most."""

_IMPATIENT_SECONDS = 0.05
_IMPATIENT_FOR_SECONDS = 30.0

CHECKPOINT_PAGES = {"normal": 4000, "full": 1000}
"""Pages in the -wal file that ask for a checkpoint. A read finds its page among 4,000 in one step (a segment of the
wal-index). Where every commit is flushed, a checkpoint of many pages would be in its way."""

_NOT_THEIRS = "is not the one that others have open: theirs was removed, and what it held is lost"

_LOOK_SECONDS = 0.1
_TICK_SECONDS = 0.1

# Creating a file and closing it again would drop the locks of a connection that another thread opens in between.
_opening = reentrant()


class Connections:
    """Opens, keeps and closes the connections of one cache.

    Args:
        path: the file, or ``:memory:`` for one connection that all threads share in turn.
        durability: ``"full"`` flushes each commit to the disk; ``"normal"`` loses the latest ones to a power failure.
        repair: whether a damaged file is set aside and a new one started.
        near: the copies of entries in this process.
        mode: the permissions that the file is made with, less the umask.

    Attributes:
        only: the one connection of ``:memory:``; None for a file.
        idle: the handles that are not in use. Take one by ``pop`` (IndexError: ``open`` one) and give it back by
            ``append`` to the same list, which is another one after a fork, a repair or ``close``.
        commits: how many the connections made, those that changed something.
        watches: are told before all connections are closed.
        near: is told before any connection is closed.
        wal_pages: pages in the -wal file at the last commit of this process.
        checkpoint_pages: pages in a -wal file that began anew at which a checkpoint is asked for.
        checkpoint_at: pages at which the next one is asked for.
        folded_in_vain: checkpoints since the -wal file last began anew that did not let it begin anew.
    """

    def __init__(self, path: str, durability: Durability, *, repair: bool, near: Near, mode: int = PRIVATE) -> None:
        self.path = path
        self.in_memory = path == ":memory:"
        self._durability = durability
        self._repair = repair
        self._mode = mode
        self.commits = 0
        self.watches = Watches()
        self.near = near
        self.wal_pages = 0
        self.checkpoint_at = self.checkpoint_pages = CHECKPOINT_PAGES[durability]
        self.folded_in_vain = 0
        self._all: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        self._look_at = 0.0
        self._impatient_until = 0.0
        self.closer = self._new_closer()
        self._gate = ForkGate()
        self._held: SharedConnection | None = None
        self.only = SharedConnection(self._connect()) if self.in_memory else None
        self.idle: Any = self.only or []
        _pools.add(self)

    def open(self) -> Handle:
        """Open a connection, making the file and its tables as needed.

        Raises:
            StoreError: the file cannot be opened now.
            NewerFormatError: a newer hitrate wrote it.
        """
        try:
            return self._connect()
        except (apsw.CorruptError, apsw.NotADBError, schema.Tampered) as error:
            self.set_aside(None, error)
            return self._connect()

    def _connect(self, *, make: bool = True) -> Handle:
        if within_lines():
            raise MustNotWait(f"{self.path} is not opened within a finaliser that came between a few lines")
        with _opening:
            if make and not self.in_memory:
                make_file(self.path, self._mode)
            if not self.in_memory:
                check_rights(self.path, self._mode)
            logged = not self.in_memory and os.path.exists(f"{self.path}-wal")
            if logged and os.path.getsize(self.path) == 0:  # waiting for those who have it open would be in vain
                raise schema.Tampered(f"{self.path} is empty beside its -wal file")
            con = apsw.Connection(self.path, apsw.SQLITE_OPEN_READWRITE)
            self._all.add(con)  # from here on a fork waits for it
            handle = Handle(con, self.path, None if self.in_memory else inode_of(self.path))
        try:
            con.set_busy_handler(self.wait)
            # If the file turns out not to be ours, closing it must not fold its -wal file into it.
            con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, logged)
            made = schema.check(con, self.path)
            con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            restrict(con)
            if not made:
                schema.create(con, self.path)  # before the -wal file, so that the file itself tells at once whose it is
            use_wal(con, self.wait)
            make_durable(con, self._durability)
            if not self.in_memory:
                self._begin_reading(handle)
            con.set_wal_hook(partial(self._committed, handle.files))
        except BaseException as error:
            others = isinstance(error, apsw.Error) and not self.in_memory and self._has_anothers_wal()
            self._close(handle)
            if others:
                raise schema.Tampered(f"{self.path}-wal {_NOT_THEIRS}") from error
            raise
        return handle

    def _begin_reading(self, handle: Handle) -> None:
        """Have SQLite open the -wal and -shm, as it does for the first read, and see that they belong together."""
        handle.execute("SELECT 0 FROM hitrate_state").fetchall()
        if self._has_anothers_wal():
            raise schema.Tampered(f"{self.path}-wal {_NOT_THEIRS}")
        handle.files = inodes_of(self.path)
        handle.closing = self.near.lose
        handle.snapshot = Snapshot(handle.execute, wal_index(self.path), partial(self._check_files, handle.files))

    def _has_anothers_wal(self) -> bool:
        index = wal_index(self.path)
        return has_removed_shm(self.path) if index is None else not index.is_of(f"{self.path}-wal")

    def _check_files(self, files: tuple[Inode, ...]) -> None:
        """See that the files at the path are those that a connection has open.

        Raises:
            StoreError: the database is not. What was committed is lost to whoever opens the path from now on.
            Tampered: the -wal or the -shm is not. What was committed since may be lost, and older values come back.
        """
        found = inodes_of(self.path)[: len(files)]
        if found[:1] != files[:1]:
            self._replace_idle([])
            raise StoreError(f"{self.path} was removed or replaced by another file")
        if found != files:
            raise schema.Tampered(f"the -wal or -shm beside {self.path} was removed or replaced while it was open")

    def wait(self, tries: int) -> bool:
        """Wait a little for another process's write, longer each time; give up after ``BUSY_SECONDS`` in all."""
        pause = min(0.0001 * 1.3**tries, 0.02)
        seconds = BUSY_SECONDS if time.monotonic() >= self._impatient_until else _IMPATIENT_SECONDS
        if tries > 20 + seconds / 0.02:
            return False
        time.sleep(pause * (0.5 + random.random()))
        return True

    def waited_in_vain(self) -> None:
        """For a while wait only briefly: a process that locks the file so long may do so for each of many writes."""
        self._impatient_until = time.monotonic() + _IMPATIENT_FOR_SECONDS

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Wait only briefly for another process's write meanwhile; others of this process do not write then."""
        before = self._impatient_until
        self._impatient_until = math.inf
        try:
            yield
        finally:
            self._impatient_until = before

    def _committed(self, files: tuple[Inode, ...], con: apsw.Connection, database: str, pages: int) -> int:
        """Note how long the -wal file is; now and then see whether the files are still those at the path.

        Raises:
            StoreError: they are not; as ``_check_files``.
        """
        self.commits += 1
        now = time.monotonic()
        if now >= self._look_at and not self.in_memory:
            self._look_at = now + _LOOK_SECONDS
            self._check_files(files)
        if pages < self.wal_pages:  # it has begun anew
            self.checkpoint_at = self.checkpoint_pages
            self.folded_in_vain = 0
        self.wal_pages = pages
        self._impatient_until = 0.0
        return apsw.SQLITE_OK

    def discard(self, handle: Handle) -> None:
        """Close a connection that failed rather than give it back."""
        if self.in_memory:
            if handle.con.in_transaction:
                handle.execute("ROLLBACK")
            self.idle.append(handle)
            return
        self._close(handle)

    def take_idle(self) -> Handle | None:
        """Take out a handle that nobody uses, without a transaction and without waiting; None if there is none."""
        idle = self.idle
        try:
            handle: Handle | None = idle.pop() if type(idle) is list else None
        except IndexError:
            return None
        return handle if handle is not None and self._ended(handle) else None

    def _ended(self, handle: Handle) -> bool:
        """End the transaction of a handle that was taken out; tell whether it is good still."""
        try:
            handle.snapshot.end()
        except apsw.Error:
            self.discard(handle)
            return False
        return True

    def _lose(self) -> None:
        self.near.lose()
        self.watches.lost()

    def _close(self, handle: Handle) -> None:
        handle.close()
        self._all.discard(handle.con)  # last: a fork waits until it is closed

    def set_aside(self, handle: Handle | None, error: Exception) -> None:
        """Rename a damaged file so that a new one can be started, unless another process has done so.

        Args:
            handle: the connection that found the damage; None if none could be made.
            error: the damage.

        Raises:
            StoreError: repairing is not wanted, or not possible.
        """
        if not self._repair or self.in_memory:
            raise StoreError(f"{self.path} is damaged, or no cache: {error}") from error
        seen = handle.files[0] if handle is not None else inode_of(self.path)
        self._replace_idle([])
        try:
            with one_process_at_a_time(os.path.dirname(self.path)):
                if seen is None or inode_of(self.path) != seen or (handle is None and self._is_sound()):
                    return
                name = set_aside(self.path)
        except OSError as obstacle:
            raise StoreError(f"{self.path} is damaged ({error}) and cannot be set aside: {obstacle}") from error
        when_free(
            log.warning,
            "%s was damaged (%s); it is now %s, and a new file is started",
            *(self.path, error, name),
        )

    def _is_sound(self) -> bool:
        """Tell whether the file at the path, which another process may have just made, can be opened."""
        try:
            handle = self._connect(make=False)
        except (apsw.CorruptError, apsw.NotADBError, schema.Tampered):
            return False
        self.discard(handle)
        return True

    def _new_closer(self) -> Keeper:
        """Return what ends the transactions that reads leave open, as long as there are any."""
        return Keeper(self._end_snapshots_later, name="hitrate-snapshots", lingers=False)

    def _end_snapshots_later(self) -> bool:
        self.closer.rest(_TICK_SECONDS)
        return self.end_snapshots()

    def end_snapshots(self) -> bool:
        """End the transactions that idle connections keep open; tell whether there may be others soon."""
        idle = self.idle
        if type(idle) is not list:
            return False
        ended = False
        for handle in [*idle]:
            if handle.snapshot.header is None:
                continue
            try:
                idle.remove(handle)
            except ValueError:  # somebody uses it now
                continue
            if self._ended(handle):
                idle.insert(0, handle)
                ended = True
        return ended or len(self._all) - len(idle) > self.watches.kept  # a handle in use may have a transaction, too

    def close(self) -> None:
        """Close every connection; those in use are closed when they are given back."""
        self.closer.stop()
        self._replace_idle(Closed(self.path))

    def _replace_idle(self, idle: Any) -> None:
        with a_few_lines:
            replaced = self.idle
            if isinstance(replaced, Closed) or (replaced is self._gate and not isinstance(idle, Closed)):
                return
            self.idle = idle
        self._lose()
        if isinstance(replaced, SharedConnection):
            replaced.close()
        elif isinstance(replaced, list):
            self._close_all(replaced)

    def _close_all(self, idle: list[Handle]) -> None:
        """Close handles one by one as they are taken out, so that no thread is left with one that was closed."""
        with suppress(IndexError):
            while True:
                self.discard(idle.pop())

    # Fork

    def before_fork(self) -> None:
        """Wait until no operation is under way, keep new ones out, and close what is open."""
        with a_few_lines:
            replaced = self.idle
            if isinstance(replaced, list):
                self.idle = self._gate
        if isinstance(replaced, list):
            self._lose()
        if isinstance(replaced, SharedConnection):
            if replaced.acquire(over_fork=True):
                self._held = replaced
        elif isinstance(replaced, list):
            quiet = time.monotonic() + QUIET_SECONDS
            self._close_all(replaced)
            while self._all and time.monotonic() < quiet:
                time.sleep(0.0002)
                self._close_all(replaced)

    def after_fork(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None
        gate, self._gate = self._gate, ForkGate()
        with a_few_lines:
            if self.idle is gate:
                self.idle = []
        gate.opened.set()

    def after_fork_in_child(self) -> None:
        self.closer = self._new_closer()
        self._gate.opened = threading.Event()
        self.after_fork()


def open_files() -> Iterator[tuple[int, int]]:
    """Yield the device and inode of each file that a cache of this process has open."""
    for pool in _pools:
        if not pool.in_memory and not isinstance(pool.idle, Closed) and (inode := inode_of(pool.path)) is not None:
            yield inode


_pools: Live[Connections] = Live()


def _before_fork() -> None:
    _opening.acquire()
    for pool in _pools:
        pool.before_fork()


def _after_fork() -> None:
    for pool in _pools:
        pool.after_fork()
    _opening.release()


def _after_fork_in_child() -> None:
    for pool in _pools:
        pool.after_fork_in_child()
    _opening.release()


forking.at_fork(
    forking.Turn.FILES, before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
