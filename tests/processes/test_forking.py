"""The order of what happens at a fork, whatever was imported first."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

MODULES = ("hitrate.memory", "hitrate.sqlite", "hitrate.tiered", "hitrate.redis")

ORDER = """
import logging, os, sys
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
from hitrate import forking
from hitrate.exclusive import a_few_lines, within_lines

said = []
class Begun:
    def after_fork_in_child(self):
        said.append("begun anew")
begun, gone = Begun(), Begun()
forking.begin_anew(begun)
forking.begin_anew(gone)
del gone

def failing():
    raise OSError("one hook fails")
logging.lastResort = logging.NullHandler()
forking.log.addFilter(lambda record: said.append(str(record.exc_info[1])))

for turn in forking.Turn:
    forking.at_fork(
        turn,
        before=lambda turn=turn: said.append(f"before {turn.name}"),
        after_in_parent=lambda turn=turn: said.append(f"parent {turn.name}"),
        after_in_child=lambda turn=turn: said.append(f"child {turn.name}"),
    )
forking.at_fork(forking.Turn.LINES, after_in_child=failing)
pid = os.fork()
os.write(1, (", ".join(said) + "\\n").encode())
assert not within_lines()
if pid:
    os._exit(os.waitpid(pid, 0)[1])
os._exit(0)
"""

BEFORE = "before CACHES, before TIERS, before MEMORY, before STORES, before FILES, before LINES, "
PARENT = "parent LINES, parent FILES, parent STORES, parent MEMORY, parent TIERS, parent CACHES"
CHILD = "child LINES, one hook fails, child FILES, child STORES, begun anew, child MEMORY, child TIERS, child CACHES"


@pytest.mark.parametrize("order", list(itertools.permutations(MODULES))[::5])
def test_the_order_is_the_same_whatever_was_imported_first(order: tuple[str, ...]) -> None:
    run = subprocess.run([sys.executable, "-c", ORDER, *order], capture_output=True, text=True, check=True, timeout=60)
    assert sorted(run.stdout.splitlines()) == sorted([BEFORE + PARENT, BEFORE + CHILD])
    assert run.stderr == ""


def test_nothing_else_registers_hooks_of_its_own() -> None:
    spied = """
import os, sys
callers, register = [], os.register_at_fork
def spy(**hooks):
    callers.append(sys._getframe(1).f_globals["__name__"])
    register(**hooks)
os.register_at_fork = spy
import hitrate.memory, hitrate.sqlite, hitrate.tiered, hitrate.redis, hitrate.postgres, hitrate.stores.withholding
print(*[name for name in callers if name.startswith("hitrate")])
"""
    run = subprocess.run([sys.executable, "-c", spied], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["hitrate.forking"]
