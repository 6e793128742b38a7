"""What a test sees of a cache's file, and does to it, behind the cache's back."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from hitrate import SqliteCache
from hitrate.base import FullKey

NAMESPACE = ("bad", "days")


def key(name: Any, *namespace: str) -> FullKey:
    return namespace or NAMESPACE, str(name)


def contents(count: int, seed: int = 0) -> dict[FullKey, Any]:
    """Return entries whose values all differ, from a few bytes to several pages."""
    rng = random.Random(seed)
    sizes = [0, 5, 40, 300, 2000]
    return {
        key(number, f"n{number % 3}"): {"number": number, "noise": rng.randbytes(rng.choice(sizes)).hex()}
        for number in range(count)
    } | {key("large"): rng.randbytes(70_000)}


def store(path: Any, entries: dict[FullKey, Any], **options: Any) -> None:
    """Write a file with these entries, and close it."""
    with SqliteCache(path=path, on_error="raise", **options) as cache:
        for number, (full_key, value) in enumerate(entries.items()):
            cache.set({full_key: (value, None if number % 2 else 1e6)})


@contextmanager
def raw(path: Any) -> Iterator[apsw.Connection]:
    """Open the file as any other program would."""
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    try:
        yield con
    finally:
        con.close()


def ask(path: Any, sql: str, *values: Any) -> Any:
    """Return the first column of the first row of a statement that another connection executes."""
    with raw(path) as con:
        return next(iter(con.execute(sql, values)), [None])[0]


def rows(path: Any) -> int:
    """Count the rows that the file really holds."""
    return int(ask(path, "SELECT count(*) FROM hitrate_entries"))


def assert_sound(path: Any) -> None:
    """Check that the file is in order, and that the counts it keeps are those of its rows."""
    with raw(path) as con:
        assert con.pragma("integrity_check") == "ok"
        live = "NOT EXISTS (SELECT 1 FROM hitrate_cleared WHERE slot BETWEEN first AND last)"
        held = next(
            con.execute(f"SELECT count(*), total(length(key) + length(payload) + 64) FROM hitrate_entries WHERE {live}")
        )
    with SqliteCache(path=path, max_bytes=None, on_error="raise") as cache:
        stats = cache.stats()
    assert (stats.entries, stats.bytes) == held


def set_aside(path: Path) -> list[Path]:
    """Return the damaged files that were set aside."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(each for each in found if not each.name.endswith(("-wal", "-shm")))


class Vandal:
    """Writes into a file at its own will. Its handles stay open, since closing one would drop SQLite's locks."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def _file(self, path: Path) -> int:
        return self._open.setdefault(str(path), os.open(path, os.O_RDWR))

    def write(self, path: Path, offset: int, data: bytes) -> None:
        os.pwrite(self._file(path), data, offset)

    def truncate(self, path: Path, size: int) -> None:
        os.ftruncate(self._file(path), size)

    def leave(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
