"""Where connections come from: a conninfo, a pool of either kind, many threads and loops, both sides of a fork."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from postgres_children import BATCH, in_processes, use_with_others
from postgres_days import KEY, OTHER, SLACK, ask, assert_sound, backends, eventually, within
from psycopg_pool import AsyncConnectionPool, ConnectionPool

import releases
from hitrate import PostgresCache
from hitrate.errors import StoreError
from hitrate.testing.forking import in_child
from servers.shared import PATIENT

PATIENCE = 2.0
"""A timeout that ends tests soon. On a busy machine a server that is well may take longer."""


@pytest.fixture
def pool(postgres_url: str) -> Iterator[ConnectionPool[Any]]:
    with ConnectionPool(postgres_url, min_size=1, max_size=2, open=True) as pool:
        yield pool


def apool_of(url: str, **options: Any) -> AsyncConnectionPool[Any]:
    return AsyncConnectionPool(url, min_size=1, max_size=2, open=False, **options)


def test_a_pool_serves_the_sync_face(pool: ConnectionPool[Any], table: str) -> None:
    with PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT) as cache:
        for number in range(20):
            cache.set({KEY: (number, None)})
            assert cache.get([KEY]) == {KEY: number}
        assert pool.get_stats()["requests_num"] >= 40
        assert backends(cache) == [], "it opened connections of its own"
        assert pool.get_stats().get("returns_bad", 0) == 0
    assert not pool.closed
    with pool.connection() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_pool_s_async_face_is_made_from_its_settings(pool: ConnectionPool[Any], table: str) -> None:
    with PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        requests = pool.get_stats()["requests_num"]
        assert asyncio.run(cache.aget([KEY])) == {KEY: "value"}
        assert pool.get_stats()["requests_num"] == requests


def test_an_async_pool_serves_the_async_face_in_its_loop(postgres_url: str, table: str) -> None:
    async def main() -> None:
        async with apool_of(postgres_url) as pool:
            cache = PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT)
            async with cache:
                await cache.aset({KEY: ("value", None)})
                found = await asyncio.gather(*(cache.aget([KEY]) for _ in range(50)))
                assert found == [{KEY: "value"}] * 50
                assert pool.get_stats()["requests_num"] >= 2
                assert backends(cache) == [], "it opened connections of its own"
                assert cache.get([KEY]) == {KEY: "value"}
                assert len(backends(cache)) == 1
            assert not pool.closed
            async with pool.connection() as connection:
                assert await (await connection.execute("SELECT 1")).fetchall() == [(1,)]

    asyncio.run(main())


def test_an_async_pool_is_left_to_its_loop_by_other_loops(postgres_url: str, table: str) -> None:
    async def main() -> None:
        async with apool_of(postgres_url) as pool:
            with PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT) as cache:
                # Another loop comes first.
                assert await asyncio.to_thread(asyncio.run, cache.aget([KEY])) == {}
                assert pool.get_stats().get("requests_num", 0) == 0
                await cache.aset({KEY: ("value", None)})
                assert pool.get_stats()["requests_num"] > 0
                requests = pool.get_stats()["requests_num"]
                for _ in range(3):
                    assert await asyncio.to_thread(asyncio.run, cache.aget([KEY])) == {KEY: "value"}
                assert pool.get_stats()["requests_num"] == requests

    asyncio.run(main())


def test_a_loop_after_that_of_an_async_pool_is_served_too(postgres_url: str, table: str) -> None:
    async def first() -> PostgresCache[Any]:
        async with apool_of(postgres_url) as pool:
            cache = PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT)
            await cache.aset({KEY: ("value", None)})
            return cache

    with asyncio.run(first()) as cache:
        assert asyncio.run(cache.aget([KEY])) == {KEY: "value"}
        assert cache.get([KEY]) == {KEY: "value"}


def test_a_closed_pool_is_a_miss(postgres_url: str, table: str) -> None:
    pool = ConnectionPool[Any](postgres_url, min_size=1, open=True)
    pool.close()
    with PostgresCache[Any](pool, table=table, **PATIENT) as cache:
        assert cache.get([KEY]) == {}
        assert cache.stats().errors == 2


@pytest.mark.parametrize(
    "options", [{}, *([{"conninfo": lambda: ""}, {"kwargs": dict}] if releases.POOL >= releases.POOL_FUNCTIONS else [])]
)
def test_a_pool_s_settings_may_be_functions(postgres_url: str, table: str, options: dict[str, Any]) -> None:
    given = {"conninfo": postgres_url, **options}
    if callable(given["conninfo"]):
        given["conninfo"] = lambda: postgres_url
    with (
        ConnectionPool(min_size=1, open=True, **given) as pool,
        PostgresCache[Any](pool, table=table, **PATIENT) as cache,
    ):
        cache.set({KEY: ("value", None)})
        assert asyncio.run(cache.aget([KEY])) == {KEY: "value"}


def fill(url: str, table: str) -> None:
    """Make the tables, with a value for a key."""
    with PostgresCache[Any](url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})


def test_an_exhausted_pool_is_a_miss_in_time_and_no_reason_to_leave_the_server_alone(
    pool: ConnectionPool[Any], postgres_url: str, table: str
) -> None:
    fill(postgres_url, table)
    with PostgresCache[Any](pool, table=table, timeout=PATIENCE) as cache:
        callers = 7
        with pool.connection(), pool.connection(), ThreadPoolExecutor(callers) as threads:
            with within(PATIENCE + SLACK):
                assert list(threads.map(cache.get, [[KEY]] * callers)) == [{}] * callers
            assert cache._counters.errors == callers
        assert cache._store.breaker == "closed"
        eventually(lambda: cache.get([KEY]) == {KEY: "value"})


def test_an_exhausted_async_pool_is_a_miss_in_time(postgres_url: str, table: str) -> None:
    fill(postgres_url, table)

    async def main() -> None:
        async with apool_of(postgres_url) as pool:
            with PostgresCache[Any](pool, table=table, timeout=PATIENCE) as cache:
                async with pool.connection(), pool.connection():
                    with within(PATIENCE + SLACK):
                        assert await asyncio.gather(*(cache.aget([KEY]) for _ in range(10))) == [{}] * 10
                async with asyncio.timeout(60):
                    while await cache.aget([KEY]) != {KEY: "value"}:
                        pass

    asyncio.run(main())


def test_when_all_own_connections_are_busy_callers_wait_and_no_longer_than_the_timeout(
    postgres_url: str, table: str
) -> None:
    fill(postgres_url, table)
    with PostgresCache[Any](postgres_url, table=table, max_connections=1, timeout=PATIENCE, on_error="raise") as cache:
        own = cache._store._connections.own  # type: ignore[attr-defined]
        link = own.take(time.monotonic() + 60)
        with within(PATIENCE + SLACK), ThreadPoolExecutor(8) as threads:
            reads = [threads.submit(cache.get, [KEY]) for _ in range(7)]
            reads.append(threads.submit(lambda: asyncio.run(cache.aget([KEY]))))
            for read in reads:
                with pytest.raises(StoreError, match="max_connections"):
                    read.result()
        own.give(link)

        def serves() -> bool:
            try:
                return cache.get([KEY]) == asyncio.run(cache.aget([KEY])) == {KEY: "value"}
            except StoreError:
                return False

        eventually(serves)


def test_no_more_connections_are_opened_than_may_be(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, max_connections=3, timeout=20, on_error="raise") as cache:
        cache.set({KEY: ("value", None)})
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(lambda _: cache.get([KEY]), range(300))) == [{KEY: "value"}] * 300
        loops = [threading.Thread(target=asyncio.run, args=(_use(cache),)) for _ in range(4)]
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
        assert 1 <= len(backends(cache)) <= 3


async def _use(cache: PostgresCache[Any]) -> None:
    assert await asyncio.gather(*(cache.aget([KEY]) for _ in range(50))) == [{KEY: "value"}] * 50


def test_a_cache_that_is_not_closed_lets_go_of_its_connections(postgres_url: str, table: str) -> None:
    cache = PostgresCache[Any](postgres_url, table=table, **PATIENT)
    cache.set({KEY: ("value", None)})
    assert len(backends(cache)) == 1
    pgconn = cache._store._connections.own._idle[0].pgconn  # type: ignore[attr-defined]
    del cache
    # What it counted is told by a thread first, which then lets go of it.
    eventually(lambda: gc.collect() >= 0 and pgconn.status != 0)


def test_statements_of_a_pool_that_is_reset_are_prepared_again(postgres_url: str, table: str) -> None:
    def reset(connection: Any) -> None:
        connection.autocommit = True
        connection.execute("DISCARD ALL")

    with (
        ConnectionPool(postgres_url, min_size=1, max_size=1, open=True, reset=reset) as pool,
        PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT) as cache,
    ):
        for number in range(30):
            cache.set({KEY: (number, None), OTHER: (number, 60)})
            assert cache.get([KEY, OTHER]) == {KEY: number, OTHER: number}


def test_a_pool_that_forbids_prepared_statements_is_heeded(postgres_url: str, table: str) -> None:
    with (
        ConnectionPool(postgres_url, min_size=1, max_size=1, open=True, kwargs={"prepare_threshold": None}) as pool,
        PostgresCache[Any](pool, table=table, on_error="raise", **PATIENT) as cache,
    ):
        for number in range(10):
            cache.set({KEY: (number, None)})
            assert cache.get([KEY]) == {KEY: number}
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]


def test_no_session_is_left_changed(postgres_url: str, table: str) -> None:
    """What a proxy that shares sessions, such as PgBouncer in transaction mode, needs of a client."""
    with (
        ConnectionPool(postgres_url, min_size=1, max_size=1, open=True) as pool,
        PostgresCache[Any](pool, table=table, on_error="raise", prepare=False, max_entries=5, **PATIENT) as cache,
    ):
        with pool.connection() as connection:
            before = connection.execute("SELECT name, setting FROM pg_settings WHERE source = 'session'").fetchall()
        for number in range(20):
            cache.set({(("n",), str(number)): (number, 60), KEY: (number, None)})
            cache.get([KEY, OTHER])
            cache.delete([OTHER])
            store: Any = cache._store
            leased, token = [(b"\x05lease", b"%d" % number)], b"t" * 16
            store.lease(leased, token, 60)
            store.settle(dict.fromkeys(leased, ("bytes", b"value", None, 0.0)), token)
        cache.clear([("n",)])
        cache.clear_under(("n",))
        cache.clear()
        cache.stats()
        with pool.connection() as connection:
            settings = connection.execute("SELECT name, setting FROM pg_settings WHERE source = 'session'").fetchall()
            assert settings == before
            for left in (
                "pg_prepared_statements",
                "pg_cursors",
                "pg_listening_channels()",
                "pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
                "pg_class WHERE relpersistence = 't'",
            ):
                assert connection.execute(f"SELECT count(*) FROM {left}").fetchall() == [(0,)], left


# Forks


@pytest.mark.parametrize("kind", ["conninfo", "pool", "apool"])
def test_both_sides_of_a_fork_go_on(postgres_url: str, table: str, kind: str) -> None:
    async def main() -> None:
        async with apool_of(postgres_url) as apool:
            with ConnectionPool(postgres_url, min_size=1, max_size=2, open=True) as pool:
                given: Any = {"conninfo": postgres_url, "pool": pool, "apool": apool}[kind]
                with PostgresCache[Any](given, table=table, on_error="raise", **PATIENT) as cache:
                    await cache.aset({KEY: ("before", None)})
                    assert cache.get([KEY]) == {KEY: "before"}
                    for number in range(3):
                        await asyncio.to_thread(in_child, lambda number=number: child(cache, number))
                        assert await cache.aget([KEY]) == {KEY: number}
                        assert cache.get([KEY]) == {KEY: number}
                        assert cache.stats().errors == 0

    def child(cache: PostgresCache[Any], number: int) -> None:
        cache.set({KEY: (number, None)})
        assert cache.get([KEY]) == {KEY: number}
        assert asyncio.run(cache.aget([KEY])) == {KEY: number}
        cache.close()

    asyncio.run(main())


def test_a_child_says_nothing_on_its_parent_s_connections(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: cache.get([KEY]), range(50)))
        own = cache._store._connections.own  # type: ignore[attr-defined]
        # One may be on its way that nobody waits for any more.
        eventually(lambda: own._opening == 0 and len(own._idle) == len(own._links))
        before = backends(cache)
        for _ in range(3):
            in_child(cache.close)
        assert backends(cache) == before
        alive = ask(postgres_url, "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", before)
        assert alive == [(len(before),)]
        assert cache.get([KEY]) == {KEY: "value"}


def test_forks_amid_traffic_leave_everything_whole(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", timeout=20) as cache:
        done = threading.Event()

        def work(number: int) -> None:
            while not done.is_set():
                cache.set(dict.fromkeys(BATCH, (number, None)))
                assert len(set(cache.get(BATCH).values())) == 1

        async def awork() -> None:
            while not done.is_set():
                await asyncio.gather(*(cache.aset(dict.fromkeys(BATCH, (each, None))) for each in range(10)))
                assert len(set((await cache.aget(BATCH)).values())) == 1

        def child() -> None:
            cache.set(dict.fromkeys(BATCH, (os.getpid(), None)))
            assert len(set(cache.get(BATCH).values())) == 1
            assert len(set(asyncio.run(cache.aget(BATCH)).values())) == 1

        with ThreadPoolExecutor(3) as threads:
            working = [threads.submit(work, number) for number in range(2)] + [threads.submit(asyncio.run, awork())]
            try:
                for _ in range(10):
                    in_child(child)
            finally:
                done.set()
            for each in working:
                each.result(timeout=30)
        assert cache.stats().errors == 0
    assert_sound(postgres_url, table)


# Many at once


def test_eight_processes_at_once(postgres_url: str, table: str) -> None:
    told = in_processes(8, use_with_others, postgres_url, table, {})
    assert [each["errors"] for each in told] == [0] * 8
    assert [each["evictions"] for each in told] == [0] * 8
    assert_sound(postgres_url, table)


@pytest.mark.parametrize("options", [{"max_entries": 40}, {"max_bytes": 20_000}])
def test_the_bound_holds_for_eight_processes_together(postgres_url: str, table: str, options: dict[str, Any]) -> None:
    told = in_processes(8, use_with_others, postgres_url, table, options)
    assert [each["errors"] for each in told] == [0] * 8
    assert sum(each["evictions"] for each in told) > 0
    assert all(each["limits held"] for each in told)
    assert_sound(postgres_url, table)


def test_batches_in_any_order_do_not_lock_each_other_out(postgres_url: str, table: str) -> None:
    keys = [((f"n{number % 3}",), str(number)) for number in range(60)]
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", timeout=20) as cache:
        before = ask(postgres_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")

        def work(number: int) -> None:
            ordered = keys if number % 2 else keys[::-1]
            for step in range(25):
                cache.set(
                    {key: (number, 0 if (position + step) % 7 == 0 else None) for position, key in enumerate(ordered)}
                )
                if step % 5 == number % 5:
                    cache.delete(ordered[number::3])

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
        cache.close()
    assert_sound(postgres_url, table)
    assert ask(postgres_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before
