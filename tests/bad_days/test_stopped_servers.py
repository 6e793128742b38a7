"""A server that hangs for a while: no call takes longer than its timeout, and an open breaker answers at once."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.servers import postgres, valkey

from hitrate import PostgresCache, RedisCache

KEY = (("stopped",), "key")
TIMEOUT = 0.5
SLACK = 0.5
"""Seconds that a machine with other things to do may let a thread wait after its timeout."""

DEADLINE = 30.0


@pytest.fixture(scope="module", params=["Redis", "PostgreSQL"])
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    server: Any = valkey.Server().start() if request.param == "Redis" else postgres.PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def cache(server: Any) -> Iterator[Any]:
    kind: Any = RedisCache if isinstance(server, valkey.Server) else PostgresCache
    with kind(server.url, timeout=TIMEOUT) as cache:
        yield cache


class Callers:
    """Threads, and tasks of a loop, that ask a cache again and again.

    Attributes:
        took: the seconds of each call, in the order in which they ended.
        hits: how many calls found the key.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._over = threading.Event()
        self.took: list[float] = []
        self.hits = 0
        self._threads = [threading.Thread(target=self._call) for _ in range(8)]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._acall())))

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._over.wait(0.001):
            began = time.monotonic()
            found = self._cache.get([KEY])
            self.took.append(time.monotonic() - began)
            self.hits += bool(found)
            began = time.monotonic()
            self._cache.set({KEY: (1, None)})
            self.took.append(time.monotonic() - began)

    async def _acall(self) -> None:
        async def task() -> None:
            while not self._over.is_set():
                began = time.monotonic()
                found = await self._cache.aget([KEY])
                self.took.append(time.monotonic() - began)
                self.hits += bool(found)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(task() for _ in range(8)))

    def until(self, holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.001)  # between two looks at other threads


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected yet"])
def test_no_call_takes_longer_than_its_timeout(server: Any, cache: Any, connected: bool) -> None:
    if connected:
        cache.set({KEY: (1, None)})
    server.pause()
    try:
        with Callers(cache) as callers:
            callers.until(lambda: cache.stats().breaker == "open")
            opened = len(callers.took)
            callers.until(lambda: len(callers.took) > opened + 2000)
            while_open = callers.took[opened:]
            server.resume()
            hits = callers.hits
            callers.until(lambda: callers.hits > hits + 200)
    finally:
        server.resume()
    assert statistics.median(while_open) < 0.001
    assert max(callers.took) < TIMEOUT + SLACK
    assert cache.stats().breaker == "closed"
