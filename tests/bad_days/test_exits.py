"""An interpreter that exits has nothing to say of what was interrupted, or is under way still."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]

INTERRUPTED = """
import asyncio
from bad_days.test_interrupts import A, ASYNC_OPERATIONS, B, KINDS, Interrupts

operation, folder = case()
warnings.simplefilter("ignore")  # of coroutines that were interrupted before they were awaited
cache = KINDS["tiers"](folder)
interrupts, again = Interrupts(), True
while again:
    cache.set({A: ("old", None), B: ("old", None)})
    do = ASYNC_OPERATIONS[operation](cache)

    async def main():
        await do()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    again = interrupts.at_next(lambda: loop.run_until_complete(main()))
    loop.close()
assert interrupts.passed > 10
"""

UNDER_WAY = """
import asyncio
from bad_days.test_interrupts import A, B, C, KINDS

(kind, seconds), folder = case()
warnings.simplefilter("ignore")  # of tasks that were not begun
cache = KINDS[kind](folder)

async def never():
    await asyncio.Event().wait()

async def main():
    cache.set({A: (1, None)})
    tasks = [cache.aget([A, B]), cache.aset({A: (2, None)}), cache.adelete([A]), cache.aclear([("a",)])]
    tasks += [cache.aget_or_compute(B, never), cache.aget_or_compute(C, never, lease=60)]
    tasks = [asyncio.ensure_future(each) for each in tasks]
    for task in tasks:
        task._log_destroy_pending = False  # asyncio's own word of each
    await asyncio.sleep(seconds)
    return tasks

loop = asyncio.new_event_loop()
loop.set_debug(False)
tasks = loop.run_until_complete(main())
for task in asyncio.all_tasks(loop):
    task._log_destroy_pending = False
"""

# A process for each case, forked where the program asks for its case: all that it imports before is there.
FORKING = """
import json, os, sys, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[1])

def case():
    for number, case in enumerate(json.loads(sys.argv[2])):
        folder = Path(str(number))
        folder.mkdir()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_CREAT), 2)
            return case, folder
        if os.waitpid(child, 0)[1]:
            sys.exit((folder / "said").read_text())
    sys.exit()
"""


def said(program: str, cases: list[Any], folder: Path) -> dict[str, str]:
    """Run a program for each case, each in a process of its own; return what each says on stderr, by case."""
    command = [sys.executable, "-c", FORKING + program, str(TESTS), json.dumps(cases)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return {str(case): (folder / str(number) / "said").read_text() for number, case in enumerate(cases)}


def test_what_was_interrupted_is_not_told_of_at_exit(tmp_path: Path) -> None:
    assert said(INTERRUPTED, ["get", "set"], tmp_path) == {"get": "", "set": ""}


def test_what_is_under_way_is_not_told_of_at_exit(tmp_path: Path) -> None:
    cases = [(kind, seconds) for kind in ("memory", "file", "tiers") for seconds in (0, 0.02)]
    assert said(UNDER_WAY, cases, tmp_path) == {str(case): "" for case in cases}
