"""Opening other libraries' SQLite files: read-only, and each column as the type it is to have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hitrate.base import Namespace
from hitrate.records import Damaged, Record
from hitrate.serde import default_serializer


class NotTheirs(ValueError):
    """The file or folder is not one of that library's caches."""


class Left(Exception):
    """Why an entry is left where it is."""


def left(error: Exception) -> Damaged:
    """Tell of an entry that is left."""
    return Damaged((), "", str(error) if isinstance(error, Left) else f"it cannot be read ({type(error).__name__})")


@contextmanager
def table_of(path: Path, table: str, columns: str, where: str) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Open a file and yield the rows of a table, which are read as they are asked for.

    Args:
        path: the file.
        table: its table.
        columns: which columns, as a SELECT has them.
        where: what the file is to be, for the error.

    Raises:
        NotTheirs: it has no such table with such columns.
        FileNotFoundError: it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there, or no file")
    # By the standard library's SQLite, as its own program does, and not by apsw: a process must not open one file
    # in both, for closing it in one lets go of the other's locks.
    before = _state_of(path)
    options = "mode=ro" if before.in_use else "immutable=1"
    con = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True)
    with closing(con):
        con.text_factory = bytes
        try:
            rows = con.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 - both are constants of ours
        except sqlite3.Error as error:
            raise NotTheirs(f"{path} is no {where}: {error}") from error
        try:
            yield rows
        except sqlite3.Error as error:
            raise NotTheirs(f"{path} cannot be read on: {error}") from error
    if not before.in_use and _state_of(path) != before:
        raise NotTheirs(f"{path} was written to while it was read; do it again when no program uses it")


class _State(NamedTuple):
    """How a file is found.

    Attributes:
        in_use: whether there is something in the ``-wal`` or the ``-journal`` beside it. If not, it can be read as one
            that does not change: SQLite then makes no file beside it, and takes no lock.
        size: bytes.
        changed: when it was last written to, in nanoseconds.
    """

    in_use: bool
    size: int
    changed: int


def _state_of(path: Path) -> _State:
    beside = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    found = path.stat()
    return _State(any(each.is_file() and each.stat().st_size for each in beside), found.st_size, found.st_mtime_ns)


def text_of(value: Any) -> str:
    """Return the text of a column.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not bytes:
        raise ValueError("a column is not of its type")
    return value.decode()


def instant_of(value: Any) -> float | None:
    """Return the time in a column; None for none, or for what is no time."""
    return float(value) if type(value) in (int, float) and value == value and abs(value) < 1e300 else None


def record_of(
    namespace: Namespace, key: str, value: Any, *, created: float | None = None, expires: float | None = None
) -> Record | Damaged:
    """Return the record of a value, or why it cannot be stored."""
    try:
        encoding, payload = default_serializer().dumps_typed(value)
    except Exception as error:
        return Damaged(namespace, key, f"it cannot be stored exactly: {error}")
    return Record(namespace, key, encoding, payload, created, expires, 0.0)
