"""What several tests of bad days look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from tests.bad_days import bad_day_processes

from hitrate import PostgresCache
from hitrate.stores.postgres.statements import parts

KEY, OTHER = (("namespace",), "key"), (("namespace",), "other")

SLACK = 10.0
"""Seconds that what waits for nobody may take on a busy machine; who does wait, in its tests, waits for longer."""


def eventually(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what a condition gives once that is truthy."""
    return bad_day_processes.eventually(holds, seconds)


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
