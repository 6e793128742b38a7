"""Awaits that are cancelled, loops that are closed too early, two loops at once: the cache stays whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from bad_day_children import MEMBERS
from bad_day_files import assert_sound, key

from hitrate import InMemoryCache, SqliteCache

MAKERS: dict[str, Callable[[Path], Any]] = {
    "file": lambda path: SqliteCache(path=path, on_error="raise"),
    ":memory:": lambda path: SqliteCache(path=":memory:", on_error="raise"),
    "memory": lambda path: InMemoryCache(on_error="raise"),
}


@pytest.fixture(params=MAKERS)
def cache(request: pytest.FixtureRequest, path: Path) -> Any:
    with MAKERS[request.param](path) as cache:
        yield cache
    if request.param == "file":
        assert_sound(path)


def batch(number: int) -> dict[Any, Any]:
    return dict.fromkeys(MEMBERS, (number, None))


def assert_whole(cache: Any) -> None:
    """Check that no batch is half there and that everything works."""
    asyncio.run(cache.adelete([key("nothing")]))  # comes after the writes that nobody waits for any more
    assert len(set(cache.get(MEMBERS).values())) <= 1
    cache.set(batch(-1))
    assert cache.get(MEMBERS) == dict.fromkeys(MEMBERS, -1)
    assert asyncio.run(cache.aget(MEMBERS)) == dict.fromkeys(MEMBERS, -1)
    assert asyncio.run(cache.adelete(MEMBERS)) == len(MEMBERS)
    assert cache.stats().errors == 0


def test_thousands_of_cancelled_awaits_leave_the_cache_whole(cache: Any) -> None:
    rng = random.Random(5)
    complaints: list[Any] = []
    outcomes: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        for number in range(4000):
            call = rng.choice(
                [
                    lambda number=number: cache.aset(batch(number)),
                    lambda number=number: cache.aset({key(number % 50): (number, rng.choice([None, 60]))}),
                    lambda: cache.aget([*MEMBERS, key(3)]),
                    lambda number=number: cache.adelete([key(number % 50)]),
                    lambda: cache.aclear([("nothing there",)]),
                    lambda: cache.aclear([MEMBERS[0][0]]),
                ]
            )
            task = asyncio.ensure_future(call())
            for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 8])):
                await asyncio.sleep(0)
            if rng.random() < 0.05:
                await asyncio.sleep(0.0005)
            task.cancel()
            if rng.random() < 0.9:
                outcomes.append((await asyncio.gather(task, return_exceptions=True))[0])
        await asyncio.sleep(0.01)
        found = await cache.aget(MEMBERS)
        assert len(set(found.values())) <= 1

    asyncio.run(main())
    assert complaints == []
    kinds = {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)}
    assert kinds <= {asyncio.CancelledError}
    assert isinstance(cache, InMemoryCache) or kinds
    assert_whole(cache)


def test_a_write_whose_wait_is_cancelled_is_done_or_not_but_never_half(cache: Any) -> None:
    async def main() -> None:
        for number in range(300):
            task = asyncio.ensure_future(cache.aset(batch(number)))
            await asyncio.sleep(0)
            task.cancel()
            found = await cache.aget(MEMBERS)
            assert len(set(found.values())) <= 1
            assert len(found) in (0, len(MEMBERS))

    asyncio.run(main())
    assert_whole(cache)


def test_a_timeout_around_a_call_leaves_the_cache_whole(cache: Any) -> None:
    async def main() -> None:
        for number in range(200):
            try:
                async with asyncio.timeout(0.0001 * (number % 5)):
                    await cache.aset(batch(number))
                    await cache.aget(MEMBERS)
            except TimeoutError:
                pass

    asyncio.run(main())
    assert_whole(cache)


def test_a_loop_closed_with_calls_pending_leaves_the_cache_whole(cache: Any) -> None:
    for number in range(20):
        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(cache.aset(batch(100 * number + each))) for each in range(20)]
        tasks += [loop.create_task(cache.aget(MEMBERS)) for _ in range(20)]
        loop.run_until_complete(asyncio.sleep(0))
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
        assert len(set(cache.get(MEMBERS).values())) <= 1
    assert_whole(cache)


def test_a_loop_closed_before_its_calls_are_done_does_not_stop_those_of_others(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        for number in range(20):
            abandoned = asyncio.new_event_loop()
            awaitables = [cache.aset(batch(number)) for _ in range(10)]
            for awaitable in awaitables:
                abandoned.run_until_complete(start(awaitable))
            abandoned.close()
            assert len(set(asyncio.run(cache.aget(MEMBERS)).values())) <= 1
            for awaitable in awaitables:
                awaitable.close()
        assert_whole(cache)


async def start(awaitable: Any) -> None:
    """Run a coroutine up to where it first waits."""
    awaitable.send(None)


def test_two_loops_in_two_threads_at_once(cache: Any) -> None:
    ready = Barrier(2)

    async def use(thread: int) -> None:
        ready.wait()
        rng = random.Random(thread)
        for number in range(150):
            own = key(f"{thread}.{number}")
            doomed = asyncio.ensure_future(cache.aset(batch(number)))
            await asyncio.gather(cache.aset({own: ([number], None)}), cache.aset(batch(1000 * thread + number)))
            if rng.random() < 0.5:
                doomed.cancel()
            assert await cache.aget([own]) == {own: [number]}
            assert len(set((await cache.aget(MEMBERS)).values())) == 1
            await asyncio.gather(doomed, return_exceptions=True)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(asyncio.run, use(thread)) for thread in range(2)]:
            done.result()
    assert_whole(cache)
