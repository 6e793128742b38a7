"""Two acts over the documents of Python's standard library, each in two processes: cold, and from the cache.

``make demo`` runs it. First a graph makes an index of the documents (``graph_act.py``), then an agent answers questions
about them (``agent_act.py``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from argparse import SUPPRESS, ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

import agent_act
import graph_act
from screen import say


def main() -> int:
    """Run both acts, and compare what each did cold and warm.

    Returns:
        0 if each came to the same twice and did less the second time, 1 if not.
    """
    parser = ArgumentParser(description="Two acts over Python's standard library, each cold and from the cache.")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where the caches go, emptied first (.demo)")
    parser.add_argument("--library", default="", help="the folder of sources (Python's standard library)")
    parser.add_argument("--pace", type=float, default=0.4, help="seconds that the agent's model takes to answer (0.4)")
    parser.add_argument("--run", default="", help=SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run_here(given)
        return 0
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    say("First act: a graph makes an index of the documents.\n")
    failed = both_runs(given, "graph", graph_act)
    say("\nSecond act: an agent answers questions about them.\n")
    return both_runs(given, "agent", agent_act) or failed


def both_runs(given: Namespace, act: str, module: Any) -> int:
    """Run an act twice, each time in a process of its own; show and judge it, and return the exit code."""
    cold, cold_process = in_a_process(given, f"{act} cold", module.Account)
    warm, warm_process = in_a_process(given, f"{act} warm", module.Account)
    module.show(cold, warm, (cold_process, warm_process))
    code: int = module.judge(cold, warm)
    return code


def in_a_process(given: Namespace, run: str, kind: type[Any]) -> tuple[Any, float]:
    """Make a run in a process of its own; return its account and how long the process took."""
    started = time.perf_counter()
    where = ["--folder", str(given.folder), "--library", given.library, "--pace", str(given.pace)]
    subprocess.run([sys.executable, __file__, "--run", run, *where], check=True)
    seconds = time.perf_counter() - started
    return kind(**json.loads(account_of(given.folder, run).read_text())), seconds


def run_here(given: Namespace) -> None:
    """Make a run in this process, and leave its account in the folder."""
    from library import standard_library

    act, label = given.run.split()
    library = given.library or standard_library()
    account: Any
    if act == "graph":
        account = graph_act.run(label, given.folder, library)
    else:
        account = agent_act.run(label, given.folder, library, given.pace)
    account_of(given.folder, given.run).write_text(json.dumps(asdict(account)))


def account_of(folder: Path, run: str) -> Path:
    """Return the file that the account of a run is in."""
    return folder / f"{run}.json"


if __name__ == "__main__":
    sys.exit(main())
