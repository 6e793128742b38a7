"""Many threads, many event loops, many tasks, and awaits that are cancelled."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from threading import Barrier
from typing import Any

from hitrate.base import FullKey
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Driver, Face

THREADS = 8
KEYS: list[FullKey] = [((f"n{number % 3}",), str(number)) for number in range(12)]
A, B = KEYS[:2]


class ContextValue:
    """What a run holds in a context variable."""


HELD: ContextVar[ContextValue] = ContextVar("HELD")


class AtOnce(Fixtures):
    """Threads, event loops and tasks"""

    def test_many_threads_use_one_cache(self, new_cache: MakeCache, face: Face) -> None:
        """Many threads, each with an event loop of its own, use one cache: values are never mixed up."""
        raw = new_cache()
        start = Barrier(THREADS)

        def work(seed: int) -> None:
            with face.open(raw) as cache:
                start.wait()
                hammer(cache, random.Random(seed))

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(work, range(THREADS)))

    def test_threads_see_what_others_have_set(self, new_cache: MakeCache, face: Face) -> None:
        """What a thread has set, every other thread gets."""
        raw = new_cache()

        def write(number: int) -> None:
            with face.open(raw) as cache:
                cache.set({(("threads",), str(number)): ([number], None)})

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(write, range(50)))
        keys: list[FullKey] = [(("threads",), str(number)) for number in range(50)]
        with face.open(raw) as cache:
            assert cache.get(keys) == {key: [number] for number, key in enumerate(keys)}

    def test_event_loops_in_sequence(self, new_cache: MakeCache) -> None:
        """One cache serves event loops that come one after another."""
        cache = new_cache()
        for number in range(5):
            asyncio.run(cache_call(cache.aset, {KEYS[number]: (number, None)}))
        found = asyncio.run(cache_call(cache.aget, KEYS[:5]))
        assert found == {KEYS[number]: number for number in range(5)}

    def test_two_hundred_tasks_at_once(self, new_cache: MakeCache) -> None:
        """200 tasks at once each get what they have set."""
        cache = new_cache()

        async def task(number: int) -> bool:
            key = (("tasks",), str(number))
            await cache.aset({key: ([number], None)})
            return bool(await cache.aget([key]) == {key: [number]})

        async def tasks() -> list[bool]:
            return await asyncio.gather(*map(task, range(200)))

        assert all(asyncio.run(tasks())), "a task did not get what it had set"

    def test_two_hundred_reads_at_once(self, new_cache: MakeCache) -> None:
        """200 reads at once return what one read returns."""
        cache = new_cache()
        cache.set({key: (list(key[0]), None) for key in KEYS})

        async def reads() -> list[Any]:
            return await asyncio.gather(*(cache.aget(KEYS) for _ in range(200)))

        for found in asyncio.run(reads()):
            assert found == {key: list(key[0]) for key in KEYS}

    def test_a_cancelled_await_leaves_the_cache_whole(self, new_cache: MakeCache) -> None:
        """Cancelling an await leaves the cache whole: a batch is stored or not, and the cache goes on."""
        cache = new_cache()
        cache.set({A: (0, None), B: (0, None)})

        async def cancel_after(steps: int) -> None:
            tasks = [
                asyncio.create_task(cache_call(cache.aset, {A: (steps, None), B: (steps, None)})),
                asyncio.create_task(cache_call(cache.aget, [A, B])),
            ]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        for steps in range(12):
            asyncio.run(cancel_after(steps))
            found = cache.get([A, B])
            assert found[A] == found[B], "half of a batch was stored"
        asyncio.run(cache_call(cache.aset, {KEYS[5]: ("after", None)}))
        assert asyncio.run(cache_call(cache.aget, [KEYS[5]])) == {KEYS[5]: "after"}

    def test_a_cancelled_read_takes_no_other_with_it(self, new_cache: MakeCache) -> None:
        """Cancelling one of many reads leaves the others their answers."""
        cache = new_cache()
        cache.set({A: ("value", None)})

        async def reads() -> list[Any]:
            tasks = [asyncio.create_task(cache_call(cache.aget, [A])) for _ in range(20)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        assert asyncio.run(reads())[1::2] == [{A: "value"}] * 10

    def test_the_context_of_a_call_is_let_go(self, new_cache: MakeCache) -> None:
        """What a context variable holds while a cache is awaited is let go with the task, however busy the cache is."""
        cache = new_cache()

        async def run(number: int) -> weakref.ref[ContextValue]:
            held = ContextValue()
            HELD.set(held)
            await cache.aset({A: (number, None)})
            await cache.aget([A, B])
            return weakref.ref(held)

        async def runs() -> list[weakref.ref[ContextValue]]:
            first = await asyncio.create_task(run(0))
            return [first, await asyncio.create_task(run(1)), *await asyncio.gather(*map(run, range(2, 30)))]

        async def are_let_go() -> bool:
            refs = await runs()
            deadline = time.monotonic() + 10  # a thread that served them may be about to let go of them
            while any(ref() is not None for ref in refs):
                if time.monotonic() > deadline:
                    return False
                await cache.aget([A, B])
                await asyncio.sleep(0)  # a cache that never waits lets no callback run
                gc.collect()
            return True

        assert asyncio.run(are_let_go()), "a run's context is held after the run"


def hammer(cache: Driver, chance: random.Random) -> None:
    """Read, write and clear at random; every value says which key it belongs to."""
    for step in range(150):
        keys = chance.sample(KEYS, 3)
        if step % 50 == 49:
            cache.clear([keys[0][0]])
        elif chance.random() < 0.5:
            cache.set({key: ([list(key[0]), key[1], "x" * chance.randrange(200)], None) for key in keys})
        else:
            for key, value in cache.get(keys).items():
                assert key in keys, "a key that was not asked for was returned"
                assert (tuple(value[0]), value[1]) == key, "a key was given the value of another"
                value.append("changed by the caller")


async def cache_call(method: Any, *arguments: object) -> Any:
    """Await a method of a cache; a coroutine even where the method returns another awaitable."""
    return await method(*arguments)
