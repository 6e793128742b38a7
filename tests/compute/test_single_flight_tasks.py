"""Tasks that miss one key at the same time, of one event loop or many: one of them starts the function for all."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from compute.callers import (
    DEADLINE,
    KEY,
    OTHER,
    AsyncGated,
    Caller,
    Gated,
    Loop,
    auntil,
    flying,
    loop,
    run,
    until,
    waiting,
)
from hitrate import ReentrancyError


def test_the_function_runs_once(any_cache: Any) -> None:
    check_that_it_runs_once(any_cache, 16)


def test_the_function_runs_once_for_ten_thousand_tasks(cache: Any) -> None:
    check_that_it_runs_once(cache, 10_000)


def check_that_it_runs_once(cache: Any, tasks: int) -> None:
    async def main() -> None:
        compute = AsyncGated()
        callers = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute, 60)) for _ in range(tasks)]
        await auntil(lambda: waiting(cache) == tasks)
        compute.let()
        values = await asyncio.gather(*callers)
        assert values == [["value"]] * tasks
        assert len({id(value) for value in values}) == tasks
        assert compute.runs == 1

    run(main())
    assert flying(cache) == 0
    assert cache.stats().sets == 1
    assert cache.get([KEY]) == {KEY: ["value"]}


@pytest.mark.parametrize("ttl", [None, 0])
def test_tasks_of_several_loops_and_threads_share_one_run(cache: Any, ttl: float | None) -> None:
    compute = AsyncGated()
    with loop() as one, loop() as two:
        futures = [each.start(cache.aget_or_compute(KEY, compute, ttl)) for each in (one, two) * 8]
        assert compute.begun.wait(DEADLINE)
        callers = [Caller(lambda: cache.get_or_compute(KEY, compute, ttl)) for _ in range(16)]
        until(lambda: waiting(cache) == 32)
        compute.let()
        values = [future.result(DEADLINE) for future in futures] + [caller.result() for caller in callers]
    assert values == [["value"]] * 32
    assert len({id(value) for value in values}) == 32
    assert compute.runs == 1


def test_tasks_wait_for_a_thread(cache: Any) -> None:
    compute = Gated()
    leader = Caller(lambda: cache.get_or_compute(KEY, compute))
    assert compute.begun.wait(DEADLINE)

    async def main() -> None:
        tasks = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute)) for _ in range(8)]
        await auntil(lambda: waiting(cache) == 8)
        compute.let()
        assert await asyncio.gather(*tasks) == [["value"]] * 8

    run(main())
    assert leader.result() == ["value"]
    assert compute.runs == 1


def test_a_plain_function_may_be_given_to_the_async_face(cache: Any) -> None:
    assert run(cache.aget_or_compute(KEY, lambda: 1)) == 1
    assert cache.get([KEY]) == {KEY: 1}


def test_an_exception_reaches_all_who_waited_and_the_next_caller_runs_again(cache: Any) -> None:
    def fail() -> Any:
        raise LookupError("no such row")

    async def main() -> None:
        compute = AsyncGated(fail)
        tasks = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute)) for _ in range(16)]
        await auntil(lambda: waiting(cache) == 16)
        compute.let()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {LookupError}
        assert compute.runs == 1
        assert await cache.aget_or_compute(KEY, lambda: "again") == "again"

    run(main())
    assert flying(cache) == 0


def test_a_coroutine_that_asks_for_its_own_key_is_told(cache: Any) -> None:
    async def compute() -> Any:
        return await cache.aget_or_compute(KEY, compute)

    with pytest.raises(ReentrancyError, match="key 'key' would wait for itself"):
        run(cache.aget_or_compute(KEY, compute))
    assert flying(cache) == 0


def test_a_coroutine_that_asks_for_its_own_key_in_tasks_of_another_is_told(cache: Any) -> None:
    async def compute() -> Any:
        async with asyncio.TaskGroup() as group:
            return await group.create_task(cache.aget_or_compute(OTHER, compute_other))

    async def compute_other() -> Any:
        return (await asyncio.gather(cache.aget_or_compute(KEY, compute)))[0]

    with pytest.raises(ExceptionGroup) as raised:
        run(cache.aget_or_compute(KEY, compute))
    assert raised.group_contains(ReentrancyError)
    assert flying(cache) == 0


def test_two_tasks_that_would_wait_for_each_other_are_told(cache: Any) -> None:
    async def main() -> None:
        first, second = AsyncGated(), AsyncGated()

        async def one() -> Any:
            await first()
            return await cache.aget_or_compute(OTHER, lambda: 0)

        async def two() -> Any:
            await second()
            return await cache.aget_or_compute(KEY, lambda: 0)

        a = asyncio.ensure_future(cache.aget_or_compute(KEY, one))
        b = asyncio.ensure_future(cache.aget_or_compute(OTHER, two))
        await auntil(lambda: first.begun.is_set() and second.begun.is_set())
        first.let()
        await auntil(lambda: waiting(cache, OTHER) == 2)
        second.let()
        results = await asyncio.gather(a, b, return_exceptions=True)
        assert {type(result) for result in results} == {ReentrancyError}

    run(main())
    assert flying(cache) == 0


def test_the_error_still_comes_when_one_of_two_waits_was_cancelled(cache: Any) -> None:
    """A computation waits twice for another, and gives up once: it waits still."""

    async def main() -> None:
        second = AsyncGated()

        async def one() -> Any:
            waits = [asyncio.ensure_future(cache.aget_or_compute(OTHER, lambda: 0)) for _ in range(2)]
            await auntil(lambda: waiting(cache, OTHER) == 3)
            waits[0].cancel()
            await asyncio.wait(waits[:1])
            second.let()
            return await waits[1]

        async def two() -> Any:
            await second()
            return await cache.aget_or_compute(KEY, lambda: 0)

        b = asyncio.ensure_future(cache.aget_or_compute(OTHER, two))
        await auntil(second.begun.is_set)
        a = asyncio.ensure_future(cache.aget_or_compute(KEY, one))
        results = await asyncio.gather(a, b, return_exceptions=True)
        assert {type(result) for result in results} == {ReentrancyError}

    run(main())


def test_a_blocking_call_for_what_a_task_of_this_loop_computes_is_told(cache: Any) -> None:
    async def main() -> None:
        compute = AsyncGated()
        task = asyncio.ensure_future(cache.aget_or_compute(KEY, compute))
        await auntil(compute.begun.is_set)
        with pytest.raises(ReentrancyError, match="await aget_or_compute instead"):
            cache.get_or_compute(KEY, lambda: 0)
        compute.let()
        assert await task == ["value"]
        assert cache.get_or_compute(KEY, lambda: 0) == ["value"]

    run(main())


def test_a_blocking_call_for_what_waits_for_a_task_of_this_loop_is_told(cache: Any) -> None:
    """A thread computes it, and that waits for the task that could not go on."""

    async def main() -> None:
        compute = AsyncGated()
        task = asyncio.ensure_future(cache.aget_or_compute(KEY, compute))
        await auntil(compute.begun.is_set)
        thread = Caller(lambda: cache.get_or_compute(OTHER, lambda: cache.get_or_compute(KEY, lambda: 0)))
        await auntil(lambda: waiting(cache) == 2)
        with pytest.raises(ReentrancyError, match="await aget_or_compute instead"):
            cache.get_or_compute(OTHER, lambda: 0)
        compute.let()
        assert await task == ["value"]
        await auntil(lambda: not thread.is_alive())
        assert thread.result() == ["value"]

    run(main())


def test_recursion_over_different_keys_goes_on(cache: Any) -> None:
    async def fib(n: int) -> int:
        async def compute() -> int:
            return n if n < 2 else sum(await asyncio.gather(fib(n - 1), fib(n - 2)))

        result: int = await cache.aget_or_compute((("fib",), str(n)), compute)
        return result

    assert run(fib(60)) == 1548008755920


@pytest.mark.parametrize("ends", ["closed", "closed with its tasks pending"])
def test_waiters_elsewhere_take_over_from_a_loop_that_was_closed(
    cache: Any, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr("hitrate.compute.flight._LOOK_SECONDS", 0.01)
    first, second = AsyncGated(), AsyncGated(is_open=True)
    gone = Loop()
    gone.start(cache.aget_or_compute(KEY, first))
    assert first.begun.wait(DEADLINE)
    thread = Caller(lambda: cache.get_or_compute(KEY, Gated(is_open=True)))
    with loop() as other:
        future = other.start(cache.aget_or_compute(KEY, second))
        until(lambda: waiting(cache) == 3)
        gone.stop() if "pending" in ends else gone.end()
        assert future.result(DEADLINE) == ["value"]
    assert thread.result() == ["value"]
    assert cache.get_or_compute(OTHER, lambda: 1) == 1
    assert flying(cache) == 0


def test_a_key_of_a_loop_that_was_closed_is_computed_anew(cache: Any) -> None:
    first = AsyncGated()
    gone = Loop()
    gone.start(cache.aget_or_compute(KEY, first))
    assert first.begun.wait(DEADLINE)
    gone.stop()
    assert cache.get_or_compute(KEY, lambda: "anew") == "anew"
    assert flying(cache) == 0


def test_flights_of_closed_loops_leave_and_give_back_what_they_hold(cache: Any) -> None:
    class Held:
        pass

    held = []

    async def never(thing: Any) -> None:
        await asyncio.get_running_loop().create_future()

    for number in range(20):
        abandoned = Loop()
        thing = Held()
        held.append(weakref.ref(thing))
        compute = AsyncGated()
        begun = [abandoned.start(cache.aget_or_compute((("n",), f"{number}-{each}"), compute)) for each in range(3)]
        begun.append(abandoned.start(cache.aget_or_compute(KEY, lambda thing=thing: never(thing))))  # type: ignore[misc]
        until(lambda: compute.runs == 3)  # noqa: B023
        until(lambda: waiting(cache) == 1)
        abandoned.stop()
        del thing, begun
    assert cache.get_or_compute(OTHER, lambda: 1) == 1
    assert flying(cache) == 0
    gc.collect()
    # What the collector found is ended by the next plan that is carried out, on whatever cache.
    assert cache.get_or_compute((("n",), "next"), lambda: 1) == 1
    gc.collect()
    assert [each() for each in held] == [None] * 20
    assert cache.get_or_compute(KEY, lambda: 2) == 2
