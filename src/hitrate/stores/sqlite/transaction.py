"""A write to the file: all of it or nothing."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import apsw

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores.sqlite import leasing
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import ROW_OVERHEAD, unpack_key
from hitrate.stores.sqlite.schema import BASES, SLOT_BITS, SLOTS
from hitrate.stores.sqlite.statements import AT_SLOT, BASE, SET_TOTALS
from hitrate.stores.sqlite.totals import read_counts, read_totals

if TYPE_CHECKING:
    from hitrate.stores.sqlite.database import Database

_AT_SLOTS = f"""SELECT e.slot, e.id, e.key, length(e.key) + length(e.payload) + {ROW_OVERHEAD}
    FROM carray(?1) AS wanted CROSS JOIN hitrate_entries AS e ON e.slot = wanted.value"""
_CLEAR_VISITED = "UPDATE hitrate_entries SET visited = 0 WHERE visited != 0 AND id IN carray(?)"
_DELETE = "DELETE FROM hitrate_entries WHERE id = ?"
_DELETE_MANY = "DELETE FROM hitrate_entries WHERE id IN carray(?)"

_KEYS = f"""SELECT CAST(n.name AS BLOB), CAST(e.key AS BLOB)
    FROM carray(?1) AS wanted CROSS JOIN hitrate_entries AS e ON e.id = wanted.value
    CROSS JOIN hitrate_namespaces AS n ON n.base = e.slot >> {SLOT_BITS} << {SLOT_BITS}"""


class Transaction:
    """One write to the file; leaving it by an exception undoes everything.

    Args:
        handle: the connection.
        database: whose it is.

    Attributes:
        execute: runs a statement.
        ranks, limits, seen: as in ``Database``.
        entries: how many rows there are by now.
        bytes: how many these rows take.
        last: the id of the newest row, 0 while that is not known.
        commit: the wal-index, and its number of commits before this one, if this changes anything.
        changed: the keys that were stored or removed.
        removed: the ids of the rows that were removed.
        evicted: how many of them to make room.
        cleared: whether namespaces were.
        evicted_keys: the keys that are evicted are added to it; None if nobody asks for them.
        too_large: the keys of entries that were not stored, for they are larger than all may be; and their sizes.
    """

    def __init__(self, handle: Handle, database: Database) -> None:
        self.handle = handle
        self.execute = handle.execute
        self.ranks = database.ranks
        self.limits = database.limits
        self.seen = database.seen
        self.entries = 0
        self.bytes = 0
        self.last = 0
        self.commit: tuple[Any, int] = (None, 0)
        self.changed: list[EncodedKey] = []
        self.removed: list[int] = []
        self.evicted = 0
        self.cleared = False
        self.evicted_keys: list[EncodedKey] | None = None
        self.too_large: list[tuple[EncodedKey, int]] = []
        self._written = (0, 0, 0)
        self._bases: dict[bytes, int | None] = {}

    def __enter__(self) -> Transaction:
        self.execute("BEGIN IMMEDIATE")
        try:
            self.last, self.entries, self.bytes = read_totals(self.execute)
            if self.ranks is not None:
                self.ranks.prepare(self.handle)
        except BaseException:
            self._roll_back()
            raise
        self.totals_are_written()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                if (self.entries, self.bytes, self.last) != self._written:
                    self.execute(SET_TOTALS, (self.entries, self.bytes))
                index = self.handle.snapshot.index
                if index is not None:
                    self.commit = index, index.commits.value
                self.execute("COMMIT")
                return
            except BaseException:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        if self.handle.con.in_transaction:  # a full disk may have rolled back already
            self.execute("ROLLBACK")

    # Totals

    def totals_are_written(self) -> None:
        """Note that the newest row holds the present totals."""
        self._written = (self.entries, self.bytes, self.last)

    def recount(self) -> None:
        """Count the rows and their bytes anew, and write that down."""
        self.entries, self.bytes = read_counts(self.execute)
        self._written = (-1, -1, -1)

    # Rows

    def rows_at(self, slots: list[int]) -> dict[tuple[int, bytes], tuple[int, int]]:
        """Return the id and size of each row at the slots, by its slot and key."""
        if len(slots) == 1:
            rows = self.execute(AT_SLOT, slots).fetchall()
            return {(slots[0], key): (row, size) for row, key, size in rows}
        found = self.execute(_AT_SLOTS, (apsw.carray(array("q", slots)),)) if slots else ()
        return {(slot, key): (row, size) for slot, row, key, size in found}

    def evict(self, rows: Sequence[tuple[int, int]]) -> None:
        """Delete rows, given as (id, size), to make room."""
        if self.evicted_keys is not None and rows:
            found = self.execute(_KEYS, (apsw.carray(array("q", [row for row, _ in rows])),))
            self.evicted_keys += [(name, unpack_key(key)) for name, key in found]
        self.evicted += len(rows)
        self.seen.difference_update([row for row, _ in rows])
        self.remove(rows)

    def clear_visited(self, rows: Sequence[int]) -> None:
        """Clear the visited bits of rows, given by their ids, here and in the file."""
        if rows:
            self.seen.difference_update(rows)
            self.execute(_CLEAR_VISITED, (apsw.carray(array("q", rows)),))

    def remove(self, rows: Sequence[tuple[int, int]]) -> None:
        """Delete rows, given as (id, size)."""
        ids = [row for row, _ in rows]
        self.removed += ids
        if len(rows) == 1:
            self.execute(_DELETE, ids)
        elif rows:
            self.execute(_DELETE_MANY, (apsw.carray(array("q", ids)),))
        if self.ranks is not None and rows:
            self.ranks.forget(self.execute, ids)
        for row, size in rows:
            self.entries -= 1
            self.bytes -= size
            if row == self.last:
                self.last = 0  # another row is the newest one now, which is to hold the totals

    # Namespaces

    def base(self, name: bytes) -> int | None:
        """Return the base of a namespace; None if it has none."""
        if name not in self._bases:
            rows = self.execute(BASE, (name,)).fetchall()
            self._bases[name] = int(rows[0][0]) if rows else None
        return self._bases[name]

    def new_base(self, name: bytes) -> int:
        """Give a namespace a range of slots that neither a namespace nor an entry uses."""
        number = self.state("next_base", 1)
        for _ in range(64):
            base = number % BASES * SLOTS
            used = self.execute(
                """SELECT EXISTS (SELECT 1 FROM hitrate_namespaces WHERE base = ?1)
                OR EXISTS (SELECT 1 FROM hitrate_entries WHERE slot BETWEEN ?1 AND ?2)
                OR EXISTS (SELECT 1 FROM hitrate_cleared WHERE first <= ?2 AND last >= ?1)""",
                (base, base + SLOTS - 1),
            ).fetchall()[0][0]
            if not used and not leasing.any_between(self.handle, base, base + SLOTS - 1):
                self.execute("INSERT INTO hitrate_namespaces VALUES (?, ?)", (name, base))
                self.set_state("next_base", number % BASES + 1)
                self._bases[name] = base
                return base
            number = random.randrange(BASES)
        raise StoreError(f"the file has no room for another namespace beside its {BASES:,}")

    # Numbers that the file keeps

    def state(self, name: str, default: int) -> int:
        """Return a number by its name; a default if there is none."""
        for (value,) in self.execute("SELECT value FROM hitrate_state WHERE name = ?", (name,)).fetchall():
            return int(value)
        return default

    def set_state(self, name: str, value: int) -> None:
        """Keep a number by its name."""
        self.execute("INSERT OR REPLACE INTO hitrate_state VALUES (?, ?)", (name, value))
