"""Traces: keys in the order in which programs of several kinds read them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random

ITEMS = 10_000
_RECENT = 600
_HOT_FOR = 10_000
"""Reads for which a hot set lasts."""
_LOOP = 1200

Trace = list[int]


def zipf(rng: Random, number: int, skew: float = 1.0, base: int = 0) -> Trace:
    """Return reads of items of which few are asked for often."""
    weights = [*accumulate(1 / rank**skew for rank in range(1, ITEMS + 1))]
    return [base + item for item in rng.choices(range(ITEMS), cum_weights=weights, k=number)]


def scans(rng: Random, number: int) -> Trace:
    """Return a Zipf trace in which ten times many keys are asked for once each: a sixth of all reads."""
    scan = number // 60
    often = zipf(rng, number - 10 * scan)
    step = len(often) // 10
    trace = []
    for turn in range(10):
        trace += often[turn * step : (turn + 1) * step]
        trace += range(1_000_000 + turn * scan, 1_000_000 + (turn + 1) * scan)
    return trace + often[10 * step :]


def shifting(rng: Random, number: int) -> Trace:
    """Return a Zipf trace whose items are all replaced every 10,000 reads."""
    trace: Trace = []
    while len(trace) < number:
        trace += zipf(rng, min(_HOT_FOR, number - len(trace)), base=ITEMS * (len(trace) // _HOT_FOR))
    return trace


def recent(rng: Random, number: int, base: int = 10_000_000) -> Trace:
    """Return a new key and then one of the last 600, in turns."""
    trace: Trace = []
    for new in range(-(-number // 2)):
        trace += (base + new, base + new - rng.randrange(min(_RECENT, new + 1)))
    return trace[:number]


def half(rng: Random, number: int) -> Trace:
    """Return reads that are of a Zipf trace or of a recent one, by the toss of a coin."""
    often, lately = iter(zipf(rng, number)), iter(recent(rng, number))
    return [next(often if rng.random() < 0.5 else lately) for _ in range(number)]


def loop(rng: Random, number: int) -> Trace:
    """Return 1,200 keys in order, again and again."""
    return [at % _LOOP for at in range(number)]


TRACES: dict[str, Callable[[Random, int], Trace]] = {
    "zipf-0.8": lambda rng, number: zipf(rng, number, 0.8),
    "zipf-1.0": zipf,
    "zipf-1.2": lambda rng, number: zipf(rng, number, 1.2),
    "scans": scans,
    "shifting": shifting,
    "recent": recent,
    "half": half,
    "loop": loop,
}
