"""Several threads on one cache, nine reads for each write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench.contenders import FILES
from bench.experiments import mix
from bench.experiments.base import Conditions, Samples
from bench.payloads import PAYLOADS
from bench.timing import no_collections


def measure(conditions: Conditions, *, payload: str, threads: int) -> Samples:
    """Measure the time that goes by for each operation done, all threads together.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        threads: how many.
    """
    kind = PAYLOADS[payload]
    rounds, seconds = (5, 0.15) if conditions.quick else (20, 0.25)
    entries = mix.population(kind, "threads")
    keys, values = list(entries), list(entries.values())
    samples: dict[str, list[float]] = {}
    with conditions.contenders(FILES, kind) as contenders, ExitStack() as stack:
        teams = {}
        for name, contender in contenders.items():
            mix.prepare(contender, entries, conditions)
            plans = [mix.steps(contender, keys, values, conditions.rng) for _ in range(threads)]
            teams[name] = _Team(plans, stack.enter_context(ThreadPoolExecutor(threads)))
            teams[name].run(seconds / 2)
        with no_collections():
            for number in range(rounds):
                conditions.progress(f"round {number + 1} of {rounds}")
                for name in conditions.rng.sample(list(teams), len(teams)):
                    samples.setdefault(name, []).append(teams[name].run(seconds))
    return {"mix": samples}


class _Team:
    """Threads that stay, as those of a server do: what a cache keeps for each thread is made once."""

    def __init__(self, plans: list[mix.Steps], pool: ThreadPoolExecutor) -> None:
        self._plans = plans
        self._pool = pool
        self._barrier = threading.Barrier(len(plans))

    def run(self, seconds: float) -> float:
        """Return the microseconds of an operation."""

        def one(plan: mix.Steps) -> tuple[int, int, float]:
            # Each thread waits for the others, and so each has exactly one plan.
            self._barrier.wait()
            return mix.run_for(plan, seconds)

        results = list(self._pool.map(one, self._plans))
        if failed := sum(failed for _, failed, _ in results):
            raise RuntimeError(f"{failed} operations failed")
        return 1e6 / sum(done / elapsed for done, _, elapsed in results)
