"""Many asyncio tasks on one cache, nine reads for each write, and how long they keep the event loop from other work."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator

from bench.contenders import FILES, MEMORY, POSTGRES, REDIS, Contender
from bench.experiments import mix
from bench.experiments.base import Conditions, Samples
from bench.experiments.blocks import Blocks
from bench.payloads import PAYLOADS
from bench.timing import no_collections

_STEPS_PER_TASK = 5

_CONTENDERS: dict[str, dict[str, type[Contender]]] = {
    "file": FILES,
    "memory": MEMORY,
    "redis": REDIS,
    "postgres": POSTGRES,
}
_AWAITED = ("hitrate", "LangGraph")
"""Those elsewhere than in a file that have an async face."""


def measure(conditions: Conditions, *, payload: str, tasks: int, where: str = "file") -> Samples:
    """Measure the time that goes by for each operation, and in each round the longest time that the loop did not turn.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        tasks: how many run at once, each of them one operation after the other.
        where: ``"file"``, ``"memory"``, ``"redis"`` or ``"postgres"``.
    """
    return asyncio.run(_measure(conditions, payload, tasks, where))


async def _measure(conditions: Conditions, payload: str, tasks: int, where: str) -> Samples:
    kind = PAYLOADS[payload]
    rounds = 5 if conditions.quick else 25
    entries = mix.population(kind, "asyncio")
    keys, values = list(entries), list(entries.values())
    times: dict[str, list[float]] = {}
    blocks: dict[str, list[float]] = {}
    kinds = {name: kind for name, kind in _CONTENDERS[where].items() if where == "file" or name in _AWAITED}
    with conditions.contenders(kinds, kind) as contenders:
        plans = {}
        for name, contender in contenders.items():
            mix.prepare(contender, entries, conditions)
            plans[name] = itertools.cycle(mix.steps(contender, keys, values, conditions.rng, awaited=True))
            await _run(plans[name], tasks)
        with no_collections():
            for number in range(rounds):
                conditions.progress(f"round {number + 1} of {rounds}")
                for name in conditions.rng.sample(list(plans), len(plans)):
                    operation, block = await _run(plans[name], tasks)
                    times.setdefault(name, []).append(operation)
                    blocks.setdefault(name, []).append(block)
                    await asyncio.sleep(0.01)
    return {"operation": times, "block": blocks}


async def _run(plan: Iterator[tuple[object, object]], tasks: int) -> tuple[float, float]:
    """Return the microseconds of an operation, and those of the longest block of the loop."""
    shares = [list(itertools.islice(plan, _STEPS_PER_TASK)) for _ in range(tasks)]

    async def task(share: mix.Steps) -> None:
        for call, argument in share:
            await call(argument)

    async with Blocks() as blocks:
        started = time.perf_counter()
        await asyncio.gather(*map(task, shares))  # type: ignore[arg-type]
        elapsed = time.perf_counter() - started
    return elapsed / (tasks * _STEPS_PER_TASK) * 1e6, blocks.longest * 1e6
