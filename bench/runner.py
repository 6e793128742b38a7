"""Runs experiments, each in a fresh process, so that none inherits another's memory, caches or threads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cells import Cell
from bench.score import summarise

ROOT = Path(__file__).resolve().parents[1]


class BenchError(Exception):
    """An experiment could not be run."""


@dataclass(frozen=True)
class Options:
    """How to run.

    Args:
        quick: fewer rounds, a tenth of the rows.
        seed: decides keys, values and the order of turns.
        allow_missing: leave out contenders that are not installed instead of giving up.
        folder: where files are put, the system's folder for temporary files when None.
    """

    quick: bool = False
    seed: int = 1
    allow_missing: bool = False
    folder: str | None = None


def experiments(cells: list[Cell]) -> Iterator[list[Cell]]:
    """Yield the cells in groups that one run fills together."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(json.dumps([cell.experiment, cell.what]), []).append(cell)
    yield from groups.values()


def run(cells: list[Cell], options: Options, progress: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Run the experiment that fills these cells; return their results by name.

    Raises:
        BenchError: a contender is missing, or the experiment failed.
    """
    first = cells[0]
    order = {
        "experiment": first.experiment,
        "what": first.what,
        "quick": options.quick,
        "seed": f"{options.seed} {first.name}",
        "allow_missing": options.allow_missing,
        "folder": options.folder,
    }
    samples = _samples(order, progress)
    return {
        cell.name: {**summarise(cell, samples[cell.part]), "quick": options.quick, **_course(cell, samples)}
        for cell in cells
    }


def _course(cell: Cell, samples: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Return how a number came about over time, or the curves of percentiles it is the end of, where there are any."""
    course = samples.get(f"{cell.part} by time")
    curves = samples.get(f"{cell.part} by percentile")
    return {
        **({} if course is None else {"course": {at: numbers[0] for at, numbers in course.items()}}),
        **({} if curves is None else {"curves": curves}),
    }


def _samples(order: dict[str, Any], progress: Callable[[str], None]) -> dict[str, dict[str, list[float]]]:
    answer: dict[str, Any] = {}
    command = [sys.executable, "-m", "bench.worker"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        with worker.stdin as stdin:
            json.dump(order, stdin)
        for line in worker.stdout:
            answer = json.loads(line)
            if "progress" in answer:
                progress(answer["progress"])
    if "missing" in answer:
        raise BenchError(answer["missing"])
    if worker.returncode or "samples" not in answer:
        raise BenchError(f"the experiment {order['experiment']} {order['what']} failed")
    samples: dict[str, dict[str, list[float]]] = answer["samples"]
    return samples
