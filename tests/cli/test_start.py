"""How the command starts: what it imports, and what a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LATE = ("rich", "asyncio", "hitrate.cache", "hitrate.stores.sqlite", "ormsgpack")


def imported(*arguments: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "hitrate", *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return {line.rpartition("|")[2].strip() for line in told.splitlines()}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_what_needs_no_cache_imports_none(arguments: list[str]) -> None:
    assert imported(*arguments).isdisjoint(LATE)


def test_looking_imports_what_it_uses(filled: str) -> None:
    names = imported("stats", filled)
    assert "hitrate.stores.sqlite" in names
    assert names.isdisjoint(("rich", "hitrate.stores.redis", "hitrate.stores.postgres", "pydantic"))


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("hitrate cl", ["clear"]),
        ("hitrate clear --ol", ["--older-than"]),
        ("hitrate import --from lang", ["langgraph", "langchain"]),
        ("hitrate ls --sort ", ["name", "entries", "bytes", "hits", "saved", "age"]),
    ],
)
def test_a_shell_completes_commands_options_and_choices(words: str, completed: list[str]) -> None:
    asked = {"_HITRATE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    command = [sys.executable, "-m", "hitrate"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **asked}).stdout
    assert [line.partition(",")[2] for line in told.splitlines()] == completed
