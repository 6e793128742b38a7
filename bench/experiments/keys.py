"""The time of making a key of a call's arguments, by the functions that make them from content."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random
from typing import Any

from bench.contenders import Calls, Missing
from bench.experiments.base import Conditions, Samples, cycled
from bench.payloads import text
from bench.timing import Effort, Lane, take_turns

_STATES = 50


def measure(conditions: Conditions, *, arguments: str) -> Samples:
    """Measure one key.

    Args:
        conditions: how to run.
        arguments: ``"state"``, a LangGraph state with 20 messages, or ``"small"``, an int, a str and a small dict.
    """
    make = {"state": _state, "small": _small}[arguments]
    calls = [make(number, conditions.rng) for number in range(_STATES)]
    functions = _functions(conditions)
    effort = Effort(rounds=15, block=0.003) if conditions.quick else Effort(rounds=60, block=0.006)
    lanes = [Lane(name, cycled(_calls(key, calls))) for name, key in functions.items()]
    return {"key": take_turns(lanes, effort, conditions.rng, progress=conditions.progress)}


def _calls(key: Callable[..., object], calls: list[tuple[Any, ...]]) -> Calls:
    return (lambda arguments: key(*arguments)), calls


def _functions(conditions: Conditions) -> dict[str, Callable[..., object]]:
    from hitrate import stable_key

    functions: dict[str, Callable[..., object]] = {"hitrate": stable_key}
    try:
        from langgraph._internal._cache import default_cache_key
    except ImportError as error:
        if not conditions.allow_missing:
            raise Missing("LangGraph", error) from error
    else:
        functions["LangGraph"] = default_cache_key
    return functions


def _small(number: int, rng: Random) -> tuple[Any, ...]:
    return number, text(rng, 20), {"k": 5, "model": text(rng, 8)}


def _state(number: int, rng: Random) -> tuple[Any, ...]:
    """Return five turns of a question, a tool call, its result and an answer, as a provider's client makes them."""
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

    def run() -> dict[str, Any]:
        usage = {"input_tokens": rng.randrange(5000), "output_tokens": 60, "total_tokens": 5060}
        metadata = {"model_name": "m-1", "finish_reason": "stop", "system_fingerprint": text(rng, 12), "logprobs": None}
        return {"id": f"run-{rng.getrandbits(128):032x}", "usage_metadata": usage, "response_metadata": metadata}

    turns = []
    for _ in itertools.repeat(None, 5):
        call = {"name": "search", "args": {"query": text(rng, 30), "limit": 5}, "id": f"call_{rng.getrandbits(96):x}"}
        turns += [
            HumanMessage(text(rng, 120), id=f"{rng.getrandbits(128):032x}"),
            AIMessage("", tool_calls=[call], **run()),
            ToolMessage(text(rng, 400), tool_call_id=call["id"], name="search", id=f"{rng.getrandbits(128):032x}"),
            AIMessage(text(rng, 200), **run()),
        ]
    return ({"messages": turns, "user": "u-1", "steps": number},)
