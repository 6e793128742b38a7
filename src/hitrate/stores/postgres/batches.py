"""What is to be written: changes of one or several callers as rows, in the order in which all writers lock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from hitrate.keys import EncodedKey
from hitrate.stores.postgres.binary import BYTEA, array
from hitrate.stores.postgres.limits import Limits
from hitrate.stores.postgres.statements import ROW_OVERHEAD

ROWS_AT_ONCE = 20_000
_BYTES_AT_ONCE = 32 << 20

T = TypeVar("T")
Row = tuple[bytes, bytes, bytes, float | None, bytes | None]
"""An entry to store: what stands for its namespace and its key, the column ``value``, its expiry, and its key in full
if a digest stands for it and the tables can keep it."""


@dataclass(slots=True)
class Batch:
    """Changes of one or several callers, no key twice.

    Attributes:
        long_names: the encoded namespaces of which ``rows`` have digests, by these.
        rows: what to store, in the order of names and keys in which all writers lock.
        size: bytes that they are counted as, all together.
        doomed: what to remove, in that order, each with the index of the caller who asked, None for nobody.
    """

    long_names: dict[bytes, bytes] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    size: int = 0
    doomed: list[tuple[bytes, bytes, int | None]] = field(default_factory=list)

    @property
    def doomed_keys(self) -> list[tuple[bytes, bytes]]:
        """The names and keys of what to remove, in order."""
        return [(name, key) for name, key, _ in self.doomed]

    @property
    def is_large(self) -> bool:
        """Whether it is more than one statement takes."""
        return len(self.rows) > ROWS_AT_ONCE or self.size > _BYTES_AT_ONCE


def bytes_of(rows: Sequence[Row]) -> int:
    """Return how many bytes rows are counted as."""
    return sum([len(key) + len(value) + len(full or b"") for _, key, value, _, full in rows]) + ROW_OVERHEAD * len(rows)


def groups(
    works: Sequence[T],
    keys_of: Callable[[T], Collection[EncodedKey]],
    kind_of: Callable[[T], object] = lambda work: None,
) -> Iterator[list[tuple[int, T]]]:
    """Yield groups of consecutive works, each with its index: in a group all are of one kind and no two share a key."""
    group: list[tuple[int, T]] = []
    seen: set[EncodedKey] = set()
    its: object = None
    for caller, work in enumerate(works):
        keys, kind = keys_of(work), kind_of(work)
        if group and (kind != its or not seen.isdisjoint(keys)):
            yield group
            group, seen = [], set()
        its = kind
        group.append((caller, work))
        seen.update(keys)
    if group:
        yield group


def beyond(rows: Sequence[Row], limits: Limits) -> int:
    """Return how many rows at the beginning of a batch have no room beside those that come after."""
    left_entries, left_bytes = limits.entries, limits.bytes
    for place in range(len(rows) - 1, -1, -1):
        left_entries -= 1
        left_bytes -= bytes_of(rows[place : place + 1])
        if left_entries < 0 or left_bytes < 0:
            return place + 1
    return 0


def parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield rows in parts that one statement takes."""
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and (len(part) >= ROWS_AT_ONCE or size + len(row[2]) > _BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[2])
    if part:
        yield part


def arrays(pairs: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return names and keys as two arrays."""
    return array(BYTEA, [name for name, _ in pairs]), array(BYTEA, [key for _, key in pairs])
