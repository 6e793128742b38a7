"""The time of decorating a function: its identity is described once, from the text of its file."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from bench.experiments.base import Conditions, Samples
from bench.timing import Effort, Lane, take_turns


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the program's own."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def made(model: str, limits: dict[str, int]) -> Callable[[str], str]:
    """Return a function that closes over its settings, under a decorator."""

    @timed
    def ask(question: str, *, words: int = 50) -> str:
        answer = f"{model}: {question}"
        if len(answer) > limits["characters"]:
            answer = answer[: limits["characters"]]
        return " ".join(answer.split()[:words])

    return ask


def measure(conditions: Conditions) -> Samples:
    """Measure a decoration of each of many functions.

    Args:
        conditions: how to run.
    """
    from hitrate import InMemoryCache, cached

    decorate = cached(InMemoryCache(), ttl=60)
    effort = Effort(rounds=15, block=0.01) if conditions.quick else Effort(rounds=60, block=0.02)
    lane = Lane(
        "hitrate",
        lambda count: (decorate, [made(f"model {number}", {"characters": number}) for number in range(count)]),
    )
    return {"decoration": take_turns([lane], effort, conditions.rng, progress=conditions.progress)}
