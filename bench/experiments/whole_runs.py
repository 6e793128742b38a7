"""The rounds of whole runs: each contender runs the same program cold, on a cache of its own, and then warm."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.experiments.base import Conditions, Samples
from bench.timing import no_collections

Program = Callable[[Path], AbstractContextManager[Callable[[], Any]]]
"""Opens what a run needs, new for each round, and gives what runs once: a function, or one whose result is awaited."""

PARTS = ("cold", "warm")

_SECONDS = 60.0
"""After which no more than the least number of rounds is run: a warm run of LangGraph's may take many seconds."""

_LEAST = 3


def whole_runs(
    conditions: Conditions, programs: Mapping[str, Program], expected: Any, *, awaited: bool, unmeasured: int = 0
) -> Samples:
    """Return the milliseconds of cold and warm runs, round by round.

    Args:
        conditions: how to run.
        programs: by contender.
        expected: what every run returns.
        awaited: whether what runs is a coroutine function.
        unmeasured: runs between the cold one and the warm one.
    """
    parts = ("cold", *[""] * unmeasured, "warm")
    samples: Samples = {part: {name: [] for name in programs} for part in PARTS}
    rounds = _LEAST if conditions.quick else 15
    end = time.monotonic() + _SECONDS
    with no_collections():
        for number in range(rounds + 1):  # of which the first is not measured: what it imports is no part of a run
            if number > _LEAST and time.monotonic() > end:
                break
            conditions.progress(f"round {number} of {rounds}")
            for name in conditions.rng.sample([*programs], len(programs)):
                folder = conditions.folder / f"{name}-{number}"
                folder.mkdir()
                with programs[name](folder) as run:
                    times = asyncio.run(_atimes(run, parts, expected)) if awaited else _times(run, parts, expected)
                if number:
                    for part in PARTS:
                        samples[part][name].append(times[part])
    return samples


def _times(run: Callable[[], Any], parts: tuple[str, ...], expected: Any) -> dict[str, float]:
    times = {}
    for part in parts:
        gc.collect()
        started = time.perf_counter()
        returned = run()
        times[part] = (time.perf_counter() - started) * 1000
        _check(returned, expected)
    return times


async def _atimes(run: Callable[[], Any], parts: tuple[str, ...], expected: Any) -> dict[str, float]:
    times = {}
    for part in parts:
        gc.collect()
        started = time.perf_counter()
        returned = await run()
        times[part] = (time.perf_counter() - started) * 1000
        _check(returned, expected)
    return times


def _check(returned: Any, expected: Any) -> None:
    if returned != expected:
        raise AssertionError("a run returned something else than expected")
