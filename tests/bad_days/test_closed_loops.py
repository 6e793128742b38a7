"""Event loops that are closed with work pending, as ``asyncio.run`` in a worker thread or a test leaves them: the cache
has afterwards what it had before, and is as fast.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hitrate import InMemoryCache, PostgresCache, RedisCache, SqliteCache, TieredCache
from hitrate.testing import Clock

# Of a task that never had its first turn. Where the collector finds its coroutine under code without builtins, as that
# of a named tuple is, the interpreter fails to warn, and says so.
pytestmark = [
    pytest.mark.usefixtures("small_collections"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <coroutine object _carried:pytest.PytestUnraisableExceptionWarning"
    ),
]

LOOPS = 200
EACH = 5
SECONDS = 20.0


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres", "tiers over sqlite", "tiers over postgres"])
def cache(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    kind = request.param
    made: Any
    if kind == "memory":
        made = InMemoryCache()
    elif kind == "redis":
        made = RedisCache(request.getfixturevalue("redis_url"), prefix=request.getfixturevalue("new_prefix")())
    elif kind.endswith("sqlite"):
        made = SqliteCache(path=tmp_path / "cache.db")
    else:
        made = PostgresCache(request.getfixturevalue("postgres_url"), table=request.getfixturevalue("table"))
    if kind.startswith("tiers"):
        made = TieredCache(InMemoryCache(), made)
    with made:
        yield made


def key(name: str) -> Any:
    return (("loops",), name)


def close_one_with_work_pending(cache: Any, number: int, *, keep: list[Any] | None = None) -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it says of each task that it was pending

    async def begin() -> None:
        tasks: list[asyncio.Future[Any]] = []
        for place in range(EACH):
            name = f"{number}-{place}"
            calls = [
                cache.aget([key("kept")]),
                cache.aset({key(name): (place, 60)}),
                cache.adelete([key(name)]),
                cache.aclear([("another",)]),
            ]
            tasks += [asyncio.ensure_future(call) for call in calls]
        if keep is not None:
            keep.extend(tasks)
        for _ in range(number % 9):
            await asyncio.sleep(0)
        if number % 3 == 0:
            await tasks[number % len(tasks)]

    loop.run_until_complete(begin())
    loop.close()


def use(cache: Any) -> None:
    """One use of each face; the async one in a loop that ends well."""
    cache.set({key("kept"): (1, None)})
    assert cache.get([key("kept")]) == {key("kept"): 1}

    async def read() -> None:
        assert await cache.aget([key("kept")]) == {key("kept"): 1}
        assert await cache.aget_or_compute(key("kept"), lambda: 2) == 1

    asyncio.run(read())


def test_what_never_began_is_closed_without_a_warning(cache: Any) -> None:
    for turns in range(6):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")

            async def begin(turns: int = turns) -> None:
                for name in "abc":
                    asyncio.ensure_future(cache.aget_or_compute(key(f"{turns}-{name}"), lambda: asyncio.sleep(60)))  # noqa: RUF006
                for _ in range(turns):
                    await asyncio.sleep(0)

            loop.run_until_complete(begin())
            loop.close()
            gc.collect()
            cache.get_or_compute(key("next"), lambda: 1)
            gc.collect()
        assert not [str(each.message) for each in told if "_carried" in str(each.message)]
        cache.delete([key("next")])


def test_refreshes_of_closed_loops_are_let_go_of() -> None:
    clock = Clock()
    with InMemoryCache(clock=clock) as cache:
        cache.get_or_compute(key("old"), lambda: 1, 10, stale=1000)
        clock.advance(20)

        async def refresh() -> None:
            assert await cache.aget_or_compute(key("old"), lambda: asyncio.sleep(60), 10, stale=1000) == 1

        for turns in range(20):
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda *_: None)
            loop.run_until_complete(refresh())
            for _ in range(turns % 4):
                loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        assert cache._computes is not None
        assert sum(map(len, cache._computes._refresher._tasks.all())) <= 1
        assert asyncio.run(cache.aget_or_compute(key("other"), lambda: 2)) == 2


def what_there_is() -> tuple[Counter[str], int, int]:
    gc.collect()
    kinds: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        module = str(type.__getattribute__(kind, "__module__"))  # a class of another test may not tell it itself
        if module.startswith("hitrate.") and kind.__name__ not in ("Link", "Waiter"):
            kinds[f"{module}.{kind.__qualname__}"] += 1
    return kinds, threading.active_count(), len(os.listdir("/proc/self/fd"))


def until(holds: Callable[[], Any], told: Any = None) -> None:
    deadline = time.monotonic() + 3 * SECONDS
    while not holds():
        assert time.monotonic() < deadline, (holds, told)
        time.sleep(0.01)  # threads that connect or cancel end by themselves


def test_everything_is_as_before(cache: Any) -> None:
    for number in range(20):  # what a pool opens at most, and threads that linger
        close_one_with_work_pending(cache, number)
    use(cache)
    before, threads, descriptors = what_there_is()
    for number in range(20, 20 + LOOPS):
        close_one_with_work_pending(cache, number)
    gc.collect()
    use(cache)  # and end what of the last loops the collector has found

    more: dict[str, int] = {}

    def as_before() -> bool:  # once the threads have done what the loops had asked for
        after, threads_now, descriptors_now = what_there_is()
        more.clear()
        more.update({kind: count - before[kind] for kind, count in after.items() if count > before[kind] + 30})
        return threads_now <= threads + 1 and descriptors_now <= descriptors + 6 and not more

    until(as_before, more)


def test_both_faces_are_at_full_speed_at_once(cache: Any) -> None:
    use(cache)
    kept: list[Any] = []
    for number in range(3 * 18):  # what they do goes by their number, and comes again after 9
        close_one_with_work_pending(cache, number, keep=kept if number % 2 else None)
    took = []
    for _ in range(20):
        began = time.monotonic()
        use(cache)
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.5  # who waits for what closed loops left does so for a second
    for task in kept:
        task._log_destroy_pending = False


def test_what_nobody_computes_any_more_is_computed_by_the_next(cache: Any) -> None:
    for number in range(20):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        wanted = key(f"half-{number}")

        async def begin(wanted: Any = wanted, turns: int = number) -> None:
            task = asyncio.ensure_future(cache.aget_or_compute(wanted, lambda: asyncio.sleep(60), lease=None))
            for _ in range(turns):
                await asyncio.sleep(0)
            assert not task.done()

        loop.run_until_complete(begin())
        loop.close()
        began = time.monotonic()
        assert cache.get_or_compute(wanted, lambda: "computed", lease=None) == "computed"
        assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("is_kept", [False, True], ids=["collected", "its task is kept"])
def test_a_lease_that_a_closed_loop_held_is_had_by_the_next_at_once(cache: Any, is_kept: bool) -> None:
    kept: list[asyncio.Task[Any]] = []
    for number in range(12):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        wanted = key(f"leased-{number}")

        async def begin(wanted: Any = wanted, turns: int = number) -> None:
            computing = asyncio.Event()

            async def compute() -> None:
                computing.set()
                await asyncio.sleep(60)

            task = asyncio.ensure_future(cache.aget_or_compute(wanted, compute, lease=60))
            if is_kept:
                kept.append(task)
            if turns % 2:
                await computing.wait()
            for _ in range(turns):
                await asyncio.sleep(0)

        loop.run_until_complete(begin())
        loop.close()
        if not is_kept:
            gc.collect()
        began = time.monotonic()
        assert cache.get_or_compute(wanted, lambda: "computed", lease=60) == "computed"
        assert time.monotonic() - began < SECONDS
        assert cache.get([wanted]) == {wanted: "computed"}
    for task in kept:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_closed", [False, True], ids=["it is cancelled", "its loop is closed"])
def test_a_lease_that_a_file_grants_when_nobody_waits_any_more_is_given_back(tmp_path: Any, is_closed: bool) -> None:
    wanted = key("late")
    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        worker = cache._store._worker  # type: ignore[attr-defined]
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(SECONDS)

        def next_one() -> None:
            cache.get_or_compute(key("other"), lambda: 1, lease=600)  # gives back what is known to be left
            go_on.set()

        async def begin() -> None:
            worker.submit("hold", hold)
            await asyncio.to_thread(held.wait, SECONDS)
            task = asyncio.ensure_future(cache.aget_or_compute(wanted, lambda: asyncio.sleep(60), lease=600))
            while worker._writes._calls.empty():  # noqa: ASYNC110 - until the lease is asked for
                await asyncio.sleep(0.001)
            if not is_closed:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await asyncio.to_thread(next_one)
                await worker.submit("last", lambda: None)

        async def until_all_is_done() -> None:
            await worker.submit("last", lambda: None)

        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        loop.run_until_complete(begin())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        gc.collect()
        next_one()
        asyncio.run(until_all_is_done())
        computing = ThreadPoolExecutor(1).submit(cache.get_or_compute, wanted, lambda: "computed", lease=600)
        assert computing.result(SECONDS) == "computed"
