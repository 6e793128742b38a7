"""Entries in an SQLite file, shared by threads and processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import apsw

from hitrate import forking
from hitrate.entry import Entry
from hitrate.errors import ClosedError, HitrateError, StoreError
from hitrate.exclusive import Exclusive, within_change
from hitrate.failsafe import log
from hitrate.keys import EncodedKey, spelled
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
from hitrate.stores.keeper import Keeper
from hitrate.stores.sqlite import counts, schema
from hitrate.stores.sqlite.checking import check
from hitrate.stores.sqlite.checkpoints import (
    begin_anew,
    fold_bulk,
    longest_wal,
    pages_in_wal,
    truncate_wal,
)
from hitrate.stores.sqlite.commits import CommitWatch
from hitrate.stores.sqlite.connections import (
    Connections,
    Durability,
    Handle,
    MustNotWait,
    open_files,
)
from hitrate.stores.sqlite.listing import begin, page_of
from hitrate.stores.sqlite.near import Near
from hitrate.stores.sqlite.ownership import own_path
from hitrate.stores.sqlite.paths import prepare_path
from hitrate.stores.sqlite.reading import find_expired, read_many, read_one
from hitrate.stores.sqlite.rights import check_mode, check_rights, explained, no_permission, permits
from hitrate.stores.sqlite.room import SPARE_PAGES, WAL_BYTES, bytes_on_disk, wal_bytes
from hitrate.stores.sqlite.usage import count_expired, live_usage
from hitrate.stores.sqlite.worker import Worker
from hitrate.stores.sqlite.writing import (
    CLEARED_PER_STEP,
    CLEARED_PER_WRITE,
    MARKED_PER_STEP,
    PURGED_PER_WRITE,
    Known,
    Limits,
    Outcome,
    Transaction,
    read_totals,
    store_one,
)

if TYPE_CHECKING:
    from hitrate.stores.sqlite.ranks import Ranks

T = TypeVar("T")

_MOMENT_SECONDS = 0.002
_PATIENCE_SECONDS = 0.5
_LONG = 4  # times the pages that ask for a checkpoint
_BEHIND_PAGES = 8_000
_BEHIND_PAUSE_SECONDS = 0.002
"""The keeper does not keep up with the -wal file: each write waits so long, and it does."""
_TRIES_TO_BEGIN_ANEW = 3
_LOOK_AT_WAL_SECONDS = 1.0
"""After so many tries in a row somebody is in the way for long, who is looked for so often."""
_PURGE_EVERY = 64  # writes, to find what other processes left; what this one knows of goes when it is due
_SEEN_AT_MOST, _SEEN_KEPT = 50_000, 25_000
"""Rows that were read: beyond the first the keeper tells the file of them, until they are no more than the second."""
_REMOVED_AT_ONCE = 1_000  # entries; room is looked for after so many
_TRIES_TO_TRUNCATE = 500
_REST_SECONDS = 0.002  # between two steps of giving back room: others write meanwhile
_TIDY_SECONDS = 0.25


class SqliteStore(Store):
    """Keeps entries in an SQLite file, or in memory for the path ``:memory:``.

    Args:
        path: the file; folders that are missing are made.
        durability: ``"normal"`` or ``"full"``.
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        repair: whether a damaged file is set aside and a new one started.
        clock: returns the seconds since the epoch.
        mode: the permissions that the file is made with, less the umask; None for its owner alone.
        near_bytes: memory that copies of entries take in this process at most, 0 for none.
        evict: ``"sieve"`` evicts what was not read lately, ``"cost"`` what saves the fewest seconds per byte.

    Attributes:
        near: the copies.
    """

    offers: frozenset[Capability] = frozenset({"bounds", "forks under load"})

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
        self._seen: set[int] = set()
        self.near = Near(near_bytes, clock, self._seen)
        with explained(path):
            self._connections = self._connections_to(path, durability, self._mode, repair=repair)
        self.path = self._connections.path
        self._clock = clock
        self._limits = Limits(
            entries=sys.maxsize if max_entries is None else max_entries,
            bytes=sys.maxsize if max_bytes is None else max_bytes,
        )
        self._longest_wal = longest_wal(self._limits.bytes)
        self._look_at_wal = 0.0
        self._repairs = repair
        self._exclusive = Exclusive()  # one writer of this process at a time: a queue, where SQLite would poll
        self._worker = Worker(self.get, self._write_together)
        self._keeper = Keeper(self._keep, self._shorten_wal)
        self._known = Known()  # guarded by the write lock
        self._ranks = _ranks() if evict == "cost" else None  # likewise
        self._removed = 0  # entries, since room was last looked for
        self._writes = 0
        self._soonest = sys.float_info.max
        self._evictions = 0
        self._expirations = 0
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
        """Open the file, so that a path that will not do is told at once; a busy file may do later."""
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
            left = self._use(lambda handle: handle.execute("SELECT EXISTS (SELECT 1 FROM hitrate_cleared)").fetchall())
            free = self._use(lambda handle: handle.execute("PRAGMA freelist_count").fetchall())
        except StoreError as error:
            if not self._repairs:
                raise
            log.warning("%s", error)
        else:
            if left[0][0] or free[0][0] > SPARE_PAGES:
                self._removed = _REMOVED_AT_ONCE
                self._keeper.request()
            elif self._ranks is not None:
                self._keeper.request()  # rows that another cache has stored have no places yet

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        if self.near.awake:
            if len(keys) == 1:
                copies = self.near.get(keys)
                if copies is not None:
                    return copies
            elif (known := self.near.get_known(keys)) is not None:
                rest = self._get([keys[place] for place in known.unknown]) if known.unknown else ()
                # One commit in between, and the batch is read as a whole: no half of what another batch stored.
                if not known.unknown or known.is_good():
                    for place, found in zip(known.unknown, rest, strict=True):
                        known.found[place] = found
                    return known.found
        return self._with_the_only_one(self._get, keys) if self._connections.in_memory else self._get(keys)

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
            begun = self.near.begin(snapshot, self._exclusive.busy, len(keys))
            latest = snapshot.header is not None and snapshot.header == snapshot.current.raw
            if not latest:
                snapshot.renew(self._connections.ender)
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
                snapshot.settle()
            if begun is not None:
                self.near.keep(begun, keys, found, rows)
        except BaseException as error:
            self._failed(handle, error)
        idle.append(handle)
        if len(self._seen) > _SEEN_AT_MOST:
            self._keeper.request()
        return found

    async def aget(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        copies = self.near.get(keys) if self.near.awake else None
        if copies is not None:
            return copies
        found: Sequence[Found] = await self._worker.submit("get", keys)
        return found

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self._use(find_expired, keys, self._clock())

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        found: Sequence[bool] = await self._worker.submit("list", lambda: self.expired(keys))
        return found

    def removals(self) -> tuple[int, int]:
        return self._evictions, self._expirations

    def usage(self) -> Usage:
        return self._use(self._usage)

    def _usage(self, handle: Handle) -> Usage:
        handle.execute("BEGIN")
        try:
            _, entries, size = read_totals(handle.execute)
            entries, size = live_usage(handle.execute, entries, size)
        finally:
            if handle.con.in_transaction:  # an error may have rolled back already, and is what is to be told
                handle.execute("COMMIT")
        disk = 0 if self._connections.in_memory else bytes_on_disk(self.path)
        return Usage(entries, size, self._evictions, self._expirations, disk)

    # Writing

    def write(self, changes: Changes) -> int:
        if self._is_busy_here():
            there = (
                [] if self._connections.in_memory else self.get([key for key, entry in changes.items() if not entry])
            )
            self._put_off(self.write, changes)
            return len(there) - there.count(None)
        try:
            return self._write(changes)
        except MustNotWait:
            self._put_off(self.write, changes)
            return 0
        except BaseException as error:
            self._distrust(error)
            raise

    def _write(self, changes: Changes) -> int:
        if len(changes) == 1 and self._writes % _PURGE_EVERY and self._connections.wal_pages < self._longest_wal:
            (((name, key), entry),) = changes.items()
            soonest = self._soonest
            now = self._clock()
            due = soonest <= now
            if entry is not None and not due and (entry[2] is None or entry[2] >= soonest):
                stored = self._exclusive.run(self._store_alone, name, key, entry, now)
                if stored:
                    self._writes += 1
                    self._tell(changes)
                    self._wrote()
                    return 0
        return self._write_together([changes])[0]

    def _store_alone(self, name: bytes, key: bytes, entry: Entry, now: float) -> bool:
        commits = self._connections.commits
        stored = self._use(store_one, name, key, entry, now, self._limits, self._known, self._ranks)
        if self._connections.commits != commits:
            self._committed(*self._known.commit, [(name, key)])
        else:  # nothing, or what is there already, by a clock that stands still: that is no commit
            self._known.forget()
        return stored

    async def awrite(self, changes: Changes) -> int:
        removed: int = await self._worker.submit("write", changes)
        return removed

    def _write_together(self, batches: list[Changes]) -> list[int]:
        """Apply several callers' changes in one transaction; return how many keys each removed."""
        removed = self._apply(lambda transaction: batches)
        for changes in batches:
            self._tell(changes)
        return removed

    def _apply(self, choose: Callable[[Transaction], list[Changes]]) -> list[int]:
        """Apply some changes, one or more, that are chosen within the transaction."""
        now = self._clock()
        full = self._wal_is_full()
        purging = (self._writes % _PURGE_EVERY == 0 or self._soonest <= now) and not full
        self._writes += 1

        def do(transaction: Transaction) -> tuple[list[Changes], list[Outcome]]:
            purged = 0
            if purging:
                purged = transaction.purge(now)
                transaction.remove_cleared(CLEARED_PER_WRITE)
            batches = choose(transaction)
            if full and any(entry is not None for changes in batches for entry in changes.values()):
                raise StoreError(full)
            outcomes = [transaction.apply(changes, now, self._limits, self._seen) for changes in batches]
            outcomes[0].expired = purged
            return batches, outcomes

        batches, outcomes = self._transact(do)
        soonest = min(
            (
                entry[2]
                for changes in batches
                for entry in changes.values()
                if entry is not None and entry[2] is not None
            ),
            default=sys.float_info.max,
        )
        expired = outcomes[0].expired
        if self._soonest <= now and not expired:
            self._soonest = sys.float_info.max
        self._soonest = min(self._soonest, soonest, now if expired == PURGED_PER_WRITE else soonest)
        self._expirations += expired
        self._removed += expired + sum(outcome.removed for outcome in outcomes)
        if self._removed >= _REMOVED_AT_ONCE or expired == PURGED_PER_WRITE:
            self._keeper.request()
        for outcome in outcomes:
            if outcome.evicted:
                self._count_evictions(outcome.evicted)
            for encoded, size in outcome.too_large:
                if self.told is not None:
                    self.told(*encoded, "too large")
                log.warning(
                    "the value of %s takes %s bytes, more than max_bytes=%s; not stored",
                    spelled(*encoded),
                    size,
                    self._limits.bytes,
                )
        return [outcome.removed for outcome in outcomes]

    def _count_evictions(self, evicted: int) -> None:
        if self._evictions == 0:
            log.warning(
                "the cache on %s is full (max_entries=%s, max_bytes=%s) and evicts from now on",
                *(
                    self.path,
                    *(None if each == sys.maxsize else each for each in (self._limits.entries, self._limits.bytes)),
                ),
            )
        self._evictions += evicted

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        if self._is_busy_here():
            self._put_off(self.clear, namespaces)
            return
        try:
            self._transact(lambda transaction: transaction.clear(namespaces))
            for watch in self._connections.watches:
                watch.listener.cleared(namespaces)
        except MustNotWait:
            self._put_off(self.clear, namespaces)
            return
        except BaseException as error:
            self._distrust(error)
            raise
        self._removed = _REMOVED_AT_ONCE
        self._keeper.request()

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._worker.submit("clear", lambda: self.clear(namespaces))

    def clear_under(self, prefix: bytes) -> None:
        if self._is_busy_here():
            self._put_off(self.clear_under, prefix)
            return
        try:
            self._transact(lambda transaction: transaction.clear_under(prefix))
            for watch in self._connections.watches:
                watch.listener.cleared_under(prefix)
        except MustNotWait:
            self._put_off(self.clear_under, prefix)
            return
        except BaseException as error:
            self._distrust(error)
            raise
        self._removed = _REMOVED_AT_ONCE
        self._keeper.request()

    async def aclear_under(self, prefix: bytes) -> None:
        await self._worker.submit("clear", lambda: self.clear_under(prefix))

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        self._connections.give_turns()
        place = self._use(begin, under) if after is None else after
        return self._use(page_of, place, under, limit, self._clock())

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        page: Page = await self._worker.submit("list", lambda: self.list_page(under, after, limit))
        return page

    def count_expired(self) -> int:
        return self._use(count_expired, self._clock())

    def remove_expired(self) -> int:
        removed = 0
        while purged := self._transact(lambda transaction: transaction.purge(self._clock())):
            removed += purged
        self._expirations += removed
        self._removed += removed
        return removed

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem]:
        return check(self.path, self._use, self._transact if repair else None, looked_at)

    def compact(self) -> bool:
        while self._transact(lambda transaction: transaction.remove_cleared(CLEARED_PER_STEP)):
            pass
        self.remove_expired()
        while self._transact(lambda transaction: transaction.give_back(spare=0)):
            pass
        self._fold()
        if not self._connections.in_memory:
            for _ in range(_TRIES_TO_TRUNCATE):  # whoever reads just now is in the way
                self._exclusive.run(self._use, truncate_wal, self._connections.wait)
                if not wal_bytes(self.path):
                    break
                time.sleep(_REST_SECONDS)
        return True

    def described(self) -> str:
        return f"path={self.path!r}"

    # Counters that outlive the process

    def add_counts(self, amounts: Amounts) -> bool:
        if self._connections.in_memory:
            return False
        if self._exclusive.busy and self._exclusive.must_not_wait():
            raise MustNotWait(f"{self.path} is being written to, and a finaliser does not wait for that")
        self._exclusive.run(self._add_counts_alone, amounts)
        self._wrote()
        return True

    def _add_counts_alone(self, amounts: Amounts) -> None:
        with self._connections.impatient():  # the next step tells the same, and more
            self._transact_alone(lambda transaction: transaction.add_counts(amounts))

    def read_counts(self) -> Amounts | None:
        return None if self._connections.in_memory else self._use(counts.read)

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        if self._connections.in_memory:
            return super().lease(keys, token, seconds)
        # The clock is read when the file is this transaction's: a lease may have been taken while it waited.
        return self._transact(lambda transaction: transaction.lease(keys, token, seconds, self._clock()))

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        left: Sequence[float] = await self._worker.submit("lease", lambda: self.lease(keys, token, seconds))
        return left

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        if self._connections.in_memory:
            return super().settle(results, token)
        late: Collection[EncodedKey] = ()

        def choose(transaction: Transaction) -> list[Changes]:
            nonlocal late
            late = frozenset(transaction.settle(results, token, self._clock()))
            return [{key: entry for key, entry in results.items() if entry is not None and key not in late}]

        try:
            self._apply(choose)
            self._tell(results)
        except BaseException as error:
            self._distrust(error)
            raise
        return late

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        late: Collection[EncodedKey] = await self._worker.submit("settle", lambda: self.settle(results, token))
        return late

    # What changed

    def listen(self, listener: Listener) -> Channel:
        watch = CommitWatch(self._connections, listener)
        self._connections.watches.append(watch)
        return watch

    def _committed(self, index: Any, before: int, keys: Iterable[EncodedKey], rows: Iterable[int] = ()) -> None:
        self.near.committed(index, before, keys, rows)
        for watch in self._connections.watches:
            watch.committed(index, before)

    def _tell(self, changes: Changes) -> None:
        for watch in self._connections.watches:
            watch.listener.changed(changes)

    def _distrust(self, error: BaseException) -> None:
        """After an exception in a change that came from outside, see to it that nobody goes by what was told of it."""
        if not isinstance(error, HitrateError):
            for watch in self._connections.watches:
                watch.distrust()

    # Housekeeping

    def _keep(self) -> bool:
        """Do a step of what need not be done by a caller; tell whether there is more."""
        if self._connections.wal_pages >= self._connections.checkpoint_at:
            self._fold()
        if self._wal_is_full():
            return False
        began = time.monotonic()
        now = self._clock()

        def do(transaction: Transaction) -> tuple[bool, bool]:
            """Tell whether there is more to remove, and whether there is more of another kind."""
            seen, marking = self._seen, False
            if len(seen) > _SEEN_KEPT and transaction.is_nearly_full(self._limits):
                transaction.mark(seen, MARKED_PER_STEP)
                marking = len(seen) > _SEEN_KEPT
            elif len(seen) > _SEEN_AT_MOST:
                seen.clear()
            left = transaction.remove_cleared(CLEARED_PER_STEP)
            purged = transaction.purge(now)
            self._expirations += purged
            behind = transaction.look_after_ranks()
            return left or purged == PURGED_PER_WRITE, marking or behind

        removing, more = self._transact(do)
        if removing:
            self._removed = _REMOVED_AT_ONCE
        if removing or more:
            self._keeper.rest(time.monotonic() - began)  # as long as it took: whoever waits for the lock is first
            return True
        return self._removed >= _REMOVED_AT_ONCE and self._give_back()

    def _give_back(self) -> bool:
        """Give back some of the pages that removed entries left; tell whether there are more."""
        if self._transact(lambda transaction: transaction.give_back()):
            self._keeper.rest(_REST_SECONDS)
            return True
        self._removed = 0
        self._fold()  # which cuts the file
        return False

    def _shorten_wal(self) -> None:
        """Cut a -wal file that has not been written to for a while."""
        if not self._connections.in_memory and wal_bytes(self.path) > WAL_BYTES and not within_change():
            self._connections.end_snapshots()
            self._exclusive.run(self._use, truncate_wal, self._connections.wait)

    def _fold(self) -> None:
        """Fold the -wal file into the database, and let it begin anew.

        It begins anew only when everything is folded and every reader has seen so. That is waited for with writers kept
        out: a moment, or, once the file is long, as long as an idle process keeps a transaction open.
        """
        connections = self._connections
        if connections.in_memory or (self._exclusive.busy and self._exclusive.must_not_wait()):
            return
        pages = connections.checkpoint_pages
        patience = _PATIENCE_SECONDS if connections.wal_pages > _LONG * pages else _MOMENT_SECONDS
        try:
            self._use(fold_bulk, connections.end_snapshots)
            connections.end_snapshots()
            if self._exclusive.run(self._use, begin_anew, patience, connections.wait):
                connections.folded_in_vain = 0
            else:
                connections.folded_in_vain += 1
        finally:
            # Where it could not, the next checkpoint waits for as many more pages.
            connections.checkpoint_at = connections.wal_pages + pages

    # The boundary to SQLite

    def _is_busy_here(self) -> bool:
        """Tell whether a change is to be put off: a finaliser, or a signal, asks for it within another one.

        Nearer tiers are told of this one, under their lock; and `:memory:` has one connection for all.
        """
        connections = self._connections
        if connections.watches:
            return within_change()
        return (self._exclusive.busy or connections.in_memory) and self._exclusive.must_not_wait()

    def _put_off(self, do: Callable[[Any], object], what: Any) -> None:
        self._exclusive.put_off(partial(do, what))

    def _with_the_only_one(self, do: Callable[..., T], *args: Any) -> T:
        """Do something with the one connection of ``:memory:``, which this thread is left without whatever happens."""
        connections = self._connections
        if connections.is_mine():
            raise StoreError(f"{self.path} is in use by this very thread")
        let_go = connections.let_go()
        try:
            return do(*args)
        finally:
            let_go()
            if self._exclusive.waiting:
                self._exclusive.catch_up()

    def _use(self, do: Callable[..., T], *args: Any) -> T:
        if self._connections.in_memory:
            result: T = self._with_the_only_one(self._use_any, do, *args)
            return result
        return self._use_any(do, *args)

    def _use_any(self, do: Callable[..., T], *args: Any) -> T:
        idle = self._connections.idle
        handle = None
        try:
            try:
                handle = idle.pop()
            except IndexError:
                handle = self._connections.open()
            handle.snapshot.end()
            result = do(handle, *args)
        except BaseException as error:
            self._failed(handle, error)
        idle.append(handle)
        return result

    def _transact(self, do: Callable[[Transaction], T]) -> T:
        if self._exclusive.busy and self._exclusive.must_not_wait():
            raise MustNotWait(f"{self.path} is being written to, and a finaliser does not wait for that")
        result: T = self._exclusive.run(self._transact_alone, do)
        self._wrote()
        return result

    def _transact_alone(self, do: Callable[[Transaction], T]) -> T:
        def transact(handle: Handle) -> tuple[T, Transaction | None]:
            commits = self._connections.commits
            with Transaction(handle, self._ranks) as transaction:
                result = do(transaction)
            return result, transaction if self._connections.commits != commits else None

        self._known.forget()
        result, done = self._use(transact)
        if done is not None:
            if done.cleared:
                self.near.lose()
            self._committed(*done.commit, done.changed, done.removed)
        return result

    def _wrote(self) -> None:
        """See to it that the -wal file is folded into the database now and then; the write itself is done."""
        connections = self._connections
        behind = connections.wal_pages - connections.checkpoint_at
        if behind < 0:
            return
        self._keeper.request()
        if behind < _BEHIND_PAGES:
            return
        if self._keeper.runs:
            time.sleep(_BEHIND_PAUSE_SECONDS)
            return
        try:
            self._fold()
        except StoreError as error:
            log.debug("a checkpoint was put off: %s", error)

    def _wal_is_full(self) -> str:
        """Return what is wrong if the -wal file is so long that nothing more is to be stored; else nothing."""
        connections = self._connections
        if connections.wal_pages < self._longest_wal or connections.folded_in_vain < _TRIES_TO_BEGIN_ANEW:
            return ""
        now = time.monotonic()
        if now >= self._look_at_wal:
            self._look_at_wal = now + _LOOK_AT_WAL_SECONDS
            connections.wal_pages = self._use(pages_in_wal)
            if connections.wal_pages < self._longest_wal:
                return ""
            connections.checkpoint_at = 0  # whoever was in the way may have gone
            self._keeper.request()
        return (
            f"{self.path}-wal has grown to {connections.wal_pages:,} pages: a program that has the file open keeps a "
            "read transaction open, and so keeps it from being folded into the database. Nothing is stored until "
            "that has ended"
        )

    def _failed(self, handle: Handle | None, error: BaseException) -> NoReturn:
        """Let go of a connection that failed, and say what happened in our terms."""
        if handle is not None:
            self._connections.discard(handle)
        # The last two come of content that is not of its type.
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError, schema.Tampered, TypeError, ValueError)):
            self._connections.set_aside(handle, error)
            raise StoreError(f"{self.path} was damaged: {error}") from error
        if isinstance(error, (StoreError, ClosedError)):
            raise error
        if isinstance(error, (apsw.BusyError, apsw.LockedError)):
            self._connections.waited_in_vain()
            # Not `timed_out`: a locked file is read all the same, and so tells which old values are to be withheld.
            raise StoreError(f"{self.path} is locked by another process: {error}") from error
        if isinstance(error, (apsw.Error, OSError, HitrateError)):
            raise StoreError(f"{self.path}: {error}") from error
        raise error

    def close(self) -> None:
        self.near.lose()
        self._keeper.stop()
        self._tidy_up()
        self._connections.close()

    def _tidy_up(self) -> None:
        """Give back room for a moment, and what is in the -wal file if others keep it; the last one removes it."""
        if isinstance(self._connections.idle, list) and not self._connections.in_memory:
            until = time.monotonic() + _TIDY_SECONDS
            self._connections.waited_in_vain()  # a file that another process keeps locked is not waited for
            try:
                while self._removed >= _REMOVED_AT_ONCE and self._keep() and time.monotonic() < until:
                    pass
                self._shorten_wal()
            except (StoreError, ClosedError) as error:
                log.debug("room was not given back: %s", error)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def after_fork_in_child(self) -> None:
        """Start anew what a fork does not carry over: threads, and locks that other threads held."""
        self._exclusive = Exclusive()
        self._known = Known()
        self.near.lose()
        self._worker = Worker(self.get, self._write_together)
        self._keeper = Keeper(self._keep, self._shorten_wal)


def _ranks() -> Ranks:
    from hitrate.stores.sqlite.ranks import Ranks

    return Ranks()
