from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitrate import SqliteCache
from hitrate.cli.app import run

URL = "sqlite:///c.db"


class Answer:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hitrate(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process."""

    def command(*arguments: str) -> Answer:
        capsys.readouterr()
        code = run(list(arguments))
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture
def shell() -> Command:
    """Run the command as a shell does."""

    def command(*arguments: str, stdin: Any = subprocess.DEVNULL, **env: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "hitrate", *arguments],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, **env},
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return command


@pytest.fixture
def filled() -> str:
    """The URL of a file with 7 entries in 4 namespaces."""
    with SqliteCache("c.db") as cache:
        cache.set({(("a", str(i % 2)), f"k{i}"): ("x" * i, 3600 if i % 2 else None) for i in range(4)})
        cache.set({(("b/c", "é,"), "k"): (1, None), ((), "root"): (None, None), (("a",), "\x1b[31m"): ({1, 2}, None)})
    return URL
