"""Many tasks at once: each is asked for once, answered once, and streamed once."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest
from langgraph.func import entrypoint, task
from langgraph.types import CachePolicy

from graphs.conftest import EVERY_KIND
from hitrate.langgraph import tasks
from hitrate.stores.base import Store
from releases import HITS_STREAMED_ONCE, LANGGRAPH


@pytest.fixture(params=EVERY_KIND)
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


TASKS = 60
HIT_CHUNKS = 1 if LANGGRAPH >= HITS_STREAMED_ONCE else 2
"""How often LangGraph streams a hit."""


def flow_of(cache: Any, calls: Counter[str], *, fails_first: bool = False) -> Any:
    @task(cache_policy=CachePolicy())
    async def work(number: int) -> int:
        calls["work"] += 1
        if fails_first and calls["work"] == 1:
            raise LookupError("the first time only")
        return number * number

    @entrypoint(cache=cache)
    async def flow(numbers: list[int]) -> list[int]:
        return await asyncio.gather(*map(work, numbers))

    return flow


def asked(cache: Any, monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """How often each key is read from the store from now on."""
    counts: Counter[Any] = Counter()
    store: Store = cache._store
    aget = store.aget

    async def counted(keys: Any) -> Any:
        counts.update(keys)
        return await aget(keys)

    monkeypatch.setattr(store, "aget", counted)
    return counts


async def chunks_of(flow: Any, numbers: list[int]) -> list[Any]:
    return [chunk async for chunk in flow.astream(numbers, stream_mode="updates")]


def test_each_task_is_one_hit(cache: Any, calls: Counter[str]) -> None:
    flow = flow_of(cache, calls)
    numbers = list(range(TASKS))
    cold = asyncio.run(flow.ainvoke(numbers))
    hits, misses = cache.stats().hits, cache.stats().misses
    assert (hits, misses) == (0, TASKS)
    assert asyncio.run(flow.ainvoke(numbers)) == cold == [number * number for number in numbers]
    assert calls["work"] == TASKS
    assert (cache.stats().hits, cache.stats().misses) == (TASKS, TASKS)


def test_as_many_chunks_are_streamed_warm_as_cold(cache: Any, calls: Counter[str]) -> None:
    flow = flow_of(cache, calls)
    numbers = list(range(10))
    cold = asyncio.run(chunks_of(flow, numbers))
    warm = asyncio.run(chunks_of(flow, numbers))
    assert (len(cold), len(warm)) == (11, 10 * HIT_CHUNKS + 1)
    assert calls["work"] == 10


def test_tasks_with_one_key_are_all_hits(cache: Any, calls: Counter[str]) -> None:
    flow = flow_of(cache, calls)
    numbers = [number % 7 for number in range(TASKS)]
    expected = [number * number for number in numbers]
    assert asyncio.run(flow.ainvoke(numbers)) == expected
    calls.clear()
    assert asyncio.run(flow.ainvoke(numbers)) == expected
    assert calls["work"] == 0
    warm = asyncio.run(chunks_of(flow, numbers))
    assert len(warm) == TASKS * HIT_CHUNKS + 1


def test_no_task_is_read_twice_from_a_store(open_cache: Any, calls: Counter[str], monkeypatch: Any) -> None:
    cache = open_cache()
    if type(cache).__name__ == "InMemoryCache":
        return  # it has no reads that wait
    flow = flow_of(cache, calls)
    asyncio.run(flow.ainvoke(list(range(TASKS))))
    counts = asked(cache, monkeypatch)
    asyncio.run(flow.ainvoke(list(range(TASKS))))
    assert len(counts) == TASKS
    assert set(counts.values()) == {1}


def test_runs_at_the_same_time_each_have_their_answers(cache: Any, calls: Counter[str]) -> None:
    flow = flow_of(cache, calls)
    numbers = list(range(20))
    asyncio.run(flow.ainvoke(numbers))

    async def several() -> list[Any]:
        return await asyncio.gather(*(flow.ainvoke(numbers) for _ in range(5)))

    assert asyncio.run(several()) == [[number * number for number in numbers]] * 5
    assert calls["work"] == 20


def test_a_task_that_failed_runs_again_in_the_next_run(cache: Any, calls: Counter[str]) -> None:
    flow = flow_of(cache, calls, fails_first=True)
    with pytest.raises(LookupError):
        asyncio.run(flow.ainvoke([1, 2, 3]))
    assert asyncio.run(flow.ainvoke([1, 2, 3])) == [1, 4, 9]


def test_what_a_program_asks_itself_is_read_as_ever(cache: Any) -> None:
    key = (("__pregel_ns_writes", "m.f", "f"), "a")

    async def main() -> list[dict[Any, Any]]:
        await cache.aset({key: ("value", None)})
        return await asyncio.gather(*(cache.aget([key]) for _ in range(3)))

    assert asyncio.run(main()) == [{key: "value"}] * 3
    assert cache.get([key]) == {key: "value"}


def test_nothing_of_a_run_is_kept_when_it_has_ended(cache: Any, calls: Counter[str]) -> None:
    flow = flow_of(cache, calls)
    for _ in range(5):
        asyncio.run(flow.ainvoke([1, 2, 3]))
    gc.collect()
    assert (
        len(cache._tasks._run_of._known) <= 1
    )  # a connection to a server has the context of the run that it was opened in
    assert not cache._tasks._known


def test_what_is_remembered_of_a_run_is_bounded(
    cache: Any, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_REMEMBERED", 10)
    flow = flow_of(cache, calls)
    numbers = list(range(TASKS))
    remembered: list[int] = []

    async def main() -> list[int]:
        result: list[int] = await flow.ainvoke(numbers)
        remembered.extend(len(run.asked) for _, run in cache._tasks._run_of._known.values())
        return result

    for _ in range(2):
        assert asyncio.run(main()) == [number * number for number in numbers]
    assert calls["work"] == TASKS
    assert max(remembered, default=0) <= 10
