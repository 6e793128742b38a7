"""Changes of entries: each is a transaction that does a bounded share of the housekeeping, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

from hitrate.entry import Entry
from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey, spelled
from hitrate.stores.base import Changes, Found
from hitrate.stores.sqlite import leasing
from hitrate.stores.sqlite.clearing import CLEARED_PER_WRITE, remove_cleared
from hitrate.stores.sqlite.database import Database
from hitrate.stores.sqlite.housekeeping import Housekeeper
from hitrate.stores.sqlite.idle import MustNotWait
from hitrate.stores.sqlite.limits import PURGED_PER_WRITE, purge
from hitrate.stores.sqlite.storing import store_many, store_one
from hitrate.stores.sqlite.transaction import Transaction

_PURGE_EVERY = 64  # writes, to find what other processes left; what this one knows of goes when it is due
_NEVER = sys.float_info.max


class Writer:
    """Writes and clears the entries of one store.

    Args:
        database: the file.
        housekeeper: of the same.
        get: reads keys.
        told: returns the store's ``told``, which is called with what is evicted or too large; None if nobody asks.

    Attributes:
        evictions: entries that were evicted.
    """

    def __init__(
        self,
        database: Database,
        housekeeper: Housekeeper,
        get: Callable[[Sequence[EncodedKey]], Sequence[Found]],
        told: Callable[[], Callable[[Any, Any, Any], None] | None],
    ) -> None:
        self.evictions = 0
        self._database = database
        self._connections = database.connections
        self._watches = database.connections.watches
        self._longest_wal = housekeeper.longest_wal
        self._housekeeper = housekeeper
        self._limits = database.limits
        self._clock = database.clock
        self._get = get
        self._told = told
        self._writes = 0
        self._soonest = _NEVER  # expiry that is known

    def write(self, changes: Changes) -> int:
        """Store and remove entries; as ``Store.write``."""
        database = self._database
        if database.is_busy_here():
            there = (
                [] if self._connections.in_memory else self._get([key for key, entry in changes.items() if not entry])
            )
            database.put_off(self.write, changes)
            return len(there) - there.count(None)
        try:
            if len(changes) == 1 and self._writes % _PURGE_EVERY and self._connections.wal_pages < self._longest_wal:
                (((name, key), entry),) = changes.items()
                soonest = self._soonest
                now = self._clock()
                # Fast path: one entry, and none that is known has expired, or will before this one.
                if (
                    entry is not None
                    and soonest > now
                    and (entry[2] is None or entry[2] >= soonest)
                    and database.exclusive.run(self._store_alone, name, key, entry, now)
                ):
                    self._writes += 1
                    self._watches.tell("changed", changes)
                    self._housekeeper.wrote()
                    return 0
            return self.write_together([changes])[0]
        except MustNotWait:
            database.put_off(self.write, changes)
            return 0
        except BaseException as error:
            self._watches.interrupted(error)
            raise

    def _store_alone(self, name: bytes, key: bytes, entry: Entry, now: float) -> bool:
        database, last = self._database, self._database.last_write
        commits = self._connections.commits
        stored = database.use(store_one, database, name, key, entry, now)
        if self._connections.commits != commits:
            database.committed(*last.commit, [(name, key)])
        else:  # nothing was changed, or the clock stands still and the row is the same: there was no commit
            last.forget()
        return stored

    def write_together(self, batches: list[Changes]) -> list[int]:
        """Apply several callers' changes in one transaction; return how many keys each removed."""
        removed = self._apply(lambda transaction: batches)
        for changes in batches:
            self._watches.tell("changed", changes)
        return removed

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        """End leases, and store what was computed under them; as ``Store.settle``."""
        late: Collection[EncodedKey] = ()

        def choose(transaction: Transaction) -> list[Changes]:
            nonlocal late
            late = leasing.settle(transaction, results, token, self._clock())
            return [{key: entry for key, entry in results.items() if entry is not None and key not in late}]

        try:
            self._apply(choose)
            self._watches.tell("changed", results)
        except BaseException as error:
            self._watches.interrupted(error)
            raise
        return late

    def _apply(self, choose: Callable[[Transaction], list[Changes]]) -> list[int]:
        """Apply some changes, one or more, that are chosen within the transaction."""
        now = self._clock()
        full = self._housekeeper.wal_is_full()
        purging = (self._writes % _PURGE_EVERY == 0 or self._soonest <= now) and not full
        self._writes += 1

        told = self._told()

        def do(transaction: Transaction) -> tuple[Transaction, list[Changes], list[int], int]:
            transaction.evicted_keys = None if told is None else []
            purged = 0
            if purging:
                purged = purge(transaction, now)
                remove_cleared(transaction, CLEARED_PER_WRITE)
            batches = choose(transaction)
            if full and any(entry is not None for changes in batches for entry in changes.values()):
                raise StoreError(full)
            return transaction, batches, [store_many(transaction, changes, now) for changes in batches], purged

        done, batches, removed, expired = self._database.transact(do)
        soonest = min(
            (
                entry[2]
                for changes in batches
                for entry in changes.values()
                if entry is not None and entry[2] is not None
            ),
            default=_NEVER,
        )
        if self._soonest <= now and not expired:
            self._soonest = _NEVER
        self._soonest = min(self._soonest, soonest, now if expired == PURGED_PER_WRITE else soonest)
        self._housekeeper.note(expired=expired, removed=sum(removed))
        if told is not None:
            for encoded in done.evicted_keys or ():
                told(*encoded, "evicted")
        if done.evicted:
            self._count_evictions(done.evicted)
        for encoded, size in done.too_large:
            if told is not None:
                told(*encoded, "too large")
            log.warning(
                "the value of %s takes %s bytes, more than max_bytes=%s; not stored",
                *(spelled(*encoded), size, self._limits.bytes),
            )
        return removed

    def _count_evictions(self, evicted: int) -> None:
        if self.evictions == 0:
            limits = [None if each == sys.maxsize else each for each in (self._limits.entries, self._limits.bytes)]
            log.warning(
                "the cache on %s is full (max_entries=%s, max_bytes=%s) and evicts from now on",
                *(self._database.path, *limits),
            )
        self.evictions += evicted

    def clear(self, do: Callable[[Transaction, Any], None], did: str, what: Any) -> None:
        """Clear by ``clearing.clear`` or ``clearing.clear_under``, and tell it as ``cleared`` or ``cleared_under``."""
        database = self._database
        try:
            if database.is_busy_here():
                raise MustNotWait
            database.transact(lambda transaction: do(transaction, what))
            self._watches.tell(did, what)
        except MustNotWait:
            database.put_off(self.clear, do, did, what)
            return
        except BaseException as error:
            self._watches.interrupted(error)
            raise
        self._housekeeper.look_for_room()
