"""What a store did not take leaves no old value to be served in the place of the new one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

import hitrate.langgraph
from hitrate import InMemoryCache, PostgresCache, RedisCache, SqliteCache, StoreError, TieredCache, cached
from hitrate.stores import debts
from hitrate.stores.sqlite import connections
from hitrate.testing import Clock
from hitrate.testing.faces import ASYNC, SYNC, Driver, Face
from servers.postgres import PostgresServer
from servers.valkey import Server, running, wait_until

NAMESPACE = ("namespace",)
A, B, C = ((NAMESPACE, name) for name in "abc")
LARGE = "x" * 300_000


@contextmanager
def opened(face: Face, cache: Any) -> Iterator[Driver]:
    with cache, face.open(cache) as driver:
        yield driver


# A server that is full


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    with running(**{"maxmemory-policy": "noeviction"}) as server:
        yield server


@pytest.fixture
def fill(small_server: Server) -> Iterator[Callable[[], None]]:
    """Let the server take nothing more."""
    with small_server.client() as client:
        client.config_set("maxmemory", 0)
        client.flushall()
        yield lambda: client.config_set("maxmemory", 1)
        client.config_set("maxmemory", 0)


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
def face(request: pytest.FixtureRequest) -> Face:
    found: Face = request.param
    return found


def test_a_set_that_a_full_server_refuses_removes_what_it_was_to_replace(
    small_server: Server, fill: Any, face: Face
) -> None:
    with (
        opened(face, RedisCache(small_server.unix_url)) as cache,
        RedisCache[Any](small_server.unix_url) as other,
    ):
        cache.set({A: ("old", None), B: ("old", None), C: ("other", None)})
        fill()
        cache.set({A: ("new", None), B: ("new", None)})
        assert cache.get([A, B, C]) == {C: "other"}
        assert other.get([A, B, C]) == {C: "other"}


@pytest.mark.parametrize("lease", [None, 10.0])
@pytest.mark.parametrize("while_computing", [False, True])
def test_what_a_full_server_refuses_leaves_nothing_old_after_a_refresh(
    small_server: Server, fill: Any, lease: float | None, while_computing: bool
) -> None:
    results = iter(range(10))
    with RedisCache[Any](small_server.unix_url) as cache, RedisCache[Any](small_server.unix_url) as other:

        @cached(cache, namespace=("refreshed",), lease=lease)
        def value() -> Any:
            result = next(results)
            if while_computing and result == 1:
                fill()
            return result

        assert value() == value() == 0
        if not while_computing:
            fill()
        assert value.refresh() == 1
        assert value.get() is None
        assert other.get([value.key_for()]) == {}
        assert value() == 2
        with small_server.client() as client:
            client.config_set("maxmemory", 0)
        assert value() == value() == 3


def test_on_error_raise_tells_the_caller_and_leaves_the_old_value(small_server: Server, fill: Any) -> None:
    with RedisCache[Any](small_server.unix_url, on_error="raise") as cache:
        cache.set({A: ("old", None)})
        fill()
        with pytest.raises(StoreError):
            cache.set({A: ("new", None)})
        assert cache.get([A]) == {A: "old"}


def test_a_full_farthest_tier_does_not_serve_the_old_value(small_server: Server, fill: Any, face: Face) -> None:
    with opened(face, TieredCache(InMemoryCache(max_bytes=100_000), RedisCache(small_server.unix_url))) as cache:
        cache.set({A: ("old", None)})
        fill()
        cache.set({A: (LARGE, None)})  # too large for the nearer one
        assert cache.get([A]) == {}


def test_a_server_that_is_read_only_does_not_have_its_old_values_served(face: Face) -> None:
    server = PostgresServer()
    try:
        with opened(face, PostgresCache(server.url)) as cache:
            cache.set({A: ("old", None), B: ("old", None), C: ("other", None)})
            with psycopg.connect(server.url, autocommit=True) as con:
                con.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                con.execute("SELECT pg_reload_conf()")
            wait_until(lambda: not cache.set({A: ("new", None)}) and cache.raw.stats().errors, "to be read-only")
            cache.delete([B])
            assert cache.get([A, B, C]) == {C: "other"}
            cache.clear([NAMESPACE])
            assert cache.get([A, B, C]) == {}
    finally:
        server.remove()


# A file that another program keeps locked: neither the new value nor the removal of the old one is taken


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(connections, "_IMPATIENT_SECONDS", 0.0)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        con.execute("ROLLBACK")
        con.close()


@pytest.fixture
def settles_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be removed is tried again by the next write, not the first after a second."""
    monkeypatch.setattr("hitrate.stores.withholding._AGAIN_SECONDS", 0.0)


