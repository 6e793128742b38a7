"""Writes: one transaction a call, all of it or nothing, with a bounded share of the housekeeping."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import apsw

from hitrate.entry import Entry, fingerprint
from hitrate.errors import StoreError
from hitrate.keys import EncodedKey, after_all_under
from hitrate.stores.base import Amounts, Changes
from hitrate.stores.sqlite import counts, leasing
from hitrate.stores.sqlite.connections import Handle
from hitrate.stores.sqlite.disk import SPARE_PAGES, give_back
from hitrate.stores.sqlite.hand import Hand, mark
from hitrate.stores.sqlite.rows import ROW_OVERHEAD, pack_key, size_of, slot_of, times_of, write_columns
from hitrate.stores.sqlite.schema import BASES, SLOTS

if TYPE_CHECKING:
    from hitrate.stores.sqlite.ranks import Ranks

_BASE = "SELECT base FROM hitrate_namespaces WHERE name = ?"
_AT_SLOT = f"SELECT id, key, length(key) + length(payload) + {ROW_OVERHEAD} FROM hitrate_entries WHERE slot = ?"
_AT_SLOTS = f"""SELECT e.slot, e.id, e.key, length(e.key) + length(e.payload) + {ROW_OVERHEAD}
    FROM carray(?1) AS wanted CROSS JOIN hitrate_entries AS e ON e.slot = wanted.value"""
_TOTALS = "SELECT id, total_entries, total_bytes FROM hitrate_entries ORDER BY id DESC LIMIT 1"
_COUNT = f"""SELECT max(id), count(*), CAST(total(length(key) + length(payload) + {ROW_OVERHEAD}) AS INTEGER)
    FROM hitrate_entries"""
_INSERT = "INSERT INTO hitrate_entries VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)"
_UPDATE = """UPDATE hitrate_entries SET expiry = ?, seconds = ?, checksum = ?, encoding = ?, payload = ? WHERE id = ?"""
_DELETE = "DELETE FROM hitrate_entries WHERE id = ?"
_DELETE_MANY = "DELETE FROM hitrate_entries WHERE id IN carray(?)"
_SET_TOTALS = """UPDATE hitrate_entries SET total_entries = ?, total_bytes = ?
    WHERE id = (SELECT max(id) FROM hitrate_entries)"""
_SIZED = f"SELECT id, length(key) + length(payload) + {ROW_OVERHEAD} FROM hitrate_entries"
_EXPIRED = f"{_SIZED} WHERE expiry <= ? LIMIT ?"
_CLEARED = f"{_SIZED} WHERE slot BETWEEN ? AND ? LIMIT ?"
_CLEAR_UNDER = f"""INSERT OR REPLACE INTO hitrate_cleared SELECT base, base + {SLOTS - 1}
    FROM hitrate_namespaces WHERE name >= ? AND name < ?"""

PURGED_PER_WRITE = 64
CLEARED_PER_WRITE = 32
CLEARED_PER_STEP = 256
MARKED_PER_WRITE = 16
MARKED_PER_STEP = 256

_STEP_SECONDS = 0.002
"""How long a step of the housekeeping goes on: others wait for the lock meanwhile."""

_AT_ONCE = 32  # rows; after so many a step looks at the time

_SPARE_ENTRIES, _SPARE_BYTES = 64, 128 << 10
_SPARE_SHIFT = 8
_LOOKED_AT_TO_SPARE = 256
"""Eviction makes room for some more entries than it has to, so that most writes need none: for a 256th of what the
cache may hold, so many at most, as far as they are found among so many rows."""

Kept = tuple[int, int, bytes, Entry | None]
"""One change: slot, fingerprint, packed key and what to store."""


@dataclass(slots=True)
class Limits:
    """How much the file may hold."""

    entries: int
    bytes: int


@dataclass(slots=True)
class Outcome:
    """What a write did beside storing."""

    removed: int = 0
    expired: int = 0
    evicted: int = 0
    too_large: list[tuple[EncodedKey, int]] = field(default_factory=list)


def read_totals(execute: Any) -> tuple[int, int, int]:
    """Return the id of the newest row, and how many rows and bytes there are; zeros for none.

    What the newest row says is taken if it is plausible. If that row was damaged, or removed by somebody else, all are
    counted.
    """
    try:
        rows: list[tuple[int, int, int]] = execute(_TOTALS).fetchall()
        if not rows:
            return 0, 0, 0
        last, entries, size = rows[0]
        if type(entries) is int and type(size) is int and 0 < entries <= last and 0 < size <= entries << 31:
            return rows[0]
    except UnicodeDecodeError:
        pass
    counted: tuple[int, int, int] = execute(_COUNT).fetchall()[0]
    return counted


def read_stated_totals(execute: Any) -> tuple[Any, Any] | None:
    """Return how many rows and bytes the newest row says there are; None if there is no row."""
    rows = execute(_TOTALS).fetchall()
    return rows[0][1:] if rows else None


def read_counts(execute: Any) -> tuple[int, int]:
    """Return how many rows and bytes there are, counted."""
    counted: tuple[int, int] = execute(_COUNT).fetchall()[0][1:]
    return counted


class Known:
    """What the last write of this process left, good for as long as no other process has written.

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
        """Tell whether it holds, within a write transaction, by the wal-index of its connection."""
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


