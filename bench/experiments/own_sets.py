"""What a set takes at a limit, or beside entries with a TTL, against one that is not: both of our memory cache."""

from __future__ import annotations

from collections.abc import Callable

from bench.contenders import MEMORY, Calls, Contender, Terms, open_contender
from bench.experiments.base import Conditions, Samples
from bench.payloads import PAYLOADS, new_key
from bench.timing import Effort, Lane, take_turns

_LIMIT = 60_000_000
_BESIDE = {"limit": "below the limit", "beside": "no entry with a TTL"}


def measure(conditions: Conditions, *, payload: str, what: str) -> Samples:
    """Measure sets of new keys.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        what: ``"limit"`` (at a byte limit of 60 MB) or ``"beside"`` (one other entry has a TTL).
    """
    kind = PAYLOADS[payload]
    values = [kind.make(index, conditions.rng) for index in range(200)]
    ours = MEMORY["hitrate"]
    measured = open_contender(ours, payload=kind, terms=Terms(max_bytes=_LIMIT if what == "limit" else None))
    beside = open_contender(ours, payload=kind, terms=Terms(max_bytes=None))
    try:
        if what == "limit":
            while not measured.cache.stats().evictions:  # type: ignore[attr-defined]
                measured.store({new_key(conditions.rng): conditions.rng.choice(values) for _ in range(100)})
        else:
            measured.cache.set({(("bench", "other"), "key"): ("value", 3600)})  # type: ignore[attr-defined]
        lanes = [
            Lane("hitrate", _sets(measured, values, conditions), most=1000),
            Lane(_BESIDE[what], _sets(beside, values, conditions), most=1000),
        ]
        effort = Effort(rounds=15, block=0.003) if conditions.quick else Effort(rounds=60, block=0.006)
        return {"set": take_turns(lanes, effort, conditions.rng, progress=conditions.progress)}
    finally:
        measured.close()
        beside.close()


def _sets(contender: Contender, values: list[object], conditions: Conditions) -> Callable[[int], Calls]:
    rng = conditions.rng

    def block(number: int) -> Calls:
        return contender.sets([{new_key(rng): rng.choice(values)} for _ in range(number)])

    return block
