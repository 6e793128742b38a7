"""The store on an SQLite file: what a cache calls, sync and async."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import apsw

from hitrate import forking
from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import (
    Amounts,
    Capability,
    Changes,
    Channel,
    Evict,
    Found,
    Listener,
    LookedAt,
    Page,
    Problem,
    Store,
    Usage,
    check_evict,
    check_limit,
)
from hitrate.stores.salvaged import Salvaged, UnreadableRows
from hitrate.stores.sqlite import clearing, counts, schema
from hitrate.stores.sqlite.changes import CommitWatch
from hitrate.stores.sqlite.checking import check
from hitrate.stores.sqlite.connections import Connections, open_files
from hitrate.stores.sqlite.database import Database
from hitrate.stores.sqlite.disk import SPARE_PAGES, bytes_on_disk, room_to_give
from hitrate.stores.sqlite.handle import Durability
from hitrate.stores.sqlite.housekeeping import SEEN_AT_MOST, Housekeeper
from hitrate.stores.sqlite.leasing import take
from hitrate.stores.sqlite.limits import Limits
from hitrate.stores.sqlite.listing import begin, page_of
from hitrate.stores.sqlite.near import Near
from hitrate.stores.sqlite.ownership import own_path
from hitrate.stores.sqlite.paths import prepare_path
from hitrate.stores.sqlite.ranks import Ranks
from hitrate.stores.sqlite.reading import find_expired, read_many, read_one
from hitrate.stores.sqlite.rights import check_mode, check_rights, explained, no_permission, permits
from hitrate.stores.sqlite.salvage import salvage
from hitrate.stores.sqlite.usage import count_expired, read_usage
from hitrate.stores.sqlite.worker import Worker
from hitrate.stores.sqlite.writing import Writer


class SqliteStore(Store):
    """Keeps entries in an SQLite file, or in memory for the path ``:memory:``.

    The arguments are those of ``SqliteCache``.

    Args:
        repair: whether a damaged file is set aside and a new one started.

    Attributes:
        near: copies of entries in this process.
    """

    offers: frozenset[Capability] = frozenset({"bounds", "forks under load"})
    _database_of: type[Database] = Database
    _housekeeper_of: type[Housekeeper] = Housekeeper

    def __init__(
        self,
        path: Any,
        *,
        durability: Durability,
        max_bytes: int | None,
        max_entries: int | None,
        repair: bool,
        clock: Callable[[], float],
        mode: int | None = None,
        near_bytes: int = 0,
        evict: Evict = "sieve",
    ) -> None:
        check_evict(evict)
        check_limit("max_bytes", max_bytes)
        check_limit("max_entries", max_entries)
        self.limits = (max_entries, max_bytes)
        if durability not in ("normal", "full"):
            raise ValueError(f"durability is 'normal' or 'full', not {durability!r}")
        self._mode = check_mode(mode)
        self.near = Near(near_bytes, clock)
        self._seen = self.near.seen
        with explained(path):
            self._connections = self._connections_to(path, durability, self._mode, repair=repair)
        self.path = self._connections.path
        self._clock = clock
        limits = Limits(
            entries=sys.maxsize if max_entries is None else max_entries,
            bytes=sys.maxsize if max_bytes is None else max_bytes,
        )
        self._repairs = repair
        ranks = Ranks() if evict == "cost" else None
        self._database = database = self._database_of(self._connections, limits, clock, ranks)
        self._housekeeper = housekeeper = self._housekeeper_of(database)
        database.after_write = housekeeper.wrote
        self._writer = Writer(database, housekeeper, self.get, lambda: self.told)
        self._worker = Worker(self.get, self._write_together)
        with explained(self.path):
            self._open_first()
        forking.begin_anew(self)

    def _connections_to(self, path: Any, durability: Durability, mode: int, *, repair: bool) -> Connections:
        where = prepare_path(path, mode)
        if where != ":memory:":
            where = own_path(where, set(open_files()))
            check_rights(where, mode)
        return Connections(where, durability, repair=repair, near=self.near, mode=mode)

    def _open_first(self) -> None:
        """Open the file, so that a path that cannot be used is an error at once; a busy file is opened later."""
        try:
            handle = self._connections.idle.pop() if self._connections.in_memory else self._connections.open()
        except apsw.CantOpenError as error:
            for beside in (self.path, f"{self.path}-wal", f"{self.path}-shm"):
                if os.path.exists(beside) and not permits(beside, os.R_OK | os.W_OK):
                    raise PermissionError(no_permission(self.path, beside)) from error
            raise OSError(f"path {self.path!r} cannot be opened as a database: {error}") from error
        except schema.NotOurs as error:
            raise ValueError(str(error)) from error
        except apsw.Error as error:
            log.warning("%s cannot be opened yet, every read is a miss until it can: %s", self.path, error)
            return
        self._connections.idle.append(handle)
        try:
            cleared, free = self._database.use(room_to_give)
        except StoreError as error:
            if not self._repairs:
                raise
            log.warning("%s", error)
        else:
            if cleared or free > SPARE_PAGES:
                self._housekeeper.look_for_room()
            elif self._database.ranks is not None:
                self._housekeeper.request()  # rows that another cache has stored have no places yet

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        copies = self.near.get(keys, self._get) if self.near.awake else None
        if copies is not None:
            return copies
        return self._database.with_the_only_one(self._get, keys) if self._connections.in_memory else self._get(keys)

    def _get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        idle = self._connections.idle
        handle = None
        try:
            try:
                handle = idle.pop()
            except IndexError:
                handle = self._connections.open()
            snapshot = handle.snapshot
            # First: what is read is of this state, or newer.
            begun = self.near.begin(snapshot, self._database.exclusive.busy, len(keys))
            latest = snapshot.header is not None and snapshot.header == snapshot.current.raw
            if not latest:
                snapshot.renew(self._connections.closer)
            if len(keys) == 1:
                ((name, key),) = keys
                entry, row = read_one(handle, name, key, self._clock)
                found: Sequence[Found] = (entry,)
                rows = [row]
                if row:
                    self._seen.add(row)
            else:
                found, rows = read_many(handle, keys, self._clock())
                self._seen.update(filter(None, rows))
            if not latest:
                snapshot.begun()
            if begun is not None:
                self.near.keep(begun, keys, found, rows)
        except BaseException as error:
            self._database.failed(handle, error)
        idle.append(handle)
        if len(self._seen) > SEEN_AT_MOST:
            self._housekeeper.request()
        return found

    async def aget(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        copies = self.near.get(keys) if self.near.awake else None
        if copies is not None:
            return copies
        found: Sequence[Found] = await self._worker.submit("get", keys)
        return found

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self._database.use(find_expired, keys, self._clock())

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        found: Sequence[bool] = await self._worker.submit("list", lambda: self.expired(keys))
        return found

    def removals(self) -> tuple[int, int]:
        return self._writer.evictions, self._housekeeper.expirations

    def usage(self) -> Usage:
        entries, size = self._database.use(read_usage)
        disk = 0 if self._connections.in_memory else bytes_on_disk(self.path)
        return Usage(entries, size, *self.removals(), disk)

    # Writing

    def write(self, changes: Changes) -> int:
        return self._writer.write(changes)

    async def awrite(self, changes: Changes) -> int:
        removed: int = await self._worker.submit("write", changes)
        return removed

    def _write_together(self, batches: list[Changes]) -> list[int]:
        return self._writer.write_together(batches)

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._writer.clear(clearing.clear, "cleared", namespaces)

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._worker.submit("clear", lambda: self.clear(namespaces))

    def clear_under(self, prefix: bytes) -> None:
        self._writer.clear(clearing.clear_under, "cleared_under", prefix)

    async def aclear_under(self, prefix: bytes) -> None:
        await self._worker.submit("clear", lambda: self.clear_under(prefix))

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        if self._connections.only is not None:
            self._connections.only.give_turns()
        place = self._database.use(begin, under) if after is None else after
        return self._database.use(page_of, place, under, limit, self._clock())

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        page: Page = await self._worker.submit("list", lambda: self.list_page(under, after, limit))
        return page

    def count_expired(self) -> int:
        return self._database.use(count_expired, self._clock())

    def remove_expired(self) -> int:
        return self._housekeeper.remove_expired()

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem]:
        return check(self.path, self._database.use, self._database.transact if repair else None, looked_at)

    def salvage(self, under: bytes) -> Iterator[Salvaged | UnreadableRows]:
        return salvage(self._database.use, under, self._clock())

    def compact(self) -> bool:
        self._housekeeper.compact()
        return True

    def described(self) -> str:
        return f"path={self.path!r}"

    # Counters that outlive the process

    def add_counts(self, amounts: Amounts) -> bool:
        if self._connections.in_memory:
            return False
        self._database.refuse_to_wait()
        self._database.exclusive.run(self._add_counts_alone, amounts)
        self._housekeeper.wrote()
        return True

    def _add_counts_alone(self, amounts: Amounts) -> None:
        with self._connections.impatient():  # the next step adds these counts, and what comes until then
            self._database.transact_alone(lambda transaction: counts.add(transaction.handle, amounts))

    def read_counts(self) -> Amounts | None:
        return None if self._connections.in_memory else self._database.use(counts.read)

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        if self._connections.in_memory:
            return super().lease(keys, token, seconds)
        # The clock is read when the file is this transaction's: a lease may have been taken while it waited.
        return self._database.transact(lambda transaction: take(transaction, keys, token, seconds, self._clock()))

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        # A lease that is granted after its loop was closed would be held by nobody: whoever gives back the leases of
        # computations that cannot go on may have done so before.
        left: Sequence[float] = await self._worker.submit(
            "lease",
            lambda: self.lease(keys, token, seconds),
            undo=lambda: self.settle(dict.fromkeys(keys), token),
        )
        return left

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        if self._connections.in_memory:
            return super().settle(results, token)
        return self._writer.settle(results, token)

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        late: Collection[EncodedKey] = await self._worker.submit("settle", lambda: self.settle(results, token))
        return late

    # What changed

    def listen(self, listener: Listener) -> Channel:
        watch = CommitWatch(self._connections, listener)
        self._connections.watches.append(watch)
        return watch

    # The whole

    def close(self) -> None:
        self.near.lose()
        self._housekeeper.stop()
        self._connections.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def after_fork_in_child(self) -> None:
        """Make new threads and locks: a fork carries over none of these."""
        self._database.after_fork_in_child()
        self.near.lose()
        self._worker = Worker(self.get, self._write_together)
        self._housekeeper.after_fork_in_child()
