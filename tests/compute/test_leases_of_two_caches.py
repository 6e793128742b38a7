"""Two caches on one file, each standing for a process: one computes, the other waits and reads its result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compute.callers import DEADLINE, KEY, OTHER, AsyncGated, Caller, Gated, auntil, run, until
from hitrate import SqliteCache
from hitrate.testing import Clock


@pytest.fixture
def pair(path: Path, clock: Clock) -> Iterator[tuple[Any, Any]]:
    with SqliteCache[Any](path=path, clock=clock) as one, SqliteCache[Any](path=path, clock=clock) as other:
        yield one, other


def test_one_computes_and_the_other_reads_its_result(pair: tuple[Any, Any]) -> None:
    gate = Gated()
    callers = [Caller(lambda cache=cache: cache.get_or_compute(KEY, gate, 60, lease=30)) for cache in pair * 4]
    assert gate.begun.wait(DEADLINE)
    gate.let()
    assert [caller.result() for caller in callers] == [["value"]] * 8
    assert gate.runs == 1


def test_tasks_do_the_same(pair: tuple[Any, Any]) -> None:
    async def main() -> None:
        gate = AsyncGated()
        tasks = [asyncio.ensure_future(cache.aget_or_compute(KEY, gate, 60, lease=30)) for cache in pair * 4]
        await auntil(gate.begun.is_set)
        gate.let()
        assert await asyncio.gather(*tasks) == [["value"]] * 8
        assert gate.runs == 1

    run(main())


def test_the_next_takes_over_when_the_lease_ends_and_the_late_one_overwrites_nothing(
    pair: tuple[Any, Any], clock: Clock
) -> None:
    one, other = pair
    late = Gated(lambda: "late")
    first = Caller(lambda: one.get_or_compute(KEY, late, lease=30))
    assert late.begun.wait(DEADLINE)
    second = Caller(lambda: other.get_or_compute(KEY, lambda: "next", lease=30))
    clock.advance(30)
    assert second.result() == "next"
    late.let()
    assert first.result() == "late"
    assert one.get([KEY]) == {KEY: "next"}
    assert (one.stats().sets, other.stats().sets) == (0, 1)


def test_an_exception_ends_the_lease(pair: tuple[Any, Any]) -> None:
    one, other = pair
    with pytest.raises(ZeroDivisionError):
        one.get_or_compute(KEY, lambda: 1 // 0, lease=3600)
    assert other.get_or_compute(KEY, lambda: 2, lease=3600) == 2


def test_an_interrupted_or_cancelled_holder_ends_its_lease(pair: tuple[Any, Any]) -> None:
    one, other = pair

    def interrupt() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.get_or_compute(KEY, interrupt, lease=3600)

    async def main() -> None:
        gate = AsyncGated()
        task = asyncio.ensure_future(one.aget_or_compute(OTHER, gate, lease=3600))
        await auntil(gate.begun.is_set)
        task.cancel()
        await asyncio.wait([task])
        assert await other.aget_or_compute(OTHER, lambda: 2, lease=3600) == 2

    run(main())
    assert other.get_or_compute(KEY, lambda: 2, lease=3600) == 2


def test_what_the_other_deletes_while_one_computes_is_not_stored(pair: tuple[Any, Any]) -> None:
    one, other = pair
    gate = Gated()
    caller = Caller(lambda: one.get_or_compute(KEY, gate, lease=3600))
    assert gate.begun.wait(DEADLINE)
    other.delete([KEY])
    gate.let()
    assert caller.result() == ["value"]
    assert other.get([KEY]) == {}


def test_many_compute_each_key_once(pair: tuple[Any, Any]) -> None:
    one, other = pair
    gate = Gated()
    third = (KEY[0], "third")

    def compute(keys: list[Any]) -> dict[Any, Any]:
        gate()
        computed.extend(keys)
        return dict.fromkeys(keys, "value")

    computed: list[Any] = []
    first = Caller(lambda: one.get_or_compute_many([KEY, OTHER], compute, lease=3600))
    until(lambda: gate.runs == 1)
    second = Caller(lambda: other.get_or_compute_many([OTHER, third], compute, lease=3600))
    until(lambda: gate.runs == 2)
    gate.let()
    assert first.result() == dict.fromkeys([KEY, OTHER], "value")
    assert second.result() == dict.fromkeys([OTHER, third], "value")
    assert sorted(computed) == sorted([KEY, OTHER, third])


def test_an_old_value_is_refreshed_by_one_of_them(pair: tuple[Any, Any], clock: Clock) -> None:
    gate = Gated(lambda: 1)
    pair[0].get_or_compute(KEY, lambda: 0, 60, stale=60, lease=30)
    clock.advance(60)
    for cache in pair * 2:
        assert cache.get_or_compute(KEY, gate, 60, stale=60, lease=30) == 0
    assert gate.begun.wait(DEADLINE)
    gate.let()
    until(lambda: pair[1].get([KEY]) == {KEY: 1})
    until(lambda: not any(cache._computing._refresher._pending for cache in pair))
    assert gate.runs == 1
