"""Eight processes, two hundred tasks, forks under load and awaits that are cancelled: the cache stays whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import redis_children

from hitrate import ClosedError, RedisCache
from hitrate.testing.forking import in_child
from servers.processes import forked
from servers.shared import PATIENT

MEMBERS = redis_children.MEMBERS


@pytest.fixture
def prefix(new_prefix: Callable[[], str]) -> str:
    return new_prefix()


@pytest.fixture
def cache(redis_url: str, prefix: str) -> Iterator[RedisCache[Any]]:
    with RedisCache[Any](redis_url, prefix=prefix, on_error="raise", **PATIENT) as cache:
        yield cache


def test_eight_processes_with_two_hundred_tasks_each(redis_url: str, prefix: str, cache: RedisCache[Any]) -> None:
    with ProcessPoolExecutor(8, mp_context=forked()) as processes:
        running = [processes.submit(redis_children.work, redis_url, prefix, number) for number in range(8)]
        told = [each.result(120) for each in running]
    assert told == [{"mixed": 0, "halves": 0, "lost": 0, "errors": 0}] * 8
    own = [((f"own {number}",), f"0.{step}") for number in range(8) for step in range(60)]
    assert len(cache.get(own)) == len(own)


def test_thousands_of_cancelled_awaits_leave_the_cache_whole(cache: RedisCache[Any]) -> None:
    rng = random.Random(5)
    complaints: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        for number in range(2000):
            call = rng.choice(
                [
                    lambda number=number: cache.aset(dict.fromkeys(MEMBERS, (number, None))),
                    lambda number=number: cache.aset({((), str(number % 50)): (number, rng.choice([None, 60]))}),
                    lambda: cache.aget(MEMBERS),
                    lambda: cache.adelete([((), str(number % 50))]),  # noqa: B023
                    lambda: cache.aclear([("nobody's",)]),
                ]
            )
            task = asyncio.ensure_future(call())
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            if rng.random() < 0.7:
                task.cancel()
            if rng.random() < 0.3:
                await asyncio.gather(task, return_exceptions=True)
        await cache.adelete([((), "nothing")])  # comes after all that nobody waits for any more

    asyncio.run(main())
    assert complaints == []
    assert len(set(cache.get(MEMBERS).values())) <= 1
    cache.set(dict.fromkeys(MEMBERS, ("after", None)))
    assert asyncio.run(cache.aget(MEMBERS)) == dict.fromkeys(MEMBERS, "after")
    assert cache.stats().errors == 0


def test_a_loop_that_is_closed_amid_its_calls_leaves_others_alone(cache: RedisCache[Any]) -> None:
    cache.set({MEMBERS[0]: ("value", None)})

    async def leave() -> None:
        for _ in range(20):
            asyncio.ensure_future(cache.aget(MEMBERS))  # noqa: RUF006 - nobody waits for it
            asyncio.ensure_future(cache.aset({MEMBERS[0]: ("value", None)}))  # noqa: RUF006
        await asyncio.sleep(0)

    for _ in range(10):
        asyncio.run(leave())
        assert asyncio.run(cache.aget(MEMBERS[:1])) == {MEMBERS[0]: "value"}
    assert cache.get(MEMBERS[:1]) == {MEMBERS[0]: "value"}


def test_closing_while_loops_and_threads_use_it_raises_nothing_else(redis_url: str, prefix: str) -> None:
    cache = RedisCache[Any](redis_url, prefix=prefix, **PATIENT)
    started = Event()

    def use_for_ever() -> None:
        while True:
            cache.set({MEMBERS[0]: ("value", None)})
            cache.get(MEMBERS)
            started.set()

    async def use_for_ever_as_a_task() -> None:
        while True:
            await cache.aset({MEMBERS[1]: ("value", None)})
            await cache.aget(MEMBERS)

    def sync() -> None:
        with pytest.raises(ClosedError):
            use_for_ever()

    def tasks() -> None:
        async def task() -> None:
            with pytest.raises(ClosedError):
                await use_for_ever_as_a_task()

        async def main() -> None:
            await asyncio.gather(*(task() for _ in range(20)))

        asyncio.run(main())

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(sync), threads.submit(sync), threads.submit(tasks), threads.submit(tasks)]
        assert started.wait(20)
        cache.close()
        for each in running:
            each.result(20)


def test_a_forked_child_leaves_the_parents_connections_alone(cache: RedisCache[Any]) -> None:
    async def parent() -> None:
        await cache.aset({MEMBERS[0]: ("parent", None)})
        pending = [asyncio.ensure_future(cache.aget(MEMBERS[:1])) for _ in range(20)]
        await asyncio.sleep(0)
        in_child(child)
        assert await asyncio.gather(*pending) == [{MEMBERS[0]: "parent"}] * 20
        assert await cache.aget(MEMBERS[:1]) == {MEMBERS[0]: "parent"}

    def child() -> None:
        # The loop of the parent counts as running here; the child's own is on a thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, use()).result()
        assert cache.get(MEMBERS[1:2]) == {MEMBERS[1]: "child"}

    async def use() -> None:
        assert await cache.aget(MEMBERS[:1]) == {MEMBERS[0]: "parent"}
        await cache.aset({MEMBERS[1]: ("child", None)})

    asyncio.run(parent())
    assert cache.get(MEMBERS[:2]) == {MEMBERS[0]: "parent", MEMBERS[1]: "child"}
