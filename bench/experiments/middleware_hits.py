"""What a hit through the middleware costs, beyond an agent whose calls are answered at once, by no cache or model."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from bench.contenders.graphs import graph_caches
from bench.experiments.base import Conditions, Samples
from bench.experiments.scripted_agent import ANSWER, MODEL_CALLS, TOOL_CALLS, Prepared, runs_agent
from bench.timing import no_collections

_CALLS = {"model": MODEL_CALLS, "tool": TOOL_CALLS}


def measure(conditions: Conditions, *, where: str, awaited: bool) -> Samples:
    """Measure the microseconds of a hit: the differences of two runs, over the hits in one of them.

    Args:
        conditions: how to run.
        where: ``"memory"``, ``"file"`` or ``"redis"``.
        awaited: whether the run is ``ainvoke``.
    """
    from hitrate.langchain import CacheMiddleware

    samples: Samples = {}
    rounds = 15 if conditions.quick else 100
    opener = graph_caches(where, conditions.folder)["hitrate"]
    for part, hits in _CALLS.items():
        conditions.progress(f"a {part} call")
        own = conditions.folder / part
        own.mkdir()
        ran: Counter[str] = Counter()
        with opener(own) as cache:
            of_models = part == "model"
            others = Prepared(models=not of_models, tools=of_models)
            caching = CacheMiddleware(cache, models=of_models, tools=[] if of_models else ["search"])
            through = runs_agent(ran, others, caching, awaited=awaited)
            prepared = Prepared(models=of_models, tools=not of_models, name="measured")
            without = runs_agent(ran, others, prepared, awaited=awaited)
            with no_collections():
                measuring = _adifferences if awaited else _differences
                times = measuring(through, without, rounds)
                differences = asyncio.run(times) if awaited else times
        if ran != {part: hits}:
            raise AssertionError(f"not all calls after the first run were hits: {ran}")
        samples[part] = {"hitrate": [each / hits for each in differences]}
    return samples


def _differences(through: Callable[[], Any], without: Callable[[], Any], rounds: int) -> list[float]:
    """Return the microseconds that one function takes beyond the other, round by round."""
    for _ in range(3):
        assert through() == without() == ANSWER
    differences = []
    for _ in range(rounds):
        gc.collect()
        started = time.perf_counter_ns()
        without()
        between = time.perf_counter_ns()
        through()
        differences.append((time.perf_counter_ns() - between - (between - started)) / 1000)
    return differences


async def _adifferences(through: Callable[[], Any], without: Callable[[], Any], rounds: int) -> list[float]:
    for _ in range(3):
        assert await through() == await without() == ANSWER
    differences = []
    for _ in range(rounds):
        gc.collect()
        started = time.perf_counter_ns()
        await without()
        between = time.perf_counter_ns()
        await through()
        differences.append((time.perf_counter_ns() - between - (between - started)) / 1000)
    return differences