def writes(cache: Driver) -> dict[str, Callable[[], Any]]:
    return {
        "set": lambda: cache.set({A: ("new", None), B: ("new", None)}),
        "set with a TTL of 0": lambda: cache.set({A: ("new", 0), B: ("new", 0)}),
        "delete": lambda: cache.delete([A, B]),
        "clear": lambda: cache.clear([NAMESPACE]),
        "clear all": lambda: cache.clear(),
        "clear under": lambda: cache.clear_under(NAMESPACE),
        "clear under all": lambda: cache.clear_under(()),
    }


@pytest.mark.usefixtures("settles_at_once")
@pytest.mark.parametrize("what", list(writes(None)))  # type: ignore[arg-type]
def test_what_cannot_be_removed_is_not_served(path: Path, face: Face, what: str) -> None:
    with opened(face, SqliteCache(path=path)) as cache, SqliteCache[Any](path=path) as other:
        cache.set({A: ("old", None), B: ("old", None), (("other",), "a"): ("other", None)})
        with locked(path):
            assert cache.get([A, B]) == {A: "old", B: "old"}
            writes(cache)[what]()
            assert cache.get([A, B]) == {}
            assert ("all" in what) == (cache.get([(("other",), "a")]) == {})
            assert other.get([A, B]) == {A: "old", B: "old"}, "nobody could remove it yet"
            cache.set({C: ("dropped too", None)})
            assert cache.get([A, B, C]) == {}
        cache.set({C: ("taken", None)})
        assert cache.get([A, B, C]) == other.get([A, B, C]) == {C: "taken"}
        cache.set({A: ("new", None)})
        assert cache.get([A, B]) == other.get([A, B]) == {A: "new"}


@pytest.mark.usefixtures("settles_at_once")
def test_what_is_set_again_is_served_at_once(path: Path, face: Face) -> None:
    with opened(face, SqliteCache(path=path)) as cache:
        cache.set({A: ("old", None), B: ("old", None)})
        with locked(path):
            cache.set({A: ("dropped", None)})
            cache.set({B: ("dropped", None)})
        cache.set({A: ("new", 60)})
        assert cache.get([A, B]) == {A: "new"}


@pytest.mark.parametrize("clear", ["clear", "clear all", "clear under"])
def test_a_clear_that_is_made_up_for_later_takes_nothing_that_was_set_since(path: Path, face: Face, clear: str) -> None:
    raw = SqliteCache[Any](path=path)
    with opened(face, raw) as cache:
        cache.set({A: ("old", None), B: ("old", None)})
        with locked(path):
            writes(cache)[clear]()
            cache.set({A: ("dropped", None)})
        cache.set({A: ("new", None)})  # within the second in which the file is left alone
        vars(raw._store).update(_pay_at=0.0)  # which then has passed
        cache.set({C: ("later", None)})
    with SqliteCache[Any](path=path) as other:
        assert other.get([A, B, C]) == {A: "new", C: "later"}


def test_a_store_that_forgot_nothing_is_asked_itself_again(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        store = cache._store
        cache.set({A: ("old", None)})
        with locked(path):
            cache.set({A: ("new", None)})
            assert cache._store is not store
            cache.set({B: ("nothing is held for it", None)})
        cache.set({A: ("new", None)})
        assert cache._store is store
        with locked(path):
            cache.set({B: ("nothing is held for it", None)})
            assert cache._store is store, "an outage is not remembered by keys that nothing is held for"
        assert cache.get([A, B]) == {A: "new"}


def test_very_many_are_remembered_by_their_namespaces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debts, "KEYS_AT_MOST", 10)
    with SqliteCache[Any](path=path) as cache:
        keys = [(NAMESPACE, str(number)) for number in range(30)]
        cache.set(dict.fromkeys(keys, ("old", None)))
        cache.set({(("other",), "a"): ("other", None)})
        with locked(path):
            for key in keys[:20]:
                cache.set({key: ("new", None)})
            assert cache.get([*keys, (("other",), "a")]) == {(("other",), "a"): "other"}
        cache.set({keys[0]: ("new", None)})
        assert cache.get(keys) == {keys[0]: "new"}
        with locked(path):
            cache.set({keys[0]: ("newer", None)})
            assert cache.get(keys) == {}


