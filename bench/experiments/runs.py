"""How often a function runs when many threads, tasks or processes ask for one result that is not there yet."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.experiments.base import Conditions, Samples
from bench.experiments.children import start

_SECONDS = 0.2
"""How long the function takes: all have asked by then."""


def measure(conditions: Conditions, *, by: str, count: int, who: str = "all", backend: str = "") -> Samples:
    """Count the runs, once in each of a few rounds.

    Args:
        conditions: how to run.
        by: ``"threads"``, ``"tasks"`` or ``"processes"``.
        count: of them.
        who: ``"all"`` contenders, or ``"hitrate"``.
        backend: of processes, ``"sqlite"``, ``"redis"`` or ``"postgres"``.
    """
    rounds = 2 if conditions.quick else 5
    if by == "processes":
        return {"runs": {"hitrate": _by_processes(conditions, rounds, count, backend)}}
    if by == "tasks":
        return {"runs": {"hitrate": [asyncio.run(_by_tasks(count)) for _ in range(rounds)]}}
    samples: dict[str, list[float]] = {}
    with conditions.memoisers(*([] if who == "all" else [who])) as memoisers:
        for name, memoiser in memoisers.items():
            conditions.progress(name)
            samples[name] = [_by_threads(memoiser.over, count, asked) for asked in range(rounds)]
    return {"runs": samples}


def _by_threads(over: Callable[..., Any], count: int, asked: int) -> float:
    runs: list[int] = []
    together = threading.Barrier(count)

    def answer(number: int) -> dict[str, int]:
        runs.append(number)
        time.sleep(_SECONDS)
        return {"number": number}

    decorated = over(answer)

    def ask() -> None:
        together.wait()
        decorated(asked)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return float(len(runs))


async def _by_tasks(count: int) -> float:
    from hitrate import InMemoryCache, cached

    runs: list[int] = []
    async with InMemoryCache[Any]() as cache:

        @cached(cache)
        async def answer(number: int) -> dict[str, int]:
            runs.append(number)
            await asyncio.sleep(_SECONDS)
            return {"number": number}

        await asyncio.gather(*(answer(1) for _ in range(count)))
    return float(len(runs))


def _by_processes(conditions: Conditions, rounds: int, count: int, backend: str) -> list[float]:
    where = _place(conditions, backend)
    with ExitStack() as stack:
        team = [stack.enter_context(start(__name__, backend, where)) for _ in range(count)]
        for process in team:
            assert process.stdout is not None
            process.stdout.readline()  # it has opened its cache
        counts = []
        for number in range(rounds):
            runs = 0
            for process in team:
                assert process.stdin is not None
                process.stdin.write(f"{number}\n")
            for process in team:
                assert process.stdout is not None
                runs += json.loads(process.stdout.readline())
            counts.append(float(runs))
        for process in team:
            assert process.stdin is not None
            process.stdin.close()
    return counts


def _place(conditions: Conditions, backend: str) -> str:
    if backend == "redis":
        from bench.contenders.redis import _server as valkey

        return f"unix://{valkey(conditions.folder)}"
    if backend == "postgres":
        from bench.contenders.postgres import _server as postgres

        return str(postgres())
    return str(conditions.folder / "cache.db")


def _child(backend: str, where: str) -> None:
    from hitrate import PostgresCache, RedisCache, SqliteCache, cached

    kinds: dict[str, Callable[[], Any]] = {
        "sqlite": lambda: SqliteCache(path=where),
        "redis": lambda: RedisCache(where),
        "postgres": lambda: PostgresCache(where),
    }
    runs: list[int] = []
    with kinds[backend]() as cache:

        @cached(cache, lease=30)
        def answer(number: int) -> dict[str, int]:
            runs.append(number)
            time.sleep(_SECONDS)
            return {"number": number}

        answer.get(-1)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            before = len(runs)
            answer(int(line))
            print(len(runs) - before, flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2])
