"""The memory that many small entries take, each contender in a process of its own.

Resident memory is what the machine gives away; it is read before and after, the entries being made one by one so that
nothing but the cache holds them.
"""

from __future__ import annotations

import gc
import json
import sys
from random import Random

from bench.contenders import MEMORY, Missing, open_contender
from bench.experiments.base import Conditions, Samples
from bench.experiments.children import ask
from bench.payloads import PAYLOADS, new_key

_ROUNDS = 1


def measure(conditions: Conditions, *, payload: str, rows: int) -> Samples:
    """Measure the bytes of an entry, key and value included.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        rows: entries; a tenth of them in a quick run.
    """
    number = rows // 10 if conditions.quick else rows
    rounds = 1 if conditions.quick else _ROUNDS
    samples: dict[str, list[float]] = {}
    for turn in range(rounds):
        for name in conditions.rng.sample(list(MEMORY), len(MEMORY)):
            conditions.progress(f"round {turn + 1} of {rounds}: {name}")
            answer = ask(__name__, name, payload, number, turn)
            if "missing" in answer:
                if not conditions.allow_missing:
                    raise Missing(name, ImportError(answer["missing"]))
                continue
            samples.setdefault(name, []).append(answer["bytes"])
    return {"bytes": samples}


def resident() -> int:
    """Return the bytes of memory that this process has."""
    try:
        import resource

        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _child(name: str, payload: str, number: int, seed: int) -> dict[str, object]:
    kind = PAYLOADS[payload]
    try:
        contender = open_contender(MEMORY[name], payload=kind)
    except Missing as error:
        return {"missing": str(error)}
    rng = Random(seed)
    for index in range(1000):
        contender.store({new_key(rng): kind.make(index, rng)})
    gc.collect()
    before = resident()
    for index in range(number):
        contender.store({new_key(rng): kind.make(index, rng)})
    gc.collect()
    return {"bytes": (resident() - before) / number}


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
