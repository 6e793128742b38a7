"""What an import costs, in an interpreter of its own each time."""

from __future__ import annotations

import subprocess
import sys

from bench.contenders import Missing
from bench.experiments.base import Conditions, Samples

_CODE = """
import time
started = time.perf_counter_ns()
{statement}
print(time.perf_counter_ns() - started)
"""


def measure(conditions: Conditions, *, statements: dict[str, str]) -> Samples:
    """Measure the time of import statements, by contender; the interpreter's own start is not in it."""
    rounds = 5 if conditions.quick else 15
    samples: dict[str, list[float]] = {}
    for name, statement in statements.items():
        # Bytecode is written and files come into the page cache; what is not installed is noticed.
        if _time(statement) is None:
            if not conditions.allow_missing:
                raise Missing(name, ImportError(statement))
        else:
            samples[name] = []
    for number in range(rounds):
        conditions.progress(f"round {number + 1} of {rounds}")
        for name in conditions.rng.sample(list(samples), len(samples)):
            elapsed = _time(statements[name])
            assert elapsed is not None
            samples[name].append(elapsed)
    return {"import": samples}


def _time(statement: str) -> float | None:
    command = [sys.executable, "-I", "-c", _CODE.format(statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) / 1000 if done.returncode == 0 else None