def until_refreshed(cache: Any) -> None:
    wait_until(lambda: not cache._computing._refresher._pending, "to refresh a value")


def test_a_refresh_in_the_background_that_is_not_taken_leaves_no_stale_value(path: Path, clock: Clock) -> None:
    results = iter(range(10))
    with SqliteCache[Any](path=path, clock=clock) as cache:

        def value() -> Any:
            return cache.get_or_compute(A, lambda: next(results), 10, stale=100)

        assert value() == 0
        clock.advance(20)
        with locked(path):
            assert value() == 0  # and a refresh is under way
            until_refreshed(cache)
            assert value() == 2


def test_a_refresh_whose_value_cannot_be_stored_leaves_no_stale_value(clock: Clock) -> None:
    values: Any = iter([1, threading.Lock(), 3])
    with InMemoryCache[Any](clock=clock) as cache:
        assert cache.get_or_compute(A, lambda: next(values), 10, stale=100) == 1
        clock.advance(20)
        assert cache.get_or_compute(A, lambda: next(values), 10, stale=100) == 1
        until_refreshed(cache)
        assert cache.get_or_compute(A, lambda: next(values), 10, stale=100) == 3


def test_a_refresh_that_came_after_its_lease_leaves_no_older_value(path: Path, clock: Clock) -> None:
    with SqliteCache[Any](path=path, clock=clock) as cache:
        results = iter(range(10))

        @cached(cache, lease=5, namespace=("late",))
        def slow() -> Any:
            clock.advance(seconds)
            return next(results)

        seconds = 0
        assert slow() == 0
        seconds = 10
        assert slow.refresh() == 1
        assert slow.get() is None


# Values that cannot be stored, in graphs


@pytest.mark.parametrize("kind", ["memory", "sqlite", "tiered"])
def test_a_value_that_graphs_leave_out_leaves_no_old_one(
    path: Path, face: Face, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    module = hitrate.langgraph
    cache: Any = {
        "memory": lambda: module.InMemoryCache(),
        "sqlite": lambda: module.SqliteCache(path=path),
        "tiered": lambda: module.TieredCache(module.InMemoryCache(), module.SqliteCache(path=path)),
    }[kind]()
    with opened(face, cache) as driver, caplog.at_level(logging.WARNING, "hitrate"):
        driver.set({A: ("old", None), B: ("old", None)})
        driver.set({A: (threading.Lock(), None), C: ("new", None)})
        assert driver.get([A, B, C]) == {B: "old", C: "new"}
        assert cache.stats().errors == 1
        assert cache.stats().errors == 1


# What was under way


def test_a_cancelled_set_that_failed_is_withheld_all_the_same(path: Path) -> None:
    async def main() -> None:
        async with SqliteCache[Any](path=path) as cache:
            await cache.aset({A: ("old", None)})
            with locked(path):
                dropped = cache._dropped
                tasks: list[asyncio.Task[None]] = []

                def cancelled(*arguments: Any) -> Any:
                    tasks[0].cancel()
                    return dropped(*arguments)

                cache._dropped = cancelled  # type: ignore[method-assign]
                tasks.append(asyncio.ensure_future(cache.aset({A: ("new", None)})))
                await asyncio.wait(tasks)
                assert tasks[0].cancelled()
                assert await cache.aget([A]) == {}

    asyncio.run(main())


# A value that is too large


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_a_value_that_is_too_large_is_named_by_its_namespace_and_key(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache: Any
    if kind == "memory":
        cache = InMemoryCache(max_bytes=2000)
    elif kind == "sqlite":
        cache = SqliteCache(path=tmp_path / "cache.db", max_bytes=2000)
    else:
        cache = PostgresCache(request.getfixturevalue("postgres_url"), table="too_large", max_bytes=2000)
    names: list[Any] = [(("notes", "ünï"), "ключ"), ((), ""), (("a,b", "\ud800"), "k\udfff")]
    with cache, caplog.at_level(logging.WARNING, "hitrate"):
        cache.set(dict.fromkeys(names, ("x" * 9000, None)))
        assert cache.get(names) == {}
    told = [record.getMessage() for record in caplog.records if "takes" in record.getMessage()]
    assert [line.partition(" takes ")[0] for line in told] == [
        f"the value of namespace {namespace!r}, key {key!r}" for namespace, key in names
    ]
    assert all(" bytes, more than max_bytes=2000; not stored" in line for line in told)
