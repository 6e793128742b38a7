"""A file that is read and never written: prebuilt, and perhaps on a disk or in a folder that cannot be written.

A file that its writer has closed is opened as immutable: SQLite takes no locks and makes no -wal or -shm. Should
somebody write to it after all, that shows in the file or by a -wal beside it, and it is opened anew; an entry that is
read halfway meanwhile does not pass its checksum. A file that is in use has a -wal, and is read along with it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import apsw

from hitrate.errors import ReadOnlyError, StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Amounts, Changes, Found, LookedAt, Problem
from hitrate.stores.sqlite import schema
from hitrate.stores.sqlite.connections import Connections, open_files
from hitrate.stores.sqlite.database import Database, T
from hitrate.stores.sqlite.disk import wal_bytes
from hitrate.stores.sqlite.handle import Durability, Handle, restrict
from hitrate.stores.sqlite.housekeeping import Housekeeper
from hitrate.stores.sqlite.near import Near
from hitrate.stores.sqlite.ownership import own_path
from hitrate.stores.sqlite.paths import checked_path, inode_of
from hitrate.stores.sqlite.rights import check_rights, no_permission, permits
from hitrate.stores.sqlite.store import SqliteStore

_LOOK_SECONDS = 0.1

_State = tuple[int, int, int, int, bool] | None
"""Of a file: device, inode, size, time of the last change, and whether there is something in the -wal beside it."""


class ReadOnlyConnections(Connections):
    """Connections that cannot write.

    Args:
        path: the file, which is there.
        near: the copies of entries in this process.
        mode: whom ``check_rights`` lets have written it.
    """

    def __init__(self, path: str, *, near: Near, mode: int) -> None:
        super().__init__(path, "normal", repair=False, near=near, mode=mode)
        self._state = _state_of(path)
        self._looked_at = time.monotonic()

    def look_again(self) -> None:
        """Now and then see whether the file is as it was."""
        if not 0 <= time.monotonic() - self._looked_at < _LOOK_SECONDS:
            self.look()

    def look(self) -> None:
        """See whether the file is as it was; close what is open if it is not."""
        self._looked_at = time.monotonic()
        state = _state_of(self.path)
        if state != self._state:
            before, self._state = self._state, state
            # Open connections see what is written. What must be noticed is that a writer opens, closes or replaces the
            # file.
            if before is None or state is None or not before[4] or not state[4] or before[:2] != state[:2]:
                self._replace_idle([])

    def _connect(self, *, make: bool = True) -> Handle:
        check_rights(self.path, self._mode, read_only=True)
        state = _state_of(self.path)
        logged = state is not None and state[4]
        options = "" if logged else "?immutable=1"
        con = apsw.Connection(
            f"file:{quote(self.path)}{options}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        self._all.add(con)
        handle = Handle(con, self.path, inode_of(self.path))
        try:
            con.set_busy_handler(self.wait)
            con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            if not schema.check(con, self.path):
                raise schema.NotOurs(f"{self.path} has no tables of hitrate's, and so is no cache to read")
            restrict(con)
            if logged:
                self._begin_reading(handle)
        except BaseException as error:
            self._close(handle)
            if isinstance(error, apsw.CantOpenError) and logged:
                raise StoreError(
                    f"{self.path} was left with a -wal file beside it, which cannot be read here ({error}): open it "
                    f"once where it can be written, and close it"
                ) from error
            raise
        return handle


def _state_of(path: str) -> _State:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, wal_bytes(path) > 0


def _check_readable(path: str) -> None:
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"path {path!r} is not there, and a cache that is only read is not made") from error
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"path {path!r} is not a regular file")
    if not permits(path, os.R_OK):
        raise PermissionError(no_permission(path, path, "read"))


class ReadDatabase(Database):
    """Checks before each step whether the file has changed: listing and counting are to tell what is there now, and are
    not as frequent as reads.
    """

    connections: ReadOnlyConnections

    def _use_any(self, do: Callable[..., T], *args: Any) -> T:
        self.connections.look()
        return super()._use_any(do, *args)


class NoHousekeeping(Housekeeper):
    """Leaves the file as it is."""

    def step(self) -> bool:
        self._seen.clear()  # nothing will write visited bits
        return False

    def shorten_wal(self) -> None:
        pass

    def _tidy_up(self) -> None:
        pass


class ReadOnlySqliteStore(SqliteStore):
    """Reads the entries of a file; each write is refused with a ``ReadOnlyError``. The arguments are its base's."""

    _database_of = ReadDatabase
    _housekeeper_of = NoHousekeeping
    _connections: ReadOnlyConnections

    def _connections_to(self, path: Any, durability: Durability, mode: int, *, repair: bool) -> Connections:
        where = checked_path(path)
        if where == ":memory:":
            raise ValueError("a cache on :memory: begins empty, and is of no use with read_only=True; give a file")
        _check_readable(where)
        own = own_path(where, set(open_files()))
        if own != where:
            _check_readable(own)
        return ReadOnlyConnections(own, near=self.near, mode=mode)

    def _open_first(self) -> None:
        check_rights(self.path, self._mode, read_only=True)
        try:
            self._connections.idle.append(self._connections.open())
        except schema.NotOurs as error:
            raise ValueError(str(error)) from error
        except (StoreError, apsw.Error) as error:
            if not self._repairs:
                if isinstance(error, StoreError):
                    raise
                raise StoreError(f"{self.path}: {error}") from error
            log.warning("%s cannot be read, every read is a miss: %s", self.path, error)

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        self._connections.look_again()
        return super().get(keys)

    def described(self) -> str:
        return f"{super().described()}, read_only=True"

    def _refuse(self, *args: Any, **options: Any) -> NoReturn:
        raise ReadOnlyError(f"{self.path} was opened with read_only=True, and nothing is written to it")

    write = _write_together = clear = clear_under = remove_expired = compact = _refuse

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem]:
        if repair:
            self._refuse()
        return super().check(repair, looked_at)

    def add_counts(self, amounts: Amounts) -> bool:
        return False  # counters cannot be written

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return [0.0] * len(keys)  # nobody can wait here for what another computes

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        if any(entry is not None for entry in results.values()):
            self._refuse()
        return ()
