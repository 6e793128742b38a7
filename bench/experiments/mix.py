"""What many do at once: nine reads for each write, of entries drawn anew, in no set order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from bench.contenders import Contender
from bench.experiments.base import Conditions, draws, fill
from bench.payloads import FullKey, Payload

Steps = list[tuple[Callable[[Any], Any], Any]]

_ROWS = 1000
_STEPS = 1000
_WRITES = 0.1


def prepare(contender: Contender, entries: dict[FullKey, Any], conditions: Conditions) -> None:
    """Fill a contender with what is going to be read and overwritten."""
    conditions.progress(f"filling {contender.name}")
    fill(contender, entries)


def steps(
    contender: Contender, keys: Sequence[FullKey], values: Sequence[Any], rng: Random, *, awaited: bool = False
) -> Steps:
    """Return functions and their arguments in the order of use: one key read or overwritten in each."""
    gets = (contender.agets if awaited else contender.gets)(draws(keys, 1, rng))
    written = [{rng.choice(keys): rng.choice(values)} for _ in range(_STEPS)]
    sets = (contender.asets if awaited else contender.sets)(written)
    reads, writes = iter(gets[1]), iter(sets[1])
    return [(sets[0], next(writes)) if rng.random() < _WRITES else (gets[0], next(reads)) for _ in range(_STEPS)]


def run_for(plan: Steps, seconds: float) -> tuple[int, int, float]:
    """Walk through steps, round and round, for a time; return how many were done, how many failed, and the seconds."""
    done = failed = 0
    started = now = time.perf_counter()
    ends = started + seconds
    while now < ends:
        for call, argument in plan:
            try:
                call(argument)
                done += 1
            except Exception:
                failed += 1
            now = time.perf_counter()
            if now >= ends:
                break
    return done, failed, now - started


def population(payload: Payload, seed: str) -> dict[FullKey, Any]:
    """Return the same entries for the same seed, so that processes need not hand them to each other."""
    from bench.payloads import new_key

    rng = Random(seed)
    return {new_key(rng): payload.make(index, rng) for index in range(_ROWS)}