def store_one(
    handle: Handle,
    name: bytes,
    key: bytes,
    entry: Entry,
    now: float,
    limits: Limits,
    known: Known,
    ranks: Ranks | None,
) -> bool:
    """Store one entry, the usual write, in fewer steps than a ``Transaction``.

    Returns:
        False, with nothing changed, if that takes a new namespace or an eviction.
    """
    execute = handle.execute
    index = handle.snapshot.index
    identity = fingerprint(name, key)
    packed = pack_key(key)
    size = size_of(len(packed), len(entry[1]))
    expiry, times, checksum, encoding = write_columns(identity, entry, now)
    execute("BEGIN IMMEDIATE")
    try:
        # Three statements: joined into one they take SQLite twice as long.
        if not known.is_good(index):
            known.bases.clear()
            known.totals = read_totals(execute)
        base = known.bases.get(name)
        if base is None:
            for (base,) in execute(_BASE, (name,)).fetchall():
                known.bases[name] = base
        last, entries, total = known.totals
        row, old = None, 0
        if base is not None:
            slot = base + slot_of(identity)
            for at_slot, there, its_size in execute(_AT_SLOT, (slot,)).fetchall():
                if there == packed:
                    row, old = at_slot, its_size
        if base is None or not entries or total + size - old > limits.bytes or entries + (not row) > limits.entries:
            known.forget()
            execute("ROLLBACK")
            return False
        total += size - old
        if row is None:
            entries += 1
            last += 1
            execute(_INSERT, (None, slot, expiry, times, entries, total, checksum, encoding, packed, entry[1]))
            if ranks is not None:
                ranks.prepare(handle)
                ranks.place(execute, last, entry[3], size)
        else:
            execute(_UPDATE, (expiry, times, checksum, encoding, entry[1], row))
            if size != old:
                execute(_SET_TOTALS, (entries, total))
        known.after_commit(index, (last, entries, total))
        execute("COMMIT")
    except BaseException:
        known.forget()
        if handle.con.in_transaction:
            execute("ROLLBACK")
        raise
    return True


