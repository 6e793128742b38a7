"""The async face: what is pending goes together, nothing blocks the loop, a cancelled await leaves everything whole."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from postgres_children import BATCH
from postgres_days import KEY, OTHER, assert_sound, backends
from psycopg_pool import AsyncConnectionPool

from hitrate import PostgresCache
from servers.shared import PATIENT


def test_reads_of_one_turn_of_the_loop_are_one_statement(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        keys = [(("n",), str(number)) for number in range(100)]
        cache.set({key: (key[1], None) for key in keys})
        exchanges = count_exchanges(cache)

        async def main() -> list[dict[Any, Any]]:
            return await asyncio.gather(*(cache.aget([key]) for key in keys))

        assert asyncio.run(main()) == [{key: key[1]} for key in keys]
        assert len(exchanges) == 1


def test_writes_of_one_turn_of_the_loop_are_one_statement(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        keys = [(("n",), str(number)) for number in range(100)]
        cache.set({keys[0]: ("makes the namespace", None)})
        exchanges = count_exchanges(cache)

        async def main() -> None:
            await asyncio.gather(*(cache.aset({key: (key[1], None)}) for key in keys))

        asyncio.run(main())
        assert len(exchanges) == 1
        assert cache.get(keys) == {key: key[1] for key in keys}


def count_exchanges(cache: PostgresCache[Any]) -> list[Any]:
    """Return a list that grows with each round trip on the one connection that the cache has open."""
    exchanges: list[Any] = []
    own = cache._store._connections.own  # type: ignore[attr-defined]
    (link,) = own._idle

    class Counting(type(link)):  # type: ignore[misc]
        def exchange(self, calls: Any, *, prepare: bool) -> Any:
            exchanges.append(calls)
            return super().exchange(calls, prepare=prepare)

    counting = Counting(link.connection)
    counting.prepared = link.prepared
    own._idle[:] = [counting]
    own._links.discard(link)
    own._links.add(counting)
    return exchanges


def test_writes_of_one_turn_are_done_in_their_order(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:

        async def main() -> list[Any]:
            return await asyncio.gather(
                cache.aset({KEY: (1, None), OTHER: (1, None)}),
                cache.adelete([KEY]),
                cache.aset({KEY: (2, None)}),
                cache.adelete([OTHER, (("n",), "unknown")]),
                cache.adelete([OTHER]),
                cache.aset({OTHER: (3, None)}),
                cache.aclear([("another",)]),
                cache.aset({KEY: (4, None)}),
            )

        for _ in range(3):
            assert asyncio.run(main()) == [None, 1, None, 1, 0, None, None, None]
            assert cache.get([KEY, OTHER]) == {KEY: 4, OTHER: 3}


def test_two_hundred_tasks_at_once(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:

        async def task(number: int) -> None:
            rng = random.Random(number)
            key = (("tasks",), str(number))
            for step in range(10):
                await cache.aset({key: ([number, step], None)})
                assert await cache.aget([key]) == {key: [number, step]}
                if rng.random() < 0.3:
                    await cache.aset(dict.fromkeys(BATCH, ((number, step), None)))
                assert len(set((await cache.aget(BATCH)).values())) <= 1

        async def tasks() -> None:
            await asyncio.gather(*map(task, range(200)))

        asyncio.run(tasks())
        assert len(backends(cache)) <= 6, "more connections than the lanes of one loop need"
        assert cache.stats().errors == 0
    assert_sound(postgres_url, table)


def test_a_large_read_and_write_let_the_loop_serve_others(postgres_url: str, table: str) -> None:
    keys = [((f"n{number % 3}",), str(number)) for number in range(30_000)]
    with PostgresCache[Any](postgres_url, table=table, timeout=60, on_error="raise") as cache:

        async def main() -> int:
            turns = 0
            await cache.aset({key: (key[1], None) for key in keys})
            reading = asyncio.ensure_future(cache.aget(keys))
            while not reading.done():
                await asyncio.sleep(0)
                turns += 1
            assert len(await reading) == len(keys)
            return turns

        assert asyncio.run(main()) > 100


# Cancelled awaits


@pytest.fixture(params=["conninfo", "apool"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_thousands_of_cancelled_awaits_leave_everything_whole(postgres_url: str, table: str, kind: str) -> None:
    rng = random.Random(5)
    complaints: list[Any] = []
    outcomes: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        async with AsyncConnectionPool(postgres_url, min_size=1, max_size=3, open=False) as apool:
            given: Any = postgres_url if kind == "conninfo" else apool
            async with PostgresCache[Any](given, table=table, timeout=20, on_error="raise") as cache:
                await use(cache)
                if kind == "apool":
                    assert apool.get_stats().get("returns_bad", 0) == 0
                    async with asyncio.timeout(20):  # the last connection is given back a moment after its answer
                        while apool.get_stats()["pool_available"] != apool.get_stats()["pool_size"]:  # noqa: ASYNC110
                            await asyncio.sleep(0.005)

    async def use(cache: PostgresCache[Any]) -> None:
        for number in range(2000):
            call = rng.choice(
                [
                    lambda number=number: cache.aset(dict.fromkeys(BATCH, (number, None))),
                    lambda number=number: cache.aset({(("n",), str(number % 50)): (number, rng.choice([None, 60]))}),
                    lambda: cache.aget([*BATCH, KEY]),
                    lambda number=number: cache.adelete([(("n",), str(number % 50))]),
                    lambda: cache.aclear([("nothing there",)]),
                    lambda: cache.aclear([BATCH[0][0]]),
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
        await cache.adelete([KEY])  # comes after the writes that nobody waits for any more
        assert len(set((await cache.aget(BATCH)).values())) <= 1
        await cache.aset(dict.fromkeys(BATCH, (-1, None)))
        assert await cache.aget(BATCH) == dict.fromkeys(BATCH, -1)
        assert cache.stats().errors == 0

    asyncio.run(main())
    assert complaints == []
    assert {type(each) for each in outcomes if isinstance(each, BaseException)} == {asyncio.CancelledError}
    assert_sound(postgres_url, table)


def test_a_timeout_around_a_call_leaves_the_cache_whole(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:

        async def main() -> None:
            for number in range(200):
                try:
                    async with asyncio.timeout(0.0001 * (number % 9)):
                        await cache.aset(dict.fromkeys(BATCH, (number, None)))
                        await cache.aget(BATCH)
                except TimeoutError:
                    pass

        asyncio.run(main())
        asyncio.run(cache.adelete([KEY]))
        assert len(set(cache.get(BATCH).values())) <= 1
        cache.set(dict.fromkeys(BATCH, (-1, None)))
        assert cache.get(BATCH) == dict.fromkeys(BATCH, -1)
    assert_sound(postgres_url, table)


def test_a_loop_that_ends_with_calls_under_way_leaves_the_cache_whole(postgres_url: str, table: str) -> None:
    """Its connection is closed, and its place is free for another; the server does the batch, or none of it."""
    with PostgresCache[Any](postgres_url, table=table, timeout=20, max_connections=3, on_error="raise") as cache:
        cache.set(dict.fromkeys(BATCH, ("first", None)))
        abandoned: list[Any] = []
        for number in range(20):

            async def main(number: int = number) -> None:
                calls = [cache.aset(dict.fromkeys(BATCH, (number, None))) for _ in range(5)]
                calls += [cache.aget(BATCH) for _ in range(5)]
                abandoned.extend(map(asyncio.ensure_future, calls))
                for _ in range(number % 7):
                    await asyncio.sleep(0)

            asyncio.run(main())
            assert len(set(cache.get(BATCH).values())) <= 1
        cache.set(dict.fromkeys(BATCH, (-1, None)))
        assert asyncio.run(cache.aget(BATCH)) == dict.fromkeys(BATCH, -1)
    assert_sound(postgres_url, table)


def test_two_loops_in_two_threads_and_a_thread_without_one_at_once(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:
        ready = Barrier(3)
        done = threading.Event()

        async def use(thread: int) -> None:
            ready.wait()
            for number in range(100):
                own = (("own",), f"{thread}.{number}")
                await asyncio.gather(
                    cache.aset({own: ([number], None)}),
                    cache.aset(dict.fromkeys(BATCH, (1000 * thread + number, None))),
                )
                assert await cache.aget([own]) == {own: [number]}
                assert len(set((await cache.aget(BATCH)).values())) == 1

        def read() -> None:
            ready.wait()
            while not done.is_set():
                assert len(set(cache.get(BATCH).values())) <= 1

        with ThreadPoolExecutor(3) as threads:
            reading = threads.submit(read)
            for each in [threads.submit(asyncio.run, use(thread)) for thread in range(2)]:
                each.result()
            done.set()
            reading.result()
    assert_sound(postgres_url, table)


def test_close_with_calls_under_way_leaves_everything_whole(postgres_url: str, table: str) -> None:
    for _ in range(10):
        cache = PostgresCache[Any](postgres_url, table=table, timeout=20)

        async def main(cache: PostgresCache[Any] = cache) -> None:
            calls = [asyncio.ensure_future(cache.aset(dict.fromkeys(BATCH, (number, None)))) for number in range(20)]
            calls += [asyncio.ensure_future(cache.aget(BATCH)) for _ in range(20)]
            await asyncio.sleep(0)
            await cache.aclose()
            await asyncio.gather(*calls, return_exceptions=True)

        asyncio.run(main())
        assert backends(cache) == []
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
        assert len(set(cache.get(BATCH).values())) <= 1
    assert_sound(postgres_url, table)
