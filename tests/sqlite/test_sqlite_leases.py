"""Leases in an SQLite file."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.lease_children import KEY, holders

from hitrate import SqliteCache
from hitrate.errors import StoreError
from hitrate.keys import encode_namespace
from hitrate.stores.sqlite import connections
from hitrate.stores.sqlite.leasing import LOOKED_AT
from hitrate.stores.sqlite.schema import FORMAT, LEASES
from hitrate.testing import Clock
from hitrate.testing.lease_contract import NAME, LeaseContract, entry, token

OTHER = (NAME, b"other")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())  # as other processes have it


@pytest.fixture
def later(clock: Clock) -> Callable[[float], None]:
    return clock.advance


@pytest.fixture
def stores(path: Path, clock: Clock) -> Iterator[tuple[Any, Any]]:
    options: Any = {"path": path, "clock": clock, "on_error": "raise"}
    with SqliteCache[Any](**options) as one, SqliteCache[Any](**options) as two:
        yield one._store, two._store


def ask(path: Path, sql: str, *values: Any) -> Any:
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    try:
        return con.execute(sql, values).fetchall()
    finally:
        con.close()


def rows(path: Path) -> int:
    return int(ask(path, f"SELECT count(*) FROM {LEASES}")[0][0])


def payload(store: Any, key: Any = KEY) -> Any:
    (found,) = store.get([key])
    return None if found is None else found[1]


class TestLeases(LeaseContract):
    pass


# Other processes


def test_of_eight_processes_one_has_the_lease(path: Path, stores: Any, clock: Clock) -> None:
    with holders(path, 60, 8) as processes:
        for process in processes:
            process.tell("take")
        assert sorted(process.line() for process in processes) == ["held"] + ["refused"] * 7
        clock.set(time.time())
        assert list(stores[0].lease([KEY], token(), 60)) != [0.0]


def test_the_lease_of_a_killed_process_runs_out(path: Path, stores: Any, clock: Clock) -> None:
    store, mine = stores[0], token()
    with holders(path, 60, 1) as (holder,):
        holder.tell("take")
        assert holder.line() == "held"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        clock.set(time.time())
        (left,) = store.lease([KEY], mine, 60)
        assert 0 < left <= 60
        clock.advance(60)
        assert list(store.lease([KEY], mine, 60)) == [0.0]


@pytest.mark.parametrize("settled", [True, False])
def test_a_process_that_was_paused_past_its_lease_overwrites_nothing(
    path: Path, stores: Any, clock: Clock, settled: bool
) -> None:
    store, mine = stores[0], token()
    with holders(path, 60, 1) as (holder,):
        holder.tell("take")
        assert holder.line() == "held"
        os.kill(holder.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(holder.pid, os.WUNTRACED)[1])
        holder.tell("late value")
        clock.set(time.time() + 60)
        assert list(store.lease([KEY], mine, 60)) == [0.0]
        if settled:
            assert list(store.settle({KEY: entry(b"successor")}, mine)) == []
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.line() == "late"
        if not settled:
            assert payload(store) is None
            assert list(store.settle({KEY: entry(b"successor")}, mine)) == []
        assert payload(store) == b"successor"


def test_a_process_that_is_in_time_settles_for_all(path: Path, stores: Any) -> None:
    with holders(path, 60, 1) as (holder,):
        holder.tell("take")
        assert holder.line() == "held"
        holder.tell("value")
        assert holder.line() == "stored"
    assert payload(stores[0]) == b"value"


# The clock


def test_a_clock_that_was_put_back_ends_a_lease(stores: Any, clock: Clock) -> None:
    one, two = stores
    one.lease([KEY], token(), 60)
    clock.set(clock() - 1)
    assert list(two.lease([KEY], token(), 60)) == [0.0]


def test_what_is_settled_after_its_time_is_late_even_without_a_successor(stores: Any, later: Any) -> None:
    one, _ = stores
    mine = token()
    one.lease([KEY], mine, 60)
    later(60)
    assert list(one.settle({KEY: entry(b"late")}, mine)) == [KEY]
    assert payload(one) is None


def test_the_time_is_read_once_no_other_can_take_a_lease(path: Path) -> None:
    con = apsw.Connection(str(path))
    kept_out = []

    def clock() -> float:
        try:
            con.execute("BEGIN IMMEDIATE; ROLLBACK")
            kept_out.append(False)
        except apsw.BusyError:
            kept_out.append(True)
        return 1e9

    with SqliteCache[Any](path=path, clock=clock) as cache:
        mine = token()
        cache._store.lease([KEY], mine, 60)
        assert kept_out == [True]
        cache._store.settle({KEY: None}, mine)
        assert kept_out[-1]
    con.close()


# The file


def test_a_file_of_the_version_before_gets_its_table_with_the_first_lease(path: Path) -> None:
    with (
        SqliteCache[Any](path=path, on_error="raise") as before,
        SqliteCache[Any](path=path, on_error="raise") as cache,
    ):
        before.set({(("leases", "a"), "old"): ("value", None)})
        before.delete([(("leases", "a"), "other")])
        assert ask(path, "SELECT name FROM sqlite_schema WHERE name = ?", LEASES) == []
        mine = token()
        assert list(cache._store.lease([KEY], mine, 60)) == [0.0]
        assert rows(path) == 1
        before.delete([(("leases", "a"), "key")])  # by a cache that was opened before there were any
        assert rows(path) == 0
        assert list(cache._store.settle({KEY: entry(b"late")}, mine)) == [KEY]
        assert before.get([(("leases", "a"), "old")]) == {(("leases", "a"), "old"): "value"}


def test_the_version_before_takes_the_file_for_its_own_still(path: Path, stores: Any) -> None:
    looked_at = """SELECT name FROM sqlite_schema WHERE sql IS NOT NULL
        AND 'hitrate_' IN (lower(substr(name, 1, 8)), lower(substr(tbl_name, 1, 8))) ORDER BY name"""
    before = ask(path, looked_at)
    stores[0].lease([KEY], token(), 60)
    assert ask(path, looked_at) == before
    assert ask(path, "PRAGMA user_version") == [(1,)] == [(FORMAT,)]


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE TRIGGER spy AFTER INSERT ON {LEASES} BEGIN DELETE FROM hitrate_entries; END",
        f"ALTER TABLE {LEASES} ADD COLUMN more",
        f"DROP TABLE {LEASES}; CREATE VIEW {LEASES} AS SELECT 1 AS slot",
        f"CREATE INDEX spy ON {LEASES} (token)",
    ],
)
def test_a_file_with_another_table_of_leases_is_not_trusted(path: Path, stores: Any, sql: str) -> None:
    stores[0].lease([KEY], token(), 60)
    ask(path, sql)
    with pytest.raises(StoreError, match="does not have hitrate's tables as hitrate makes them"):
        SqliteCache(path=path, on_error="raise")


@pytest.mark.parametrize(
    "column", ["token = 'text'", "taken = 'text'", "seconds = x'00'", "seconds = 9e999", "taken = 9e999"]
)
def test_a_lease_that_was_written_by_hand_stops_nobody_for_longer_than_it_says(
    path: Path, stores: Any, column: str
) -> None:
    store, first, mine = stores[0], token(), token()
    store.lease([KEY], first, 60)
    ask(path, f"UPDATE {LEASES} SET {column}")
    (left,) = store.lease([KEY], mine, 60)
    if column == "seconds = 9e999":
        assert left == float("inf")
        store.write({KEY: None})
        assert list(store.lease([KEY], mine, 60)) == [0.0]
    else:
        assert left == 0.0
        assert list(store.settle({KEY: entry(b"v")}, first)) == [KEY]
    assert list(store.settle({KEY: entry(b"v")}, mine)) == []


def test_a_file_that_others_keep_locked_is_a_store_error(path: Path, stores: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.0)
    store, mine = stores[0], token()
    store.lease([OTHER], mine, 60)
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"):
        store.lease([KEY], mine, 60)
    with pytest.raises(StoreError, match="locked by another process"):
        asyncio.run(store.asettle({OTHER: entry(b"value")}, mine))
    con.execute("ROLLBACK")
    con.close()
    assert list(store.settle({OTHER: entry(b"value")}, mine)) == []


def test_settling_is_one_step_with_what_it_stores(path: Path, stores: Any) -> None:
    store, mine = stores[0], token()
    store.lease([KEY, OTHER], mine, 60)
    bad: Any = ("bytes", object(), None, 0.0)
    with pytest.raises((StoreError, TypeError)):
        store.settle({KEY: entry(b"value"), OTHER: bad}, mine)
    assert payload(store) is None
    assert rows(path) == 2


# What is left


def test_settled_leases_leave_nothing(path: Path, stores: Any) -> None:
    mine = token()
    stores[0].lease([KEY, OTHER], mine, 60)
    stores[1].settle({KEY: entry(b"value"), OTHER: None}, mine)
    assert rows(path) == 0


@pytest.mark.parametrize("how", ["time", "a clock put back", "clear"])
def test_leases_that_ended_are_removed_some_with_each_lease(path: Path, stores: Any, clock: Clock, how: str) -> None:
    store = stores[0]
    count = 5 * LOOKED_AT
    store.lease([(NAME, b"%d" % number) for number in range(count)], token(), 60)
    if how == "clear":
        store.clear([NAME])
    clock.set(clock() + (-10 if how == "a clock put back" else 60))
    before = rows(path)
    store.lease([KEY], token(), 60)
    assert before - 2 * (LOOKED_AT + 1) <= rows(path) < before
    for _ in range(count // LOOKED_AT + 1):
        store.lease([KEY], token(), 60)
    assert rows(path) == 1


def test_the_slots_of_a_namespace_that_was_cleared_are_not_given_away_while_a_lease_is_there(
    path: Path, stores: Any
) -> None:
    store, mine = stores[0], token()
    store.lease([KEY], mine, 60)
    store.clear([NAME])
    while store._housekeeper.step():
        pass
    ask(path, "UPDATE hitrate_state SET value = value - 1 WHERE name = 'next_base'")  # as when all have been used
    store.write({OTHER: entry(b"value")})
    assert list(store.settle({KEY: entry(b"from before")}, mine)) == [KEY]


def test_in_memory_every_lease_is_granted() -> None:
    with SqliteCache[Any](path=":memory:") as cache:
        store = cache._store
        assert list(store.lease([KEY], token(), 60)) == [0.0]
        assert list(asyncio.run(store.alease([KEY], token(), 60))) == [0.0]
        assert list(store.settle({KEY: entry(b"value"), OTHER: None}, token())) == []
        assert payload(store) == b"value"


# Clearing by prefix


def test_ten_thousand_namespaces_under_a_prefix(stores: Any, path: Path) -> None:
    store, other = stores
    many = [(encode_namespace(("many", str(number))), b"key") for number in range(10_000)]
    store.write({key: entry(b"old") for key in [*many, KEY]})
    other.clear_under(encode_namespace(("many",)))
    assert {*store.get(many)} == {None}
    assert payload(other) == b"old"
    assert store.usage().entries == 1
    store.write({many[0]: entry(b"new")})
    while other._housekeeper.step():
        pass
    assert ask(path, "SELECT count(*) FROM hitrate_entries") == [(2,)]
    assert payload(store, many[0]) == b"new"
