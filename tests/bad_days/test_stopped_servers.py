"""A server that hangs for a while: no call takes longer than its timeout, and an open breaker answers at once.

How long the machine itself kept this process waiting is told by a thread that ticks, and is no fault of a call: a call
that waits for its timeout twice is one.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from hitrate import PostgresCache, RedisCache
from servers import postgres, valkey

KEY = (("stopped",), "key")
TIMEOUT = 0.5
SLACK = 0.3
"""Seconds that a call may take beyond its timeout and what the machine kept the process waiting for."""

TICK = 0.005
LATE = 0.02
"""Seconds that a tick may come late before it counts as time that the machine took."""

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


class Ticks:
    """A thread that notes for how long the machine, or another thread, kept it from going on."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._gaps: list[tuple[float, float]] = []  # when it went on, and how long after it was to
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> Ticks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _tick(self) -> None:
        while True:
            due = time.monotonic() + TICK
            if self._over.wait(TICK):
                return
            now = time.monotonic()
            self._gaps.append((now, now - due))

    def kept_waiting(self, began: float, ended: float) -> float:
        """Return the seconds that were lost between two moments."""
        return sum(gap for at, gap in list(self._gaps) if gap > LATE and began <= at <= ended + gap)


class Callers:
    """Threads, and tasks of a loop, that ask a cache again and again.

    Attributes:
        took: when each call began and ended, in the order in which they ended.
        hits: how many calls found the key.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._over = threading.Event()
        self.took: list[tuple[float, float]] = []
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
            self.took.append((began, time.monotonic()))
            self.hits += bool(found)
            began = time.monotonic()
            self._cache.set({KEY: (1, None)})
            self.took.append((began, time.monotonic()))

    async def _acall(self) -> None:
        async def task() -> None:
            while not self._over.is_set():
                began = time.monotonic()
                found = await self._cache.aget([KEY])
                self.took.append((began, time.monotonic()))
                self.hits += bool(found)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(task() for _ in range(8)))

    def until(self, holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.001)  # between two looks at other threads


def assert_none_was_late(took: Sequence[tuple[float, float]], ticks: Ticks) -> None:
    late = [ended - began - ticks.kept_waiting(began, ended) for began, ended in took if ended - began > TIMEOUT]
    assert max(late, default=0.0) < TIMEOUT + SLACK


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected yet"])
def test_no_call_takes_longer_than_its_timeout(server: Any, cache: Any, connected: bool) -> None:
    if connected:
        cache.set({KEY: (1, None)})
    server.pause()
    try:
        with Ticks() as ticks, Callers(cache) as callers:
            callers.until(lambda: cache.stats().breaker == "open")
            opened = len(callers.took)
            callers.until(lambda: len(callers.took) > opened + 2000)
            while_open = [ended - began for began, ended in callers.took[opened:]]
            server.resume()
            hits = callers.hits
            callers.until(lambda: callers.hits > hits + 200)
    finally:
        server.resume()
    assert statistics.median(while_open) < 0.001
    assert_none_was_late(callers.took, ticks)
    assert cache.stats().breaker == "closed"


CALLS: dict[str, Callable[[Any], Any]] = {
    "set": lambda cache: cache.set({KEY: (1, None)}),
    "set with a TTL": lambda cache: cache.set({KEY: (1, 60)}),
    "delete": lambda cache: cache.delete([KEY]),
    "clear": lambda cache: cache.clear([KEY[0]]),
    "clear_under": lambda cache: cache.clear_under(KEY[0]),
    "stats": lambda cache: cache.stats(),
    "many": lambda cache: cache.set({(KEY[0], str(number)): ("x" * 20_000, None) for number in range(300)}),
}


@pytest.mark.parametrize("second", CALLS)
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected yet"])
def test_a_call_after_a_write_that_failed_waits_once(server: Any, cache: Any, connected: bool, second: str) -> None:
    """What the write left to be removed is asked of the server before the next call, in that call's time."""
    if connected:
        cache.set({KEY: (1, None)})
    took = []
    server.pause()
    try:
        with Ticks() as ticks:
            for call in (CALLS["set"], CALLS[second]):  # fewer than open the circuit breaker
                began = time.monotonic()
                call(cache)
                took.append((began, time.monotonic()))
    finally:
        server.resume()
    assert cache.stats().errors >= 2
    assert_none_was_late(took, ticks)


def test_awaited_calls_that_queue_wait_once(server: Any, cache: Any) -> None:
    """Each has its time from when it was made, whatever else the loop asks the server for before it."""
    took = []

    async def timed(call: Callable[[], Any], after: float) -> None:
        await asyncio.sleep(after)
        began = time.monotonic()
        await call()
        took.append((began, time.monotonic()))

    async def main() -> None:
        await cache.aset({KEY: (1, None)})
        calls = [lambda: cache.aset({KEY: (2, None)}), lambda: cache.aget([KEY]), lambda: cache.adelete([KEY])]
        server.pause()
        try:
            await asyncio.gather(*(timed(call, 0.05 * place) for place, call in enumerate(calls * 3)))
        finally:
            server.resume()

    with Ticks() as ticks:
        asyncio.run(main())
    assert len(took) == 9
    assert_none_was_late(took, ticks)


def test_a_loop_that_its_program_blocks_loses_no_answer(server: Any) -> None:
    """For longer than a call may take nobody was there to take the answers in; the server had given them in time.

    They take several reads and fit into the buffers of a TCP or unix socket: of larger ones the server can give the
    rest only when the loop goes on.
    """
    size = 2_000 if isinstance(server, valkey.Server) else 300
    pairs = {(("blocked",), str(number)): ("x" * size, None) for number in range(300)}
    timeout = 2.0  # so that the quarter of it that calls have then is enough on a busy machine
    kind: Any = RedisCache if isinstance(server, valkey.Server) else PostgresCache

    with kind(server.url, timeout=DEADLINE) as filling:
        filling.set(pairs)

    with kind(server.url, timeout=timeout) as cache:

        async def main() -> list[Any]:
            while not await cache.aget([next(iter(pairs))]):  # until it has a connection
                pass
            reads = [asyncio.ensure_future(cache.aget([key])) for key in pairs]
            for _ in range(3):
                await asyncio.sleep(0)  # the loop sends them
            time.sleep(1.5 * timeout)  # noqa: ASYNC251 - the program's own work
            return await asyncio.gather(*reads)

        assert asyncio.run(main()) == [{key: value} for key, (value, _) in pairs.items()]
        assert cache.stats().errors == 0
