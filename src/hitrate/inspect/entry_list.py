"""The list of a cache's entries at some moment, kept so that any page of it, in any order, can be shown at once.

No store has its entries in the order of their sizes or keys, and a listing of a million takes seconds. So they are put
into a temporary database of SQLite's own, without a name, which nobody else sees and which goes with this object: in
memory up to a size, beyond which SQLite moves pages to a temporary file.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import apsw

from hitrate.base import Namespace
from hitrate.entry_info import EntryInfo
from hitrate.inspect.key_search import KeySearch
from hitrate.inspect.namespaces import Sums
from hitrate.keys import decode_text, encode_text

Sort = Literal["key", "bytes", "created", "expires", "seconds"]
SORTS: tuple[Sort, ...] = get_args(Sort)

# With the namespace beside it, an order can be gone through for some namespaces without a look at the rows.
_ORDERS = {sort: (sort, "namespace") for sort in SORTS} | {"expires": ("expires", "namespace", "bytes")}

COUNTED = 50_000
"""So many entries that a search finds are counted, and no more."""
DEEPEST = 5_000
"""So many entries that a search finds can be paged through; to see others, narrow the search or reverse the order."""

_NEVER = float("inf")
_KIBIBYTES_IN_MEMORY = 250_000
_SEARCHES = 8


_THESE = "carray(?) AS these CROSS JOIN entries ON id = these.value"


class Selection(NamedTuple):
    """Which entries are meant.

    Attributes:
        under: those of the namespaces that begin with this one.
        exactly: only those of that very namespace.
        search: those whose key has this text in it; upper and lower case of ASCII letters are alike.
    """

    under: Namespace = ()
    exactly: bool = False
    search: str = ""

    def has(self, namespace: Namespace) -> bool:
        """Tell whether a namespace is one of them."""
        return namespace == self.under if self.exactly else namespace[: len(self.under)] == self.under


class EntryList:
    """The entries of a cache, as they were listed at some moment.

    Attributes:
        namespaces: what each namespace holds.
        entries: how many entries there are, or have been added so far.
        taken: when it was complete, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self.namespaces: dict[Namespace, Sums] = {}
        self.entries = 0
        self.taken = 0.0
        self._numbers: dict[Namespace, int] = {}
        self._keys = KeySearch()
        self._found: dict[Selection, array[int]] = {}
        self._lock = threading.Lock()  # a connection serves one thread at a time
        self._con = apsw.Connection("")
        self._con.execute("PRAGMA journal_mode = OFF")
        self._con.execute(f"PRAGMA cache_size = -{_KIBIBYTES_IN_MEMORY}")
        self._con.execute(
            """CREATE TABLE entries (id INTEGER PRIMARY KEY, namespace INTEGER, key BLOB, bytes INTEGER, created REAL,
            expires REAL, seconds REAL)"""
        )

    def add(self, infos: Iterable[EntryInfo]) -> None:
        """Add entries."""
        with self._lock, self._con:
            self._con.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows(infos))

    def _rows(self, infos: Iterable[EntryInfo]) -> Iterator[tuple[Any, ...]]:
        numbers, namespaces = self._numbers, self.namespaces
        for info in infos:
            namespace, key, size, created, expires, seconds = info
            number = numbers.get(namespace)
            if number is None:
                number = numbers[namespace] = len(numbers)
                namespaces[namespace] = Sums()
            namespaces[namespace].add(info)
            raw = encode_text(key)
            self._keys.add(raw, number)
            row, self.entries = self.entries, self.entries + 1
            yield row, number, raw, size, created, _NEVER if expires is None else expires, seconds

    def finish(self, now: float) -> None:
        """Make the indexes: none of its pages is read before that."""
        with self._lock:
            for name, columns in _ORDERS.items():
                self._con.execute(f"CREATE INDEX by_{name} ON entries ({', '.join(columns)})")
        self.taken = now

    def count(self, selection: Selection) -> int:
        """Return how many entries are meant; of a search no more than ``COUNTED`` + 1 are counted."""
        if selection.search:
            return len(self._search(selection))
        return sum(sums.entries for namespace, sums in self.namespaces.items() if selection.has(namespace))

    def page(self, selection: Selection, sort: Sort, down: bool, offset: int, limit: int) -> list[EntryInfo]:
        """Return some of the entries that are meant, in the order of ``sort``, the greatest first if ``down``."""
        where, bindings = self._where(selection)
        found = self.count(selection)
        if not found:
            return []
        if where and found <= COUNTED:  # few: find them all, and sort them
            source = "entries NOT INDEXED"
            if selection.search:
                source, where, bindings = _THESE, "", [apsw.carray(self._search(selection))]
        else:  # many: go through the order until the page is full
            source = f"entries INDEXED BY by_{sort}"
        way = "DESC" if down else "ASC"
        order = "ORDER BY " + ", ".join(f"{column} {way}" for column in [*_ORDERS[sort], "id"])
        sql = f"""SELECT namespace, key, bytes, created, expires, seconds FROM entries WHERE id IN (
            SELECT id FROM {source} {where} {order} LIMIT ? OFFSET ?) {order}"""
        names = list(self._numbers)
        return [
            EntryInfo(names[number], decode_text(key), size, created, None if expires == _NEVER else expires, seconds)
            for number, key, size, created, expires, seconds in self._fetch(sql, [*bindings, limit, offset])
        ]

    def one(self, namespace: Namespace, key: str) -> EntryInfo | None:
        """Return one entry, None if it is not among them."""
        number = self._numbers.get(namespace)
        sql = (
            """SELECT bytes, created, expires, seconds FROM entries INDEXED BY by_key WHERE key = ? AND namespace = ?"""
        )
        for size, created, expires, seconds in self._fetch(sql, [encode_text(key), number]):
            return EntryInfo(namespace, key, size, created, None if expires == _NEVER else expires, seconds)
        return None

    def expiring(self, moments: list[float]) -> list[tuple[int, int]]:
        """Return for each moment, in their order, how many entries and bytes have expired since the one before it."""
        sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM entries WHERE expires > ? AND expires <= ?"
        spans = zip([-_NEVER, *moments], moments, strict=False)
        return [self._fetch(sql, list(span))[0] for span in spans]

    def forget(self, selection: Selection, key: str | None, until: float | None) -> None:
        """Leave out what was removed from the cache: of one key or all, or what had expired until then."""
        where, bindings = self._where(selection)
        if key is not None:
            where, bindings = f"{where or 'WHERE 1'} AND key = ?", [*bindings, encode_text(key)]
        if until is not None:
            where, bindings = f"{where or 'WHERE 1'} AND expires <= ?", [*bindings, until]
        names = list(self._numbers)
        with self._lock:
            sql = f"DELETE FROM entries {where} RETURNING id, namespace, bytes, seconds"
            gone: list[Any] = self._con.execute(sql, bindings).fetchall()
        for row, number, size, seconds in gone:
            self.entries -= 1
            self.namespaces[names[number]].take_out(size, seconds)
            self._keys.forget(row)
        self._found.clear()

    def _search(self, selection: Selection) -> array[int]:
        """Return the ids of the entries that a search finds, or ``COUNTED`` + 1 of them."""
        found = self._found.get(selection)
        if found is None:
            found = self._keys.find(encode_text(selection.search), COUNTED + 1)
            chosen = self._chosen(selection)
            if chosen is not None and len(found) <= COUNTED:
                found = self._keys.of_namespaces(found, frozenset(chosen))
            elif chosen is not None:
                where, bindings = self._where(selection)
                sql = f"SELECT id FROM entries NOT INDEXED {where} LIMIT {COUNTED + 1}"
                found = array("q", [row for (row,) in self._fetch(sql, bindings)])
            if len(self._found) >= _SEARCHES:
                self._found.clear()
            self._found[selection] = found
        return found

    def _chosen(self, selection: Selection) -> list[int] | None:
        """Return the numbers of the namespaces that are meant; None for all."""
        if not selection.under and not selection.exactly:
            return None
        chosen = [number for name, number in self._numbers.items() if selection.has(name)]
        return None if len(chosen) == len(self._numbers) else chosen

    def _where(self, selection: Selection) -> tuple[str, list[Any]]:
        terms, bindings = [], list[Any]()
        chosen = self._chosen(selection)
        if chosen is not None:
            terms.append("namespace IN (SELECT value FROM carray(?))" if len(chosen) > 1 else "namespace = ?")
            bindings.append(apsw.carray(array("q", chosen)) if len(chosen) > 1 else (chosen or [-1])[0])
        if selection.search:
            terms.append("instr(lower(CAST(key AS TEXT)), CAST(? AS TEXT))")
            bindings.append(encode_text(selection.search).lower())
        return (f"WHERE {' AND '.join(terms)}" if terms else ""), bindings

    def _fetch(self, sql: str, bindings: list[Any]) -> list[Any]:
        with self._lock:
            return self._con.execute(sql, bindings).fetchall()
