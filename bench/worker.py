"""Runs one experiment in this process: reads what to do from standard input, tells its progress on standard output."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from bench.contenders import Missing
from bench.experiments.base import Conditions, Samples


def main() -> None:
    """Run the experiment; every line printed is a JSON object with ``progress``, ``samples`` or ``missing`` in it."""
    try:
        samples = measure(json.load(sys.stdin), lambda text: _say(progress=text))
    except Missing as error:
        _say(missing=str(error))
    else:
        _say(samples=samples)


def measure(order: dict[str, Any], progress: Callable[[str], None]) -> Samples:
    """Run an experiment; return its samples."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=order["folder"]) as folder:
        conditions = Conditions(
            quick=order["quick"],
            folder=Path(folder),
            rng=Random(order["seed"]),
            allow_missing=order["allow_missing"],
            progress=progress,
        )
        experiment = import_module(f"bench.experiments.{order['experiment']}")
        samples: Samples = experiment.measure(conditions, **order["what"])
    return samples


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
