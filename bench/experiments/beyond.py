"""What a hit through ``cached`` costs beyond its key and the cache's own read, round by round."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

from bench.contenders.memoised import Hitrate, HitrateFile
from bench.experiments.base import Conditions, Samples
from bench.experiments.memoised import answer
from bench.timing import no_collections

_ARGUMENTS = 16
_CALLS = 400


def measure(conditions: Conditions, *, where: str) -> Samples:
    """Measure both faces.

    Args:
        conditions: how to run.
        where: ``"memory"`` or ``"file"``.
    """
    rounds = 15 if conditions.quick else 100
    memoiser = (Hitrate if where == "memory" else HitrateFile)(conditions.folder)
    try:
        sync = _sync(memoiser, rounds)
        awaited = asyncio.run(_awaited(memoiser, rounds))
    finally:
        memoiser.close()
    return {"sync": {"hitrate": sync}, "async": {"hitrate": awaited}}


def _sync(memoiser: Hitrate, rounds: int) -> list[float]:
    function: Any = memoiser.over(answer)
    numbers = [at % _ARGUMENTS for at in range(_CALLS)]
    keys = [(function.key_for(number),) for number in numbers]
    calls = [(number,) for number in numbers]
    get, key_of = memoiser.cache.get, function._keys

    def apart() -> None:
        for key in keys:
            get(key)
        for call in calls:
            key_of(call, {})

    def through() -> None:
        for number in numbers:
            function(number)

    through()
    through()
    differences = []
    with no_collections():
        for _ in range(rounds):
            gc.collect()
            differences.append(_time(through) - _time(apart))
    return differences


async def _awaited(memoiser: Hitrate, rounds: int) -> list[float]:
    async def aanswer(number: int) -> dict[str, object]:
        return answer(number)

    function: Any = memoiser.over(aanswer)
    numbers = [at % _ARGUMENTS for at in range(_CALLS)]
    for number in numbers[:_ARGUMENTS] * 3:
        await function(number)
    keys = [(function.key_for(number),) for number in numbers]
    calls = [(number,) for number in numbers]
    aget, key_of = memoiser.cache.aget, function._keys
    differences = []
    with no_collections():
        for _ in range(rounds):
            gc.collect()
            started = time.perf_counter_ns()
            for number in numbers:
                await function(number)
            between = time.perf_counter_ns()
            for key in keys:
                await aget(key)
            for call in calls:
                key_of(call, {})
            ended = time.perf_counter_ns()
            differences.append(((between - started) - (ended - between)) / _CALLS / 1000)
    return differences


def _time(what: Callable[[], None]) -> float:
    """Return the microseconds of one of the calls."""
    started = time.perf_counter_ns()
    what()
    return (time.perf_counter_ns() - started) / _CALLS / 1000
