"""Servers that are down, slow, full or locked: nothing hangs, nothing raises, nothing wrong is served."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest

from hitrate import RedisCache, StoreError
from hitrate.testing.faces import ASYNC, SYNC, Driver, Face
from servers.valkey import Server, wait_until

A, B = ((("outages",), name) for name in "ab")
TIMEOUT = 0.2
"""Of caches whose server hangs. One that is well may take longer while the machine is busy."""
PATIENCE = 15.0
"""Seconds after which a call is held to hang: many times ``TIMEOUT``, for machines that are busy."""


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
def face(request: pytest.FixtureRequest) -> Face:
    face: Face = request.param
    return face


@pytest.fixture
def open_cache(server: Server, face: Face) -> Iterator[Callable[..., Driver]]:
    """A function that opens a cache on the test's own server, driven through each face in turn.

    Its timeout is longer than a server that is well, or down, ever takes.
    """
    with ExitStack() as at_the_end:

        def open_it(url: str = server.url, **options: Any) -> Driver:
            cache = RedisCache[Any](url, **{"timeout": PATIENCE, "connect_timeout": PATIENCE, **options})
            at_the_end.callback(cache.close)
            return at_the_end.enter_context(face.open(cache))

        yield open_it


def works(cache: Driver) -> bool:
    cache.set({A: ("works", None)})
    return cache.get([A]) == {A: "works"}


def open_impatient(open_cache: Callable[..., Driver]) -> Driver:
    """Open a cache that waits no longer than ``TIMEOUT``, has a connection, and finds A and B."""
    open_cache().set({A: ("a", None), B: ("b", None)})
    cache = open_cache(timeout=TIMEOUT, connect_timeout=TIMEOUT)
    wait_until(lambda: cache.get([A, B]) == {A: "a", B: "b"}, "to find what was set")
    return cache


def in_time(call: Callable[[], Any]) -> Any:
    """Return what a call returns, which it must do in time."""
    began = time.monotonic()
    result = call()
    assert time.monotonic() - began < PATIENCE
    return result


def test_a_server_that_is_down_before_the_first_call(server: Server, open_cache: Callable[..., Driver]) -> None:
    server.stop()
    cache = open_cache()
    assert in_time(lambda: cache.get([A, B])) == {}
    in_time(lambda: cache.set({A: (1, None)}))
    in_time(lambda: cache.clear())
    assert in_time(lambda: cache.delete([A])) == 0
    assert cache.raw.stats().misses == 2
    assert cache.raw.stats().errors >= 4
    server.start()
    wait_until(lambda: works(cache), "to find the server again")


def test_a_server_that_is_started_anew_between_two_calls(server: Server, open_cache: Callable[..., Driver]) -> None:
    cache = open_cache()
    assert works(cache)
    server.stop()
    server.start()
    assert cache.get([A]) == {}
    assert works(cache)
    assert cache.raw.stats().errors == 0, "it could have connected anew"


def test_a_server_that_goes_and_comes_amid_traffic(server: Server, open_cache: Callable[..., Driver]) -> None:
    cache = open_cache()
    done = Event()

    def traffic(number: int) -> int:
        with (SYNC if number % 2 else ASYNC).open(cache.raw) as mine:
            rounds = 0
            while not done.is_set():
                key = (("traffic", str(number)), str(rounds % 50))
                mine.set({key: ([number, rounds], None)})
                for found in mine.get([key]).values():
                    assert found == [number, rounds]
                rounds += 1
        return rounds

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(traffic, number) for number in range(4)]
        try:
            for _ in range(3):
                sets = cache.raw.stats().hits
                wait_until(lambda: cache.raw.stats().hits > sets + 50, "to be in full traffic")  # noqa: B023
                server.stop()
                wait_until(lambda: cache.raw.stats().breaker != "closed", "to see that the server is gone")
                server.start()
                wait_until(lambda: cache.raw.stats().breaker == "closed", "to find the server again")
        finally:
            done.set()
        assert all(each.result() for each in running)
    assert works(cache)


def test_a_server_that_hangs_costs_its_timeout_and_then_nothing(
    server: Server, open_cache: Callable[..., Driver]
) -> None:
    cache = open_impatient(open_cache)
    server.pause()
    try:
        for _ in range(5):
            assert in_time(lambda: cache.get([A])) == {}
            in_time(lambda: cache.set({A: ("new", None)}))
        assert cache.raw.stats().breaker == "open"
        began = time.monotonic()
        for _ in range(100):
            assert cache.get([A]) == {}
        assert time.monotonic() - began < 100 * TIMEOUT / 2, "calls still wait for the server"
    finally:
        server.resume()
    wait_until(lambda: cache.get([B]) == {B: "b"}, "to find the server again")
    found = wait_until(lambda: cache.get([A, B]), "to answer in time")
    assert found[B] == "b", "a late reply was taken for another's"


def test_many_tasks_on_a_server_that_hangs_wait_for_one_timeout(
    server: Server, open_cache: Callable[..., Driver]
) -> None:
    cache = open_impatient(open_cache).raw

    async def main() -> list[Any]:
        async with asyncio.timeout(60):
            while await cache.aget([A]) != {A: "a"}:  # until this loop has a connection
                pass
        server.pause()
        try:
            return await asyncio.gather(*(cache.aget([A]) for _ in range(200)))
        finally:
            server.resume()

    assert in_time(lambda: asyncio.run(main())) == [{}] * 200


def test_one_line_is_logged_when_the_circuit_opens_and_one_when_it_closes(
    server: Server, open_cache: Callable[..., Driver], caplog: pytest.LogCaptureFixture
) -> None:
    cache = open_cache()
    with caplog.at_level(logging.INFO, "hitrate"):
        server.stop()
        for _ in range(50):
            cache.get([A])
            cache.set({A: (1, None)})
        server.start()
        wait_until(lambda: works(cache), "to find the server again")
        for _ in range(50):
            assert works(cache)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("failures in a row" in line for line in lines) == 1
    assert sum("answers again" in line for line in lines) == 1
    assert len(lines) <= 4, "a flood of lines"


def test_on_error_raise_raises_what_the_server_does(server: Server, open_cache: Callable[..., Driver]) -> None:
    cache = open_cache(on_error="raise")
    assert works(cache)
    server.stop()
    for _ in range(10):  # with an open circuit too
        with pytest.raises(StoreError, match=str(server.port)):
            cache.get([A])
        with pytest.raises(StoreError, match=str(server.port)):
            cache.set({A: (1, None)})
        with pytest.raises(StoreError):
            cache.clear()


def test_a_full_server_drops_writes_and_what_they_were_to_replace(
    server: Server, open_cache: Callable[..., Driver]
) -> None:
    cache = open_cache()
    kept = (("other",), "kept")
    cache.set({A: ("old", None), kept: ("old", None)})
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        cache.set({A: ("new", None), B: ("new", None)})
        cache.set({B: ("new", 60), (("other",), "key"): ("new", None)})
        assert cache.get([A, B, kept]) == {kept: "old"}
        assert cache.raw.stats().errors == 2
        assert cache.raw.stats().breaker == "closed"
        assert cache.delete([kept]) == 1
        cache.clear()
        client.config_set("maxmemory", "0")
    assert works(cache)


def test_connections_that_are_reset_are_replaced(server: Server, open_cache: Callable[..., Driver]) -> None:
    cache = open_cache()
    with server.client() as client:
        for number in range(20):
            cache.set({A: (number, None)})
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert cache.get([A]) == {A: number}
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert cache.delete([A]) == 1
    assert cache.raw.stats().errors == 0


def test_connections_that_are_reset_amid_traffic(server: Server, open_cache: Callable[..., Driver]) -> None:
    cache = open_cache().raw

    async def main() -> None:
        done = asyncio.Event()

        async def task(number: int) -> None:
            key = (("reset",), str(number))
            for step in range(30):
                await cache.aset({key: ([number, step], None)})
                found = await cache.aget([key])
                assert found in ({}, {key: [number, step]})

        async def resetting() -> None:
            with server.client() as client:
                while not done.is_set():
                    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    await asyncio.sleep(0)

        resets = asyncio.create_task(resetting())
        await asyncio.gather(*(task(number) for number in range(50)))
        done.set()
        await resets

    asyncio.run(main())
    with SYNC.open(cache) as again:
        wait_until(lambda: works(again), "to be well again")


@pytest.mark.parametrize("url", ["redis://:wrong@{}", "redis://{}"])
def test_a_wrong_password_is_a_miss_and_told(
    server: Server, open_cache: Callable[..., Driver], caplog: pytest.LogCaptureFixture, url: str
) -> None:
    with server.client() as client:
        client.config_set("requirepass", "right")
    address = f"127.0.0.1:{server.port}"
    cache = open_cache(url.format(address))
    assert in_time(lambda: cache.get([A])) == {}
    in_time(lambda: cache.set({A: (1, None)}))
    assert any(
        word in record.getMessage() for record in caplog.records for word in ("WRONGPASS", "NOAUTH", "invalid", "Auth")
    )
    assert "wrong@" not in caplog.text
    assert works(open_cache(f"redis://:right@{address}"))
