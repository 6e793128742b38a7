"""What several tests of bad days look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from tests.bad_days.bad_day_processes import eventually

from hitrate import PostgresCache
from hitrate.stores.postgres.statements import parts

__all__ = ["KEY", "OTHER", "ask", "assert_sound", "backends", "eventually", "within"]

KEY, OTHER = (("namespace",), "key"), (("namespace",), "other")


def ask(url: str, statement: str, *parameters: Any) -> list[Any]:
    """Do something behind the cache's back; return the rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def assert_sound(url: str, table: str) -> None:
    """Check that the totals are those of the rows."""
    counted = ask(
        url,
        f"""SELECT count(*), coalesce(sum(octet_length(key) + octet_length(value) + {parts.ROW_OVERHEAD}), 0)::bigint
            FROM {table}""",
    )
    assert (
        ask(url, f"SELECT coalesce(sum(entries), 0)::bigint, coalesce(sum(bytes), 0)::bigint FROM {table}_counts")
        == counted
    )


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that something ends in time."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took <= seconds, f"it took {took:.1f} seconds"


def backends(cache: PostgresCache[Any]) -> list[int]:
    """Return the process ids of the server that serve a cache's idle connections."""
    return [link.pgconn.backend_pid for link in cache._store._connections.own._idle]  # type: ignore[attr-defined]
