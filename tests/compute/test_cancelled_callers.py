"""Callers that are cancelled or time out: it concerns them alone, and the work ends when nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from compute.callers import DEADLINE, KEY, OTHER, AsyncGated, Caller, auntil, flying, loop, run, until, waiting


@pytest.mark.parametrize("first", [True, False])
def test_cancelling_one_caller_leaves_the_others_their_result(cache: Any, first: bool) -> None:
    async def main() -> None:
        compute = AsyncGated()
        callers = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute)) for _ in range(4)]
        await auntil(lambda: waiting(cache) == 4)
        gone = callers.pop(0 if first else 2)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert compute.cancelled == 0
        compute.let()
        assert await asyncio.gather(*callers) == [["value"]] * 3
        assert compute.runs == 1

    run(main())
    assert cache.get([KEY]) == {KEY: ["value"]}


def test_the_first_caller_may_time_out(cache: Any) -> None:
    async def main() -> None:
        compute = AsyncGated()

        async def impatient() -> Any:
            async with asyncio.timeout(None) as limit:
                impatient.limit = limit  # type: ignore[attr-defined]
                return await cache.aget_or_compute(KEY, compute)

        first = asyncio.ensure_future(impatient())
        await auntil(compute.begun.is_set)
        second = asyncio.ensure_future(cache.aget_or_compute(KEY, compute))
        await auntil(lambda: waiting(cache) == 2)
        impatient.limit.reschedule(0.0)  # type: ignore[attr-defined]
        with pytest.raises(TimeoutError):
            await first
        compute.let()
        assert await second == ["value"]
        assert compute.runs == 1

    run(main())


def test_a_thread_that_waits_keeps_the_work_of_cancelled_tasks_going(cache: Any) -> None:
    compute = AsyncGated()
    with loop() as other:
        future = other.start(cache.aget_or_compute(KEY, compute))
        assert compute.begun.wait(DEADLINE)
        thread = Caller(lambda: cache.get_or_compute(KEY, compute))
        until(lambda: waiting(cache) == 2)
        future.cancel()
        until(lambda: waiting(cache) == 1)
        compute.let()
        assert thread.result() == ["value"]
    assert compute.runs == 1


def test_when_all_are_cancelled_so_is_the_work_and_the_next_caller_runs_anew(cache: Any) -> None:
    async def main() -> None:
        compute = AsyncGated()
        callers = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute)) for _ in range(4)]
        await auntil(lambda: waiting(cache) == 4)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
        next_one = AsyncGated(is_open=True)
        assert await cache.aget_or_compute(KEY, next_one) == ["value"]
        assert next_one.runs == 1
        await auntil(lambda: compute.cancelled == 1)
        assert compute.runs == 1

    run(main())
    assert flying(cache) == 0


def test_all_callers_of_several_loops_cancelled(cache: Any) -> None:
    compute = AsyncGated()
    with loop() as one, loop() as two:
        futures = [one.start(cache.aget_or_compute(KEY, compute))]
        assert compute.begun.wait(DEADLINE)
        futures.append(two.start(cache.aget_or_compute(KEY, compute)))
        until(lambda: waiting(cache) == 2)
        for future in futures:
            future.cancel()
        until(lambda: compute.cancelled == 1)
        assert two.start(cache.aget_or_compute(KEY, lambda: "anew")).result(DEADLINE) == "anew"


def test_a_caller_cancelled_before_its_task_began_leaves_nothing_stuck(cache: Any) -> None:
    async def main() -> None:
        compute = AsyncGated(is_open=True)
        for turns in range(6):
            caller = asyncio.ensure_future(cache.aget_or_compute(KEY, compute))
            for _ in range(turns):
                await asyncio.sleep(0)
            caller.cancel()
            await asyncio.wait([caller])
            assert await cache.aget_or_compute(KEY, compute) == ["value"]
            await cache.adelete([KEY])

    run(main())
    assert flying(cache) == 0


def test_waiters_go_on_when_the_task_that_computes_is_cancelled_by_somebody_before_it_began(cache: Any) -> None:
    async def main() -> None:
        callers = [asyncio.ensure_future(cache.aget_or_compute(KEY, lambda: "value")) for _ in range(3)]
        await asyncio.sleep(0)  # they have begun, and the task not
        for task in asyncio.all_tasks():
            if task.get_name() == "hitrate-flight":
                task.cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert "value" in results
        assert await cache.aget_or_compute(OTHER, lambda: 1) == 1

    run(main())
    assert flying(cache) == 0


def test_a_function_that_is_itself_cancelled_cancels_who_led_and_the_others_run_anew(cache: Any) -> None:
    async def main() -> None:
        def cancelled() -> Any:
            raise asyncio.CancelledError

        compute, after = AsyncGated(cancelled), AsyncGated(is_open=True)
        leader = asyncio.ensure_future(cache.aget_or_compute(KEY, compute))
        await auntil(compute.begun.is_set)
        others = [asyncio.ensure_future(cache.aget_or_compute(KEY, after)) for _ in range(3)]
        await auntil(lambda: waiting(cache) == 4)
        compute.let()
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert await asyncio.gather(*others) == [["value"]] * 3
        assert after.runs == 1

    run(main())


def test_work_that_nobody_waits_for_any_more_is_not_stored_after_a_delete(cache: Any) -> None:
    async def main() -> None:
        stubborn = AsyncGated(lambda: "late")

        async def compute() -> Any:
            try:
                return await stubborn()
            except asyncio.CancelledError:
                return await stubborn()

        caller = asyncio.ensure_future(cache.aget_or_compute(KEY, compute))
        await auntil(stubborn.begun.is_set)
        (work,) = [task for task in asyncio.all_tasks() if task.get_name() == "hitrate-flight"]
        caller.cancel()
        await auntil(lambda: stubborn.cancelled == 1)
        await cache.adelete([KEY])
        stubborn.let()
        await asyncio.wait([work])
        assert await cache.aget([KEY]) == {}

    run(main())
