"""Housekeeping, which no caller waits for: removing what was cleared or has expired, and keeping the files short."""

from __future__ import annotations

import time

from hitrate.errors import ClosedError, StoreError
from hitrate.exclusive import within_change
from hitrate.failsafe import log
from hitrate.stores.keeper import Keeper
from hitrate.stores.sqlite.checkpoints import begin_anew, fold_bulk, longest_wal, pages_in_wal, truncate_wal
from hitrate.stores.sqlite.clearing import CLEARED_PER_STEP, remove_cleared
from hitrate.stores.sqlite.database import Database
from hitrate.stores.sqlite.disk import WAL_BYTES, give_back, wal_bytes
from hitrate.stores.sqlite.limits import MARKED_PER_STEP, PURGED_PER_WRITE, look_after_ranks, mark_some, purge
from hitrate.stores.sqlite.transaction import Transaction

_MOMENT_SECONDS = 0.002
_PATIENCE_SECONDS = 0.5
_LONG = 4  # times the pages that ask for a checkpoint
_BEHIND_PAGES = 8_000
_BEHIND_PAUSE_SECONDS = 0.002
"""Seconds that each write waits when the keeper cannot keep up with the -wal file; with that it can."""
_TRIES_TO_BEGIN_ANEW = 3
_LOOK_AT_WAL_SECONDS = 1.0
"""After so many tries in a row somebody is in the way for long, who is looked for so often."""
SEEN_AT_MOST, _SEEN_KEPT = 50_000, 25_000
"""Rows that were read: beyond the first the keeper tells the file of them, until they are no more than the second."""
_REMOVED_AT_ONCE = 1_000  # entries; room is looked for after so many
_TRIES_TO_TRUNCATE = 500
_REST_SECONDS = 0.002  # between two steps of giving back room: others write meanwhile
_TIDY_SECONDS = 0.25


