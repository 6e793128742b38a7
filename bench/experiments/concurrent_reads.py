"""Many reads of one event loop at once, each of one key, and how long they keep the loop from other work."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

from bench.contenders import REDIS
from bench.experiments.base import Conditions, Samples, draws, fill
from bench.experiments.blocks import Blocks
from bench.payloads import PAYLOADS
from bench.timing import no_collections

_WAVES = 5


def measure(conditions: Conditions, *, payload: str, tasks: int, rows: int) -> Samples:
    """Measure the time that goes by for each read, and in each round the longest time that the loop did not turn.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        tasks: how many read at once.
        rows: entries that are there.
    """
    return asyncio.run(_measure(conditions, payload, tasks, rows))


async def _measure(conditions: Conditions, payload: str, tasks: int, rows: int) -> Samples:
    kind = PAYLOADS[payload]
    rounds = 10 if conditions.quick else 60
    entries = conditions.entries(kind, rows)
    times: dict[str, list[float]] = {}
    blocks: dict[str, list[float]] = {}
    kinds = {name: kind for name, kind in REDIS.items() if name in ("hitrate", "LangGraph")}
    with conditions.contenders(kinds, kind) as contenders:
        plans = {}
        for name, contender in contenders.items():
            conditions.progress(f"filling {name}")
            fill(contender, entries)
            call, arguments = contender.agets(draws(list(entries), 1, conditions.rng))
            plans[name] = call, itertools.cycle(arguments)
            await _wave(call, list(itertools.islice(plans[name][1], tasks)))
        with no_collections():
            for number in range(rounds):
                conditions.progress(f"round {number + 1} of {rounds}")
                for name in conditions.rng.sample(list(plans), len(plans)):
                    call, arguments = plans[name]
                    waves = [list(itertools.islice(arguments, tasks)) for _ in range(_WAVES)]
                    elapsed, block = await _run(call, waves)
                    times.setdefault(name, []).append(elapsed / (tasks * _WAVES) * 1e6)
                    blocks.setdefault(name, []).append(block * 1e6)
                    await asyncio.sleep(0.005)
    return {"operation": times, "block": blocks}


async def _wave(call: Callable[[Any], Any], arguments: list[Any]) -> None:
    await asyncio.gather(*map(call, arguments))


async def _run(call: Callable[[Any], Any], waves: list[list[Any]]) -> tuple[float, float]:
    """Return the seconds that the waves take, and those of the longest block of the loop."""
    async with Blocks() as blocks:
        started = time.perf_counter()
        for arguments in waves:
            await _wave(call, arguments)
        elapsed = time.perf_counter() - started
    return elapsed, blocks.longest
