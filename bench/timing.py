"""Contenders take turns: in every round each runs one small block of calls, in an order drawn anew."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from bench.contenders import Calls


@dataclass(frozen=True)
class Lane:
    """What one contender does in a block: ``block(n)`` returns n calls, made before the clock starts."""

    name: str
    block: Callable[[int], Calls]
    most: int = 100_000
    """Calls in a block at most."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Args:
        rounds: how many times each contender has its turn.
        block: seconds that a block takes, about.
    """

    rounds: int
    block: float


def time_calls(calls: Calls) -> int:
    """Return the nanoseconds that the calls take."""
    call, arguments = calls
    started = time.perf_counter_ns()
    for argument in arguments:
        call(argument)
    return time.perf_counter_ns() - started


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the cyclic collector out of what is timed, and what is there already out of the collector."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def calls_per_block(lane: Lane, seconds: float) -> int:
    """Return how many calls of a lane take about so long; it is warm afterwards."""
    if lane.most > 1:
        time_calls(lane.block(1))  # what a first call imports is not to pass for the time of each
    number = 1
    while True:
        elapsed = time_calls(lane.block(number)) / 1e9
        if elapsed > seconds / 4 or number >= lane.most:
            return max(1, min(lane.most, int(number * seconds / elapsed)))
        number = min(lane.most, number * 4)


def take_turns(
    lanes: list[Lane], effort: Effort, rng: Random, *, pause: float = 0.0, progress: Callable[[str], None] | None = None
) -> dict[str, list[float]]:
    """Return for each lane the microseconds of a call, round by round.

    Args:
        lanes: who takes turns.
        effort: how many rounds of what length.
        rng: draws the order within a round.
        pause: seconds between blocks, for what a contender does behind the scenes after it has returned.
        progress: told which round it is.
    """
    samples: dict[str, list[float]] = {lane.name: [] for lane in lanes}
    with no_collections():
        numbers = {lane.name: calls_per_block(lane, effort.block) for lane in lanes}
        for number in range(effort.rounds):
            if progress is not None:
                progress(f"round {number + 1} of {effort.rounds}")
            gc.collect()
            for lane in rng.sample(lanes, len(lanes)):
                calls = lane.block(numbers[lane.name])
                time.sleep(pause)
                samples[lane.name].append(time_calls(calls) / len(calls[1]) / 1000)
    return samples