class Housekeeper:
    """Does the housekeeping of one store, on a thread that starts when there is something to do.

    Attributes:
        expirations: entries that were removed for their TTL.
        longest_wal: pages that the -wal file may have.
    """

    def __init__(self, database: Database) -> None:
        self.expirations = 0
        self.longest_wal = longest_wal(database.limits.bytes)
        self._database = database
        self._connections = database.connections
        self._seen = database.seen
        self._clock = database.clock
        self._removed = 0  # entries, since room was last looked for
        self._look_at_wal = 0.0
        self._keeper = Keeper(self.step, self.shorten_wal)

    def request(self) -> None:
        """Ask for the housekeeping to be done soon."""
        self._keeper.request()

    def look_for_room(self) -> None:
        """Ask for it where there is much to remove or to give back."""
        self._removed = _REMOVED_AT_ONCE
        self._keeper.request()

    def note(self, *, expired: int, removed: int) -> None:
        """Note how many entries a write found expired, and how many it removed beside."""
        self.expirations += expired
        self._removed += expired + removed
        if self._removed >= _REMOVED_AT_ONCE or expired == PURGED_PER_WRITE:
            self._keeper.request()

    def step(self) -> bool:
        """Do a step of it; tell whether there is more."""
        if self._connections.wal_pages >= self._connections.checkpoint_at:
            self.fold()
        if self.wal_is_full():
            return False
        began = time.monotonic()
        now = self._clock()

        def do(transaction: Transaction) -> tuple[bool, bool]:
            """Tell whether there is more to remove, and whether there is more of another kind."""
            seen, marking = self._seen, False
            if len(seen) > _SEEN_KEPT and transaction.limits.are_near(transaction):
                mark_some(transaction, MARKED_PER_STEP)
                marking = len(seen) > _SEEN_KEPT
            elif len(seen) > SEEN_AT_MOST:
                seen.clear()
            left = remove_cleared(transaction, CLEARED_PER_STEP)
            purged = purge(transaction, now)
            self.expirations += purged
            behind = look_after_ranks(transaction)
            return left or purged == PURGED_PER_WRITE, marking or behind

        removing, more = self._database.transact(do)
        if removing:
            self._removed = _REMOVED_AT_ONCE
        if removing or more:
            self._keeper.rest(time.monotonic() - began)  # as long as the step took: others get the lock meanwhile
            return True
        return self._removed >= _REMOVED_AT_ONCE and self._give_back()

    def _give_back(self) -> bool:
        """Give back some of the pages that removed entries left; tell whether there are more."""
        if self._database.transact(lambda transaction: give_back(transaction.execute)):
            self._keeper.rest(_REST_SECONDS)
            return True
        self._removed = 0
        self.fold()  # which cuts the file
        return False

    def remove_expired(self) -> int:
        """Remove all entries whose TTL has passed; return how many."""
        removed = 0
        while purged := self._database.transact(lambda transaction: purge(transaction, self._clock())):
            removed += purged
        self.expirations += removed
        self._removed += removed
        return removed

    def compact(self) -> None:
        """Remove all that is to be removed, and give back all the room that it leaves."""
        transact = self._database.transact
        while transact(lambda transaction: remove_cleared(transaction, CLEARED_PER_STEP)):
            pass
        self.remove_expired()
        while transact(lambda transaction: give_back(transaction.execute, spare=0)):
            pass
        self.fold()
        if not self._connections.in_memory:
            for _ in range(_TRIES_TO_TRUNCATE):  # a read that is under way prevents it
                self._truncate_wal()
                if not wal_bytes(self._database.path):
                    break
                time.sleep(_REST_SECONDS)

    # The -wal file

    def wrote(self) -> None:
        """After a write: see to it that the -wal file is folded into the database now and then."""
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
            self.fold()
        except StoreError as error:
            log.debug("a checkpoint was put off: %s", error)

    def fold(self) -> None:
        """Fold the -wal file into the database, and let it begin anew.

        The file begins anew only when all of it is folded and no reader uses it any more. That is waited for while
        writers are kept out: for a moment or, once the file is long, for as long as an idle process keeps a transaction
        open.
        """
        connections, exclusive = self._connections, self._database.exclusive
        if connections.in_memory or (exclusive.busy and exclusive.must_not_wait()):
            return
        pages = connections.checkpoint_pages
        is_long = connections.wal_pages > min(_LONG * pages, self.longest_wal - pages)
        patience = _PATIENCE_SECONDS if is_long else _MOMENT_SECONDS
        try:
            self._database.use(fold_bulk, connections.end_snapshots)
            connections.end_snapshots()
            if exclusive.run(self._database.use, begin_anew, patience, connections.wait):
                connections.folded_in_vain = 0
            elif is_long:  # a busy program is in the way now and then, which needs no log line
                connections.folded_in_vain += 1
        finally:
            # If it could not begin anew, the next checkpoint comes after as many more pages.
            connections.checkpoint_at = connections.wal_pages + pages

    def wal_is_full(self) -> str:
        """Return what is wrong if the -wal file is so long that nothing more is to be stored; else nothing."""
        connections = self._connections
        if connections.wal_pages < self.longest_wal or connections.folded_in_vain < _TRIES_TO_BEGIN_ANEW:
            return ""
        now = time.monotonic()
        if now >= self._look_at_wal:
            self._look_at_wal = now + _LOOK_AT_WAL_SECONDS
            connections.wal_pages = self._database.use(pages_in_wal)
            if connections.wal_pages < self.longest_wal:
                return ""
            connections.checkpoint_at = 0  # the transaction that was in the way may have ended
            self._keeper.request()
        return (
            f"{connections.path}-wal has grown to {connections.wal_pages:,} pages: a program that has the file open "
            "keeps a read transaction open, and so keeps it from being folded into the database. Nothing is stored "
            "until that has ended"
        )

    def shorten_wal(self) -> None:
        """Cut a -wal file that has not been written to for a while."""
        if not self._connections.in_memory and wal_bytes(self._database.path) > WAL_BYTES and not within_change():
            self._connections.end_snapshots()
            self._truncate_wal()

    def _truncate_wal(self) -> None:
        self._database.exclusive.run(self._database.use, truncate_wal, self._connections.wait)

    # The end

    def stop(self) -> None:
        """Wait until the step under way is done, and do for a moment what is better done before closing."""
        self._keeper.stop()
        self._tidy_up()

    def _tidy_up(self) -> None:
        """Give back room for a moment, and what is in the -wal file if others keep it; the last one removes it."""
        if isinstance(self._connections.idle, list) and not self._connections.in_memory:
            until = time.monotonic() + _TIDY_SECONDS
            self._connections.waited_in_vain()  # a file that another process keeps locked is not waited for
            try:
                while self._removed >= _REMOVED_AT_ONCE and self.step() and time.monotonic() < until:
                    pass
                self.shorten_wal()
            except (StoreError, ClosedError) as error:
                log.debug("room was not given back: %s", error)

    def after_fork_in_child(self) -> None:
        """Start anew what a fork does not carry over: the thread."""
        self._keeper = Keeper(self.step, self.shorten_wal)
