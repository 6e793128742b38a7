"""Many keys that expire at one moment under load: how many callers compute or wait, with ``early`` and without.

The cache is the real one; the time is that of an event loop which sleeps none of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

from bench.experiments import virtual_time
from bench.experiments.base import Conditions, Samples

TTL = 60.0
BETAS: dict[str, float | None] = {"without": None, "early=1": 1.0, "early=2": 2.0}
BIN = 0.1
_FROM, _UNTIL = -10.0, 3.0
"""Seconds from the moment of expiry that are watched."""


def measure(conditions: Conditions, *, keys: int, rate: float, seconds: float) -> Samples:
    """Count the callers that compute or wait from the moment of expiry on.

    Args:
        conditions: how to run.
        keys: how many keys were stored at one moment.
        rate: calls for each key in a second, at random moments.
        seconds: how long a value takes to compute.
    """
    samples: Samples = {}
    for name, beta in BETAS.items():
        conditions.progress(f"a load {name}")
        number = keys // 5 if conditions.quick else keys
        held_up = virtual_time.run(_load(Random(conditions.rng.random()), number, rate, seconds, beta))
        after = sum(count for at, count in held_up.items() if at >= 0)
        samples[name] = {"hitrate": [float(after)]}
        samples[f"{name} by time"] = {f"{at:.1f}": [float(count)] for at, count in sorted(held_up.items())}
    return samples


async def _load(rng: Random, keys: int, rate: float, seconds: float, beta: float | None) -> Counter[float]:
    """Return how many callers computed or waited, by when they called: seconds from the moment of expiry."""
    from hitrate import InMemoryCache

    loop = asyncio.get_running_loop()
    cache: InMemoryCache[Any] = InMemoryCache(clock=loop.time)
    names = [(("early",), str(number)) for number in range(keys)]
    held_up: Counter[float] = Counter()
    expiry = 0.0

    async def compute() -> dict[str, str]:
        await asyncio.sleep(seconds)
        return {"text": "a value"}

    async def call(number: int) -> None:
        called = loop.time()
        await cache.aget_or_compute(names[number], compute, TTL, early=beta)
        if loop.time() > called:
            held_up[round((called - expiry) // BIN * BIN, 1)] += 1

    await asyncio.gather(*map(call, range(keys)))
    held_up.clear()
    expiry = loop.time() + TTL
    await asyncio.sleep(TTL + _FROM)
    calls: set[asyncio.Task[None]] = set()
    while loop.time() < expiry + _UNTIL:
        await asyncio.sleep(rng.expovariate(rate * keys))
        task = asyncio.create_task(call(rng.randrange(keys)))
        calls.add(task)
        task.add_done_callback(calls.discard)
    await asyncio.gather(*calls)
    await cache.aclose()
    return held_up