class Transaction:
    """One write to the file; leaving it by an exception undoes everything.

    Attributes:
        commit: the wal-index, and its number of commits before this one, if this changes anything.
        changed: the keys that were stored or removed.
        removed: the ids of the rows that were removed.
        cleared: whether namespaces were.
    """

    def __init__(self, handle: Handle, ranks: Ranks | None = None) -> None:
        self._handle = handle
        self._ranks = ranks
        self._execute = handle.execute
        self.entries = 0
        self.bytes = 0
        self.last = 0
        self.commit: tuple[Any, int] = (None, 0)
        self.changed: list[EncodedKey] = []
        self.removed: list[int] = []
        self.cleared = False
        self._counted = (0, 0, 0)
        self._bases: dict[bytes, int | None] = {}

    def __enter__(self) -> Transaction:
        self._execute("BEGIN IMMEDIATE")
        try:
            self.last, self.entries, self.bytes = read_totals(self._execute)
            if self._ranks is not None:
                self._ranks.prepare(self._handle)
        except BaseException:
            self._roll_back()
            raise
        self._counted = (self.entries, self.bytes, self.last)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                if (self.entries, self.bytes, self.last) != self._counted:
                    self._execute(_SET_TOTALS, (self.entries, self.bytes))
                index = self._handle.snapshot.index
                if index is not None:
                    self.commit = index, index.commits.value
                self._execute("COMMIT")
                return
            except BaseException:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        if self._handle.con.in_transaction:  # a full disk may have rolled back already
            self._execute("ROLLBACK")

    # Storing

    def apply(self, changes: Changes, now: float, limits: Limits, seen: set[int]) -> Outcome:
        """Store and remove entries, after making room for them.

        Args:
            changes: what to store, None for what to remove.
            now: the time.
            limits: how much the file may hold.
            seen: the ids of rows that this process has read. Those that are told to the file, or lose to eviction what
                that is worth, are taken out.
        """
        outcome = Outcome()
        self.changed += changes
        kept: list[Kept] = []
        unleased: list[leasing.Place] = []
        for (name, key), entry in changes.items():
            base = self._base(name)
            if base is None:
                if entry is None:
                    continue
                base = self._new_base(name)
            identity = fingerprint(name, key)
            packed = pack_key(key)
            if entry is None:
                unleased.append((base + slot_of(identity), packed))
            elif (size := size_of(len(packed), len(entry[1]))) > limits.bytes:
                outcome.too_large.append(((name, key), size))
                entry = None
            kept.append((base + slot_of(identity), identity, packed, entry))
        there = self._rows_at([each[0] for each in kept])
        fresh: dict[tuple[int, bytes], Entry] = {}
        replaced: set[int] = set()
        grown = 0
        for slot, _, packed, entry in kept:
            row = there.get((slot, packed))
            if entry is None:
                if row is not None:
                    self._remove([row])
                    outcome.removed += 1
                continue
            size = size_of(len(packed), len(entry[1]))
            if row is None:
                grown += size
                fresh[slot, packed] = entry
            else:
                grown += size - row[1]
                replaced.add(row[0])
        if self.bytes + grown > limits.bytes or self.entries + len(fresh) > limits.entries:
            outcome.evicted += self._evict(grown, len(fresh), limits, seen, replaced)
        self._store(kept, now, there, fresh)
        leasing.end(self._handle, unleased)
        if self.bytes > limits.bytes or self.entries > limits.entries:  # the batch alone is too much
            outcome.evicted += self._evict(0, 0, limits, seen, set())
        return outcome

    def _store(
        self,
        kept: list[Kept],
        now: float,
        there: dict[tuple[int, bytes], tuple[int, int]],
        fresh: dict[tuple[int, bytes], Entry],
    ) -> None:
        inserted: list[list[Any]] = []
        for slot, identity, packed, entry in kept:
            if entry is None:
                continue
            expiry, times, checksum, encoding = write_columns(identity, entry, now)
            if (slot, packed) in fresh:
                inserted.append([None, slot, expiry, times, None, None, checksum, encoding, packed, entry[1]])
                self.bytes += size_of(len(packed), len(entry[1]))
            else:
                row, size = there[slot, packed]
                self._execute(_UPDATE, (expiry, times, checksum, encoding, entry[1], row))
                self.bytes += size_of(len(packed), len(entry[1])) - size
        if inserted:
            self.entries += len(inserted)
            inserted[-1][4:6] = self.entries, self.bytes
            if len(inserted) == 1:
                self._execute(_INSERT, inserted[0])
            else:
                self._handle.con.executemany(_INSERT, inserted)
            self.last += len(inserted)
            if self._ranks is not None:
                first = self._handle.con.last_insert_rowid() - len(inserted) + 1
                for row, columns in enumerate(inserted, first):
                    size = size_of(len(columns[-2]), len(columns[-1]))
                    self._ranks.place(self._execute, row, times_of(columns[3])[1], size)
            self._counted = (self.entries, self.bytes, self.last)

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float, now: float) -> list[float]:
        """Take the leases of keys, as ``Store.lease``."""
        places = []
        for name, key in keys:
            base = self._base(name)
            places.append(self._place(name, key, self._new_base(name) if base is None else base))
        return leasing.take(self._handle, places, token, seconds, now)

    def settle(self, keys: Iterable[EncodedKey], token: bytes, now: float) -> Collection[EncodedKey]:
        """End the leases that a token has of keys; return the keys whose lease was not the token's any more."""
        places: dict[EncodedKey, leasing.Place | None] = {}
        for name, key in keys:
            base = self._base(name)
            places[name, key] = None if base is None else self._place(name, key, base)
        return leasing.settle(self._handle, places, token, now)

    @staticmethod
    def _place(name: bytes, key: bytes, base: int) -> leasing.Place:
        return base + slot_of(fingerprint(name, key)), pack_key(key)

    # Rows

    def _rows_at(self, slots: list[int]) -> dict[tuple[int, bytes], tuple[int, int]]:
        """Return the id and size of each row at the slots, by its slot and key."""
        if len(slots) == 1:
            rows = self._execute(_AT_SLOT, slots).fetchall()
            return {(slots[0], key): (row, size) for row, key, size in rows}
        found = self._execute(_AT_SLOTS, (apsw.carray(array("q", slots)),)) if slots else ()
        return {(slot, key): (row, size) for slot, row, key, size in found}

    def _remove(self, rows: Sequence[tuple[int, int]]) -> None:
        """Delete rows, given as (id, size)."""
        self.removed += [row for row, _ in rows]
        if len(rows) == 1:
            self._execute(_DELETE, (rows[0][0],))
        elif rows:
            self._execute(_DELETE_MANY, (apsw.carray(array("q", [row for row, _ in rows])),))
        if self._ranks is not None and rows:
            self._ranks.forget(self._execute, [row for row, _ in rows])
        for row, size in rows:
            self.entries -= 1
            self.bytes -= size
            if row == self.last:
                self.last = 0  # another row is the newest one now, and is to carry the totals

    # Namespaces

    def _base(self, name: bytes) -> int | None:
        if name not in self._bases:
            rows = self._execute(_BASE, (name,)).fetchall()
            self._bases[name] = int(rows[0][0]) if rows else None
        return self._bases[name]

    def _new_base(self, name: bytes) -> int:
        """Give a namespace a range of slots that neither a namespace nor an entry uses."""
        number = self._state("next_base", 1)
        for _ in range(64):
            base = number % BASES * SLOTS
            used = self._execute(
                """SELECT EXISTS (SELECT 1 FROM hitrate_namespaces WHERE base = ?1)
                OR EXISTS (SELECT 1 FROM hitrate_entries WHERE slot BETWEEN ?1 AND ?2)
                OR EXISTS (SELECT 1 FROM hitrate_cleared WHERE first <= ?2 AND last >= ?1)""",
                (base, base + SLOTS - 1),
            ).fetchall()[0][0]
            if not used and not leasing.any_between(self._handle, base, base + SLOTS - 1):
                self._execute("INSERT INTO hitrate_namespaces VALUES (?, ?)", (name, base))
                self._set_state("next_base", number % BASES + 1)
                self._bases[name] = base
                return base
            number = random.randrange(BASES)
        raise StoreError(f"the file has no room for another namespace beside its {BASES:,}")

    def _state(self, name: str, default: int) -> int:
        for (value,) in self._execute("SELECT value FROM hitrate_state WHERE name = ?", (name,)).fetchall():
            return int(value)
        return default

    def _set_state(self, name: str, value: int) -> None:
        self._execute("INSERT OR REPLACE INTO hitrate_state VALUES (?, ?)", (name, value))

    def add_counts(self, amounts: Amounts) -> None:
        """Add to the counters that outlive processes."""
        counts.add(self._handle, amounts)

    # Clearing

    def clear(self, names: Sequence[bytes] | None) -> None:
        """Make the entries of namespaces unreachable, their leases too, and note their slots for removal."""
        self.cleared = True
        if names is None:
            self._execute("DELETE FROM hitrate_cleared")
            self._execute("INSERT INTO hitrate_cleared SELECT 0, max(slot) FROM hitrate_entries HAVING max(slot) >= 0")
            self._execute("DELETE FROM hitrate_namespaces")
            return
        for name in names:
            for (base,) in self._execute(_BASE, (name,)).fetchall():
                self._execute("DELETE FROM hitrate_namespaces WHERE base = ?", (base,))
                self._execute("INSERT OR REPLACE INTO hitrate_cleared VALUES (?, ?)", (base, base + SLOTS - 1))

    def clear_under(self, prefix: bytes) -> None:
        """Do ``clear`` for all namespaces whose names begin with a prefix."""
        self.cleared = True
        bounds = prefix, after_all_under(prefix)
        self._execute(_CLEAR_UNDER, bounds)
        self._execute("DELETE FROM hitrate_namespaces WHERE name >= ? AND name < ?", bounds)

    def remove_cleared(self, most: int) -> bool:
        """Delete some cleared entries, at most so many and for a moment; tell whether any may be left."""
        until = time.monotonic() + _STEP_SECONDS
        while ranges := self._execute("SELECT first, last FROM hitrate_cleared LIMIT 1").fetchall():
            first, last = ranges[0]
            rows = self._execute(_CLEARED, (first, last, _AT_ONCE)).fetchall()
            self._remove(rows)
            if len(rows) < _AT_ONCE:
                self._execute("DELETE FROM hitrate_cleared WHERE first = ?", (first,))
            most -= len(rows) + 1  # a namespace that had few rows takes a moment, too
            if most <= 0 or time.monotonic() >= until:
                return True
        return False

    def give_back(self, spare: int = SPARE_PAGES) -> bool:
        """Give back a bounded number of free pages, all but some; tell whether there are more to give."""
        return give_back(self._execute, spare)

    # Repairing

    def rows(self, statement: str, row: int) -> list[Any]:
        """Return what a statement reads of a row."""
        return self._execute(statement, (row,)).fetchall()  # type: ignore[no-any-return]

    def remove_row(self, row: int) -> None:
        """Delete a row."""
        self._remove(self._execute(f"{_SIZED} WHERE id = ?", (row,)).fetchall())

    def recount(self) -> None:
        """Count the rows and their bytes anew, and write that down."""
        self.entries, self.bytes = read_counts(self._execute)
        self._counted = (-1, -1, -1)

    def reindex(self) -> None:
        """Make the indexes anew."""
        self._execute("REINDEX")

    # Expiry and eviction

    def is_nearly_full(self, limits: Limits) -> bool:
        """Tell whether evictions are near, and visited bits are so worth writing."""
        return self.bytes > limits.bytes * 0.8 or self.entries > limits.entries * 0.8

    def purge(self, now: float) -> int:
        """Delete a bounded number of entries whose TTL has passed."""
        rows = self._execute(_EXPIRED, (now, PURGED_PER_WRITE)).fetchall()
        self._remove(rows)
        return len(rows)

    def mark(self, seen: set[int], most: int) -> None:
        """Tell the file of rows that were read, at most so many and for a moment, and take them out of the set."""
        until = time.monotonic() + _STEP_SECONDS
        while most > 0 and seen:
            mark(self._execute, seen, min(most, _AT_ONCE))
            most -= _AT_ONCE
            if time.monotonic() >= until:
                break

    def _evict(self, grown: int, more: int, limits: Limits, seen: set[int], replaced: set[int]) -> int:
        """Make room for what is about to be stored, and for a little more."""
        while (self.bytes + grown > limits.bytes or self.entries + more > limits.entries) and self.remove_cleared(
            CLEARED_PER_STEP
        ):
            pass
        evicted = 0
        if self._ranks is not None:
            evicted = self._evict_by_worth(self._ranks, grown, more, limits, seen, replaced)
        # By worth a bounded search is made, which usually finds enough.
        if self._ranks is None or self.bytes + grown > limits.bytes or self.entries + more > limits.entries:
            evicted += self._evict_by_hand(grown, more, limits, seen, replaced)
        mark(self._execute, seen, MARKED_PER_WRITE)
        return evicted

    def _evict_by_hand(self, grown: int, more: int, limits: Limits, seen: set[int], replaced: set[int]) -> int:
        hand = Hand(self._execute, self._state("hand", 0), self.last, self.entries, seen, replaced)
        evicted = hand.evict(self.bytes + grown - limits.bytes, self.entries + more - limits.entries)
        self._remove(evicted)
        spare_bytes, spare_entries = _spare(limits)
        spare = hand.evict(
            self.bytes + grown + spare_bytes - limits.bytes,
            self.entries + more + spare_entries - limits.entries,
            _LOOKED_AT_TO_SPARE,
        )
        self._remove(spare)
        self._set_state("hand", hand.place)
        return len(evicted) + len(spare)

    def _evict_by_worth(
        self, ranks: Ranks, grown: int, more: int, limits: Limits, seen: set[int], replaced: set[int]
    ) -> int:
        spare_bytes, spare_entries = _spare(limits)
        evicted = ranks.evict(
            self._execute,
            self.bytes + grown + spare_bytes - limits.bytes,
            self.entries + more + spare_entries - limits.entries,
            seen,
            replaced,
        )
        self._remove(evicted)
        return len(evicted)

    def look_after_ranks(self) -> bool:
        """Give rows that another cache has stored their places by worth; tell whether there are more."""
        until = time.monotonic() + _STEP_SECONDS
        while self._ranks is not None and self._ranks.catch_up(self._execute, _AT_ONCE):
            if time.monotonic() >= until:
                return True
        return False


def _spare(limits: Limits) -> tuple[int, int]:
    """Return for how many bytes and entries more an eviction makes room."""
    return min(_SPARE_BYTES, limits.bytes >> _SPARE_SHIFT), min(_SPARE_ENTRIES, limits.entries >> _SPARE_SHIFT)
