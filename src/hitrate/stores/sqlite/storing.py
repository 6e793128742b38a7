"""What a write does within the file: one entry in few steps, or any changes within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hitrate.entry import Entry, fingerprint
from hitrate.stores.base import Changes
from hitrate.stores.sqlite import leasing
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.limits import make_room
from hitrate.stores.sqlite.rows import pack_key, size_of, slot_of, times_of, write_columns
from hitrate.stores.sqlite.statements import AT_SLOT, BASE, INSERT, SET_TOTALS, UPDATE
from hitrate.stores.sqlite.totals import read_totals
from hitrate.stores.sqlite.transaction import Transaction

if TYPE_CHECKING:
    from hitrate.stores.sqlite.database import Database


class LastWrite:
    """What this process knows from its last write; it holds until another process writes.

    Attributes:
        bases: of the namespaces written to.
        totals: what ``read_totals`` would return.
    """

    def __init__(self) -> None:
        self.bases: dict[bytes, int] = {}
        self.totals = (0, 0, 0)
        self._index: Any = None
        self._commits = 0

    @property
    def commit(self) -> tuple[Any, int]:
        """The wal-index that the last write was counted in, and what its number of commits was before."""
        return self._index, (self._commits - 1) & 0xFFFFFFFF

    def is_good(self, index: Any) -> bool:
        """Tell whether it still holds, by the wal-index of a connection that is in a write transaction."""
        return index is not None and index is self._index and index.commits.value == self._commits

    def after_commit(self, index: Any, totals: tuple[int, int, int]) -> None:
        """Note what a commit is about to leave; ``forget`` it if the commit fails."""
        self.totals = totals
        self._index = index
        if index is not None:
            self._commits = (index.commits.value + 1) & 0xFFFFFFFF

    def forget(self) -> None:
        """Let the next write look everything up."""
        self._index = None


def store_one(handle: Handle, database: Database, name: bytes, key: bytes, entry: Entry, now: float) -> bool:
    """Store one entry, the usual write, in fewer steps than a ``Transaction``.

    Returns:
        False, with nothing changed, if that takes a new namespace or an eviction.
    """
    limits, last, ranks = database.limits, database.last_write, database.ranks
    execute = handle.execute
    index = handle.snapshot.index
    identity = fingerprint(name, key)
    packed = pack_key(key)
    size = size_of(len(packed), len(entry[1]))
    expiry, times, checksum, encoding = write_columns(identity, entry, now)
    execute("BEGIN IMMEDIATE")
    try:
        # Three statements: joined into one they take SQLite twice as long.
        if not last.is_good(index):
            last.bases.clear()
            last.totals = read_totals(execute)
        base = last.bases.get(name)
        if base is None:
            for (base,) in execute(BASE, (name,)).fetchall():
                last.bases[name] = base
        newest, entries, total = last.totals
        row, old = None, 0
        if base is not None:
            slot = base + slot_of(identity)
            for at_slot, there, its_size in execute(AT_SLOT, (slot,)).fetchall():
                if there == packed:
                    row, old = at_slot, its_size
        if base is None or not entries or total + size - old > limits.bytes or entries + (not row) > limits.entries:
            last.forget()
            execute("ROLLBACK")
            return False
        total += size - old
        if row is None:
            entries += 1
            newest += 1
            execute(INSERT, (None, slot, expiry, times, entries, total, checksum, encoding, packed, entry[1]))
            if ranks is not None:
                ranks.prepare(handle)
                ranks.place(execute, newest, entry[3], size)
        else:
            execute(UPDATE, (expiry, times, checksum, encoding, entry[1], row))
            if size != old:
                execute(SET_TOTALS, (entries, total))
        last.after_commit(index, (newest, entries, total))
        execute("COMMIT")
    except BaseException:
        last.forget()
        if handle.con.in_transaction:
            execute("ROLLBACK")
        raise
    return True


def store_many(transaction: Transaction, changes: Changes, now: float) -> int:
    """Store and remove entries, after making room for them; return how many were removed."""
    limits = transaction.limits
    removed = 0
    transaction.changed += changes
    kept: list[tuple[leasing.LeaseKey, int, Entry | None]] = []
    unleased: list[leasing.LeaseKey] = []
    for (name, key), entry in changes.items():
        base = transaction.base(name)
        if base is None:
            if entry is None:
                continue
            base = transaction.new_base(name)
        identity = fingerprint(name, key)
        packed = pack_key(key)
        place = base + slot_of(identity), packed
        if entry is None:
            unleased.append(place)
        elif (size := size_of(len(packed), len(entry[1]))) > limits.bytes:
            transaction.too_large.append(((name, key), size))
            entry = None
        kept.append((place, identity, entry))
    there = transaction.rows_at([slot for (slot, _), _, _ in kept])
    inserted: list[list[Any]] = []
    updated: list[tuple[Any, ...]] = []
    grown = 0
    for place, identity, entry in kept:
        row = there.get(place)
        if entry is None:
            if row is not None:
                transaction.remove([row])
                removed += 1
            continue
        slot, packed = place
        expiry, times, checksum, encoding = write_columns(identity, entry, now)
        grown += size_of(len(packed), len(entry[1]))
        if row is None:
            inserted.append([None, slot, expiry, times, None, None, checksum, encoding, packed, entry[1]])
        else:
            grown -= row[1]
            updated.append((expiry, times, checksum, encoding, entry[1], row[0]))
    if transaction.bytes + grown > limits.bytes or transaction.entries + len(inserted) > limits.entries:
        make_room(transaction, grown, len(inserted), {columns[-1] for columns in updated})
    for columns in updated:
        transaction.execute(UPDATE, columns)
    transaction.bytes += grown
    if inserted:
        _insert(transaction, inserted)
    leasing.end(transaction.handle, unleased)
    if transaction.bytes > limits.bytes or transaction.entries > limits.entries:  # by the batch alone
        make_room(transaction, 0, 0, set())
    return removed


def _insert(transaction: Transaction, rows: list[list[Any]]) -> None:
    """Insert rows, the last of which is to hold the totals."""
    transaction.entries += len(rows)
    rows[-1][4:6] = transaction.entries, transaction.bytes
    if len(rows) == 1:
        transaction.execute(INSERT, rows[0])
    else:
        transaction.handle.con.executemany(INSERT, rows)
    transaction.last += len(rows)
    if transaction.ranks is not None:
        first = transaction.handle.con.last_insert_rowid() - len(rows) + 1
        for row, columns in enumerate(rows, first):
            size = size_of(len(columns[-2]), len(columns[-1]))
            transaction.ranks.place(transaction.execute, row, times_of(columns[3])[1], size)
    transaction.totals_are_written()
