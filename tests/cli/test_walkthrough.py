"""The walk through in docs/operations.md: its commands print what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from cli.conftest import Command

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def steadied(text: str) -> str:
    """Without what differs from run to run: how long ago something was, and how well it compresses."""
    text = re.sub(r"\b(\d+ s|1 min|\d\d min|1 h)\b", "TIME", text)
    text = re.sub(r"(exported \d+ entries), \d+ bytes", r"\1", text)
    return re.sub(r" +", " ", text)


def test_its_commands_print_what_it_says(hitrate: Command) -> None:
    setup = re.search(r"## A walk through.*?```python\n(.*?)```", PAGE, re.DOTALL)
    assert setup
    exec(setup[1], {})
    steps = [step for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for step in block.split("$ ")[1:]]
    assert len(steps) == 10
    for step in steps:
        command, _, printed = step.partition("\n")
        answer = hitrate(*shlex.split(command)[1:])
        assert answer.code == 0
        assert steadied(answer.out + answer.err) == steadied(printed), command
