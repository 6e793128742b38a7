"""Several processes on one cache file, nine reads for each write."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random

from bench.contenders import FILES, open_contender
from bench.experiments import mix
from bench.experiments.base import Conditions, Samples
from bench.experiments.children import start
from bench.payloads import PAYLOADS

_POPULATION = "processes"


def measure(conditions: Conditions, *, payload: str, processes: int) -> Samples:
    """Measure the time that goes by for each operation done, all processes together.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        processes: how many.
    """
    kind = PAYLOADS[payload]
    rounds, seconds = (4, 0.2) if conditions.quick else (15, 0.4)
    entries = mix.population(kind, _POPULATION)
    folders = {}
    with conditions.contenders(FILES, kind) as contenders:
        for name, contender in contenders.items():
            mix.prepare(contender, entries, conditions)
            folders[name] = contender.folder
    samples: dict[str, list[float]] = {}
    with ExitStack() as stack:
        teams = {}
        for name, folder in folders.items():
            conditions.progress(f"starting {processes} processes of {name}")
            team = [start(__name__, name, payload, folder, number) for number in range(processes)]
            for process in team:
                stack.callback(_end, process)
            teams[name] = team
        for team in teams.values():
            _run(team, seconds)
        for number in range(rounds):
            conditions.progress(f"round {number + 1} of {rounds}")
            for name in conditions.rng.sample(list(teams), len(teams)):
                samples.setdefault(name, []).append(_run(teams[name], seconds))
    return {"mix": samples}


def _run(team: list[subprocess.Popen[str]], seconds: float) -> float:
    """Return the microseconds of an operation."""
    for process in team:
        assert process.stdin is not None
        process.stdin.write(f"{seconds}\n")
    rate = 0.0
    for process in team:
        assert process.stdout is not None
        done, _failed, elapsed = json.loads(process.stdout.readline())
        rate += done / elapsed
    return 1e6 / rate


def _end(process: subprocess.Popen[str]) -> None:
    """Tell a process that there are no more commands, and wait for it."""
    with process:
        assert process.stdin is not None
        process.stdin.close()


def _child(name: str, payload: str, folder: str, number: int) -> None:
    kind = PAYLOADS[payload]
    contender = open_contender(FILES[name], payload=kind, folder=Path(folder))
    entries = mix.population(kind, _POPULATION)
    plan = mix.steps(contender, list(entries), list(entries.values()), Random(number))
    gc.collect()
    gc.disable()
    for line in sys.stdin:
        print(json.dumps(mix.run_for(plan, float(line))), flush=True)
    contender.close()


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
