"""An interpreter that exits has nothing to say of what was interrupted, or is under way still."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

INTERRUPTED = """
import asyncio, sys, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")  # of coroutines that were interrupted before they were awaited
from bad_days.test_interrupts import A, ASYNC_OPERATIONS, B, KINDS, interrupted_at

cache = KINDS[sys.argv[2]](Path(sys.argv[3]))
line, again = 0, True
while again:
    line += 1
    cache.set({A: ("old", None), B: ("old", None)})
    do = ASYNC_OPERATIONS[sys.argv[4]](cache)

    async def main():
        await do()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    again = interrupted_at(line, lambda: loop.run_until_complete(main()))
    loop.close()
assert line > 10, line
"""

UNDER_WAY = """
import asyncio, sys, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")  # of tasks that were not begun
from bad_days.test_interrupts import A, B, C, KINDS

cache = KINDS[sys.argv[2]](Path(sys.argv[3]))

async def never():
    await asyncio.Event().wait()

async def main():
    cache.set({A: (1, None)})
    tasks = [cache.aget([A, B]), cache.aset({A: (2, None)}), cache.adelete([A]), cache.aclear([("a",)])]
    tasks += [cache.aget_or_compute(B, never), cache.aget_or_compute(C, never, lease=60)]
    tasks = [asyncio.ensure_future(each) for each in tasks]
    for task in tasks:
        task._log_destroy_pending = False  # asyncio's own word of each
    await asyncio.sleep(float(sys.argv[4]))
    return tasks

loop = asyncio.new_event_loop()
loop.set_debug(False)
tasks = loop.run_until_complete(main())
for task in asyncio.all_tasks(loop):
    task._log_destroy_pending = False
"""


def said(program: str, *arguments: str) -> str:
    """Run a program; return what it says on stderr."""
    command = [sys.executable, "-c", program, str(TESTS), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("operation", ["get", "set"])
def test_what_was_interrupted_is_not_told_of_at_exit(operation: str, tmp_path: Path) -> None:
    assert said(INTERRUPTED, "tiers", str(tmp_path), operation) == ""


@pytest.mark.parametrize("seconds", ["0", "0.02"])
@pytest.mark.parametrize("kind", ["memory", "file", "tiers"])
def test_what_is_under_way_is_not_told_of_at_exit(kind: str, seconds: str, tmp_path: Path) -> None:
    assert said(UNDER_WAY, kind, str(tmp_path), seconds) == ""
