"""A server that is down, goes down, stands still or says no: a miss, a dropped write, and nobody waits long."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from postgres_children import BATCH
from postgres_days import KEY, OTHER, SLACK, ask, assert_sound, backends, eventually, within

from hitrate import PostgresCache
from hitrate.errors import StoreError
from hitrate.stores.withholding import WithholdingStore
from servers.postgres import PostgresServer
from servers.shared import PATIENT


@pytest.fixture(scope="module")
def shared() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def server(shared: PostgresServer) -> Iterator[PostgresServer]:
    """A server that a test may stop or pause; the next one finds it running and empty."""
    yield shared
    if not shared.is_running:
        shared.start()
    ask(shared.url, "DROP SCHEMA public CASCADE")
    ask(shared.url, "CREATE SCHEMA public")


def calls(cache: PostgresCache[Any]) -> dict[str, Callable[[], Any]]:
    """All that can be asked of a cache, by both faces, with what it is to return when the server is away."""
    return {
        "get": lambda: cache.get([KEY, OTHER]),
        "aget": lambda: asyncio.run(cache.aget([KEY, OTHER])),
        "set": lambda: cache.set({KEY: ("value", None)}),
        "aset": lambda: asyncio.run(_await(cache.aset({KEY: ("value", None)}))),
        "delete": lambda: cache.delete([KEY]),
        "adelete": lambda: asyncio.run(cache.adelete([KEY])),
        "clear": cache.clear,
        "aclear": lambda: asyncio.run(cache.aclear([KEY[0]])),
        "stats": cache.stats,
    }


async def _await(awaitable: Any) -> Any:
    return await awaitable


def assert_away(cache: PostgresCache[Any], seconds: float) -> None:
    """Check that every call is answered without the server, in time."""
    for name, call in calls(cache).items():
        before = cache._counters.errors
        with within(seconds):
            answer = call()
        assert name == "stats" or answer in ({}, None, 0)
        # What a dropped write or clear concerned is a miss without asking.
        is_asked = name not in ("get", "aget") or not isinstance(cache._store, WithholdingStore)
        assert cache._counters.errors == before + is_asked


def assert_there(cache: PostgresCache[Any]) -> None:
    """Check that every call is answered by the server, as soon as it is tried again and answers in time."""

    def answers() -> bool:
        cache.set({KEY: ("there", None)})
        # A clear that the server did not take is made up for by a later write; it clears what came before that.
        if isinstance(cache._store, WithholdingStore) or cache.get([KEY]) != {KEY: "there"}:
            return False
        errors = cache._counters.errors
        asyncio.run(_await(cache.aset({OTHER: ("there too", None)})))
        found = asyncio.run(cache.aget([KEY, OTHER]))
        deleted = cache.delete([OTHER])
        cache.stats()
        is_told = (found, deleted) == ({KEY: "there", OTHER: "there too"}, 1)
        return is_told and cache._counters.errors == errors

    eventually(answers)


def test_a_server_that_is_down_at_first(server: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    server.stop()
    with caplog.at_level(logging.WARNING, "hitrate"), PostgresCache[Any](server.url, **PATIENT) as cache:
        for _ in range(3):
            assert_away(cache, SLACK)
        assert sum("failures in a row" in record.getMessage() for record in caplog.records) == 1
        assert len(caplog.records) <= 8, "a flood of log lines"
        server.start()
        assert_there(cache)
        assert sum("answers again" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("call", ["get", "aget", "set", "aset", "delete", "adelete", "clear", "aclear", "stats"])
def test_on_error_raise_raises_that_the_server_is_down(server: PostgresServer, call: str) -> None:
    server.stop()
    with PostgresCache[Any](server.url, on_error="raise", **PATIENT) as cache:
        for _ in range(8):  # with the breaker closed, and open
            with within(SLACK), pytest.raises(StoreError, match="PostgreSQL"):
                calls(cache)[call]()


def test_a_server_that_goes_down_and_comes_back_amid_traffic(server: PostgresServer) -> None:
    with PostgresCache[Any](server.url, timeout=2) as cache:
        done = threading.Event()
        wrong: list[Any] = []

        def work(number: int) -> int:
            steps = 0
            while not done.is_set():
                key = ((f"n{number}",), str(steps % 50))
                cache.set({key: ([number, steps], None)})
                cache.set(dict.fromkeys(BATCH, ((number, steps), None)))
                for found, value in cache.get([key, OTHER]).items():
                    if found != key or value[0] != number:
                        wrong.append((found, value))
                if len(set(cache.get(BATCH).values())) > 1:
                    wrong.append("half of a batch")
                steps += 1
            return steps

        async def awork() -> int:
            return sum(await asyncio.gather(*(each(number) for number in range(100, 120))))

        async def each(number: int) -> int:
            steps = 0
            while not done.is_set():
                key = ((f"n{number}",), str(steps % 50))
                await cache.aset({key: ([number, steps], None)})
                for found, value in (await cache.aget([key, KEY])).items():
                    if found != key or value[0] != number:
                        wrong.append((found, value))
                steps += 1
                await asyncio.sleep(0)
            return steps

        with ThreadPoolExecutor(4) as threads:
            working = [threads.submit(work, number) for number in range(3)] + [threads.submit(asyncio.run, awork())]
            try:
                for _ in range(2):
                    hits = cache.stats().hits
                    eventually(lambda hits=hits: cache.stats().hits > hits + 50)
                    server.stop()
                    errors = cache._counters.errors
                    eventually(lambda errors=errors: cache._counters.errors > errors + 20)
                    server.start()
            finally:
                done.set()
            assert all(each.result(timeout=30) for each in working)
        assert wrong == []
        assert_there(cache)
    assert_sound(server.url, "hitrate")


def test_a_server_that_is_restarted_between_calls_costs_no_error(server: PostgresServer) -> None:
    with PostgresCache[Any](server.url, durability="full", on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        server.stop()
        server.start()
        assert cache.get([KEY]) == {KEY: "value"}
        server.stop()
        server.start()
        assert asyncio.run(cache.aget([KEY])) == {KEY: "value"}
        server.stop()
        server.start()
        cache.set({KEY: ("new", None)})
        assert cache.get([KEY]) == {KEY: "new"}


def test_a_crash_empties_unlogged_tables_and_the_cache_goes_on(server: PostgresServer) -> None:
    with PostgresCache[Any](server.url, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None), OTHER: ("value", 60)})
        cache.clear([("another",)])
        cache.clear()
        cache.set({KEY: ("value", None)})
        server.crash()
        server.start()
        assert cache.get([KEY]) == {}
        cache.set({KEY: ("anew", None)})
        assert cache.get([KEY, OTHER]) == {KEY: "anew"}
        assert cache.stats().entries == 1


def test_a_crash_leaves_logged_tables_whole(server: PostgresServer) -> None:
    with PostgresCache[Any](server.url, durability="full", on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        server.crash()
        server.start()
        assert cache.get([KEY]) == {KEY: "value"}
        assert cache.stats().entries == 1


def test_a_server_that_stands_still_is_waited_for_no_longer_than_the_timeout(server: PostgresServer) -> None:
    with PostgresCache[Any](server.url, **PATIENT) as patient:
        patient.set({KEY: ("value", None)})
    with PostgresCache[Any](server.url, timeout=0.4) as cache:
        eventually(lambda: cache.get([KEY]) == {KEY: "value"})  # it has a connection
        server.pause()
        try:
            for name, call in calls(cache).items():
                with within(0.4 + SLACK):
                    answer = call()
                assert name == "stats" or answer in ({}, None, 0)
            with within(SLACK):  # the breaker is open by now
                for _ in range(100):
                    assert cache.get([KEY]) == {}
        finally:
            server.resume()
        assert_there(cache)


def test_a_server_that_stands_still_does_not_block_the_loop(server: PostgresServer) -> None:
    async def main() -> int:
        turns = 0
        reads = asyncio.gather(*(cache.aget([KEY]) for _ in range(20)), _await(cache.aset({KEY: (1, None)})))
        while not reads.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert await reads == [{}] * 20 + [None]
        return turns

    for used_before in (True, False):  # with connections that are open, and without
        with PostgresCache[Any](server.url, timeout=2.0) as cache:
            if used_before:
                asyncio.run(cache.aget([KEY]))
            server.pause()
            try:
                with within(2.0 + SLACK):
                    assert asyncio.run(main()) > 3
            finally:
                server.resume()


def test_a_server_that_stands_still_does_not_hold_up_close(server: PostgresServer) -> None:
    cache = PostgresCache[Any](server.url, timeout=0.4)
    cache.set({KEY: ("value", None)})
    server.pause()
    try:
        cache.clear()  # asks for housekeeping
        with within(0.8 + SLACK):
            cache.close()
    finally:
        server.resume()


def test_a_wrong_password_is_a_miss(server: PostgresServer) -> None:
    with server.asking_for_passwords():
        url = server.tcp_url.replace("postgres@", "postgres:wrong@")
        with PostgresCache[Any](url, **PATIENT) as cache:
            assert_away(cache, SLACK)
        with PostgresCache[Any](url, on_error="raise", **PATIENT) as cache, pytest.raises(StoreError, match="password"):
            cache.get([KEY])


@pytest.mark.parametrize(
    "conninfo", ["host=127.0.0.1 port=1", "host=/nowhere", "host=no-such-host.invalid", "dbname=nothing"]
)
def test_a_server_that_is_not_there_is_a_miss(server: PostgresServer, conninfo: str) -> None:
    if "host" not in conninfo:
        conninfo = f"{conninfo} host={server.folder} port={server.port} user=postgres"
    with PostgresCache[Any](conninfo, timeout=3) as cache:
        assert cache.get([KEY]) == {}
        cache.set({KEY: (1, None)})
        # Of the key whose write was dropped the server is not asked.
        assert asyncio.run(cache.aget([KEY])) == {}
        assert asyncio.run(cache.aget([OTHER])) == {}
        assert cache.stats().errors == 4


def test_connections_over_loopback_do_as_those_over_a_socket(server: PostgresServer) -> None:
    with PostgresCache[Any](server.tcp_url, on_error="raise", **PATIENT) as cache:
        assert_there(cache)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_backend_that_is_terminated_between_calls_costs_no_error(server: PostgresServer, face: str) -> None:
    with PostgresCache[Any](server.url, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        for number in range(5):
            for pid in backends(cache):
                ask(server.url, "SELECT pg_terminate_backend(%s, 5000)", pid)
            if face == "sync":
                cache.set({KEY: (number, None)})
            else:
                asyncio.run(_await(cache.aset({KEY: (number, None)})))
            assert cache.get([KEY]) == {KEY: number}


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_backend_that_is_terminated_amid_a_batch_leaves_all_of_it_or_nothing(
    server: PostgresServer, face: str
) -> None:
    """The batch waits for a row that somebody else holds, and its backend is terminated there."""
    with PostgresCache[Any](server.url, timeout=20) as cache:
        cache.set(dict.fromkeys(BATCH, ("old", None)))
        with psycopg.connect(server.url) as holder:
            holder.execute("SELECT FROM hitrate WHERE key = %s FOR UPDATE", [BATCH[-1][1].encode()])
            with ThreadPoolExecutor(1) as threads:
                batch = dict.fromkeys(BATCH, ("new", None))
                if face == "sync":
                    writing = threads.submit(cache.set, batch)
                else:
                    writing = threads.submit(asyncio.run, _await(cache.aset(batch)))
                waiting = eventually(lambda: ask(server.url, WAITING))
                assert cache.get(BATCH) == dict.fromkeys(BATCH, "old")
                ask(server.url, "SELECT pg_terminate_backend(%s, 5000)", waiting[0][0])
                eventually(lambda: ask(server.url, WAITING) not in ([], waiting))  # it was begun anew
                holder.rollback()
                writing.result()
        assert cache.get(BATCH) == dict.fromkeys(BATCH, "new")
        assert cache.stats().errors == 0
    assert_sound(server.url, "hitrate")


WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'WITH told%'"


def test_a_write_that_waits_for_a_lock_too_long_is_dropped_and_not_done_later(server: PostgresServer) -> None:
    timeout = 2.0
    with PostgresCache[Any](server.url, **PATIENT) as patient:
        patient.set(dict.fromkeys(BATCH, ("old", None)))
    with PostgresCache[Any](server.url, timeout=timeout) as cache:
        eventually(lambda: len(cache.get(BATCH)) == len(BATCH))  # it has a connection, and knows the tables
        before = cache._counters.errors
        with psycopg.connect(server.url) as holder:
            holder.execute("LOCK TABLE hitrate IN SHARE MODE")
            with within(timeout + SLACK):
                cache.set(dict.fromkeys(BATCH, ("new", None)))
            assert cache.get(BATCH) == {}  # not the old values in the place of those that were dropped
            # Its backend does not wait on: a server has only so many.
            eventually(lambda: ask(server.url, WAITING) == [])
        assert cache.get(BATCH) == {}
        assert cache._counters.errors == before + 1

        def writes() -> bool:
            cache.set({OTHER: ("new", None)})
            return not isinstance(cache._store, WithholdingStore)

        eventually(writes)  # it removes them for all
        with PostgresCache[Any](server.url, **PATIENT) as other:
            assert other.get([*BATCH, OTHER]) == {OTHER: "new"}


def test_a_server_that_takes_no_more_connections_is_a_miss(server: PostgresServer) -> None:
    ask(server.url, "CREATE ROLE few LOGIN SUPERUSER")
    ask(server.url, "ALTER ROLE few NOSUPERUSER CONNECTION LIMIT 1")
    ask(server.url, "GRANT ALL ON SCHEMA public TO few")
    url = server.url.replace("postgres@", "few@")
    try:
        with psycopg.connect(url) as connection, PostgresCache[Any](url, **PATIENT) as cache:
            assert cache.get([KEY]) == {}
            assert cache._counters.errors == 1
            connection.close()
            assert_there(cache)
    finally:
        ask(server.url, "DROP OWNED BY few CASCADE")
        ask(server.url, "DROP ROLE few")


def test_a_standby_is_left_for_the_server_that_takes_writes(server: PostgresServer) -> None:
    """The connection that answers "read-only" is closed, so that the next one finds the new primary."""
    with PostgresCache[Any](server.url, **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        ask(server.url, "ALTER DATABASE postgres SET default_transaction_read_only = on")
        for pid in backends(cache):
            ask(server.url, "SELECT pg_terminate_backend(%s, 5000)", pid)
        cache.set({KEY: ("new", None)})
        assert cache.get([KEY]) == {}  # not the value that was to be replaced
        errors = cache.stats().errors
        assert errors == 1
        with psycopg.connect(server.url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        cache.set({KEY: ("new", None)})
        assert cache.get([KEY]) == {KEY: "new"}
        assert cache.stats().errors == errors


def test_a_signal_amid_a_call_leaves_the_cache_whole(server: PostgresServer) -> None:
    def interrupt(number: int, frame: Any) -> None:
        if "hitrate" in frame.f_code.co_filename and frame.f_code.co_name != "__del__":
            raise KeyboardInterrupt
        signal.setitimer(signal.ITIMER_REAL, 0.0001)  # what is raised in a finalizer is lost

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with PostgresCache[Any](server.url, on_error="raise", **PATIENT) as cache:
            cache.set(dict.fromkeys(BATCH, (0, None)))
            for number in range(60):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0002 * (number % 12 + 1))
                    while True:
                        cache.set(dict.fromkeys(BATCH, (number, None)))
                        assert len(set(cache.get(BATCH).values())) == 1
                except KeyboardInterrupt:
                    pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert_there(cache)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_sound(server.url, "hitrate")
