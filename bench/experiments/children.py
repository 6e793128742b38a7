"""Processes of an experiment: each runs one function in a fresh interpreter and answers with what it returned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def ask(module: str, *arguments: object) -> Any:
    """Run a module with arguments and return the JSON that it prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a module that reads commands from its standard input and answers each with a line of JSON."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
