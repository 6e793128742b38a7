"""The time of a hit through a decorated function with small arguments."""

from __future__ import annotations

from bench.experiments.base import Conditions, Samples
from bench.timing import Effort, Lane, take_turns

_ARGUMENTS = 16


def answer(number: int) -> dict[str, object]:
    """Return a flat dict, which all copies take whole."""
    return {"number": number, "name": f"the name of {number}", "score": number / 7, "ok": True, "none": None}


def measure(conditions: Conditions) -> Samples:
    """Measure a hit of every decorator, in memory where it has the choice.

    Args:
        conditions: how to run.
    """
    effort = Effort(rounds=15, block=0.003) if conditions.quick else Effort(rounds=60, block=0.006)
    with conditions.memoisers() as memoisers:
        lanes = []
        for name, memoiser in memoisers.items():
            decorated = memoiser.over(answer)
            for _ in range(3):
                for argument in range(_ARGUMENTS):
                    if decorated(argument) != answer(argument):
                        raise AssertionError(f"{name} returned something else")
            lanes.append(Lane(name, lambda count, call=decorated: (call, [at % _ARGUMENTS for at in range(count)])))
        return {"hit": take_turns(lanes, effort, conditions.rng, progress=conditions.progress)}
