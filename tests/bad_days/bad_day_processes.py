"""Other processes that a test starts, talks to by lines, kills, and waits for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parent)
_MAIN = "import json, sys, {} as children; getattr(children, sys.argv[1])(*json.loads(sys.argv[2]))"


class Other(subprocess.Popen[str]):
    """A Python process that runs one function of ``bad_day_children``, with every warning an error.

    Attributes:
        module: where the function is.
        folder: where the module is.
    """

    module = "bad_day_children"
    folder = HERE

    def __init__(self, function: str, *args: Any, **options: Any) -> None:
        main = _MAIN.format(self.module)
        command = [sys.executable, "-W", "error", "-c", main, function, json.dumps(args, default=str)]
        super().__init__(
            command,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            **options,
        )

    def line(self) -> str:
        """Return the next line it says; a process that ends instead is a failure."""
        line = self.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise AssertionError(f"it ended with {self.wait(30)}: {self.stderr.read()}")  # type: ignore[union-attr]
        return line.rstrip("\n")

    def tell(self, line: str) -> None:
        """Say a line to it."""
        self.stdin.write(line + "\n")  # type: ignore[union-attr]
        self.stdin.flush()  # type: ignore[union-attr]

    def end(self, seconds: float = 120) -> list[str]:
        """Wait until it has ended well, with nothing on stderr; return the lines that it had still to say."""
        out, err = self.communicate(timeout=seconds)
        if self.returncode != 0 or err:
            raise AssertionError(f"it ended with {self.returncode}: {err}")
        return out.splitlines()


@contextmanager
def other(function: str, *args: Any) -> Iterator[Other]:
    """Have another process for a while; it does not outlive the block."""
    process = Other(function, *args)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run(function: str, *args: Any) -> Any:
    """Run a function in a process of its own; return what it said last, as JSON, or None."""
    with other(function, *args) as process:
        lines = process.end()
    return json.loads(lines[-1]) if lines else None


def run_each(*calls: tuple[Any, ...]) -> list[Any]:
    """Run functions with their arguments, each in a process of its own; return what they said, as JSON.

    They are forked from one process, which has imported what they need.
    """
    with other("each", [(function, arguments) for function, *arguments in calls]) as process:
        return [json.loads(line) for line in process.end()]


@contextmanager
def others(count: int, function: str, *args: Any) -> Iterator[list[Other]]:
    """Have several processes, each told its number as the last argument, all past their imports."""
    processes = [Other(function, *args, number) for number in range(count)]
    try:
        for process in processes:
            assert process.line() == "ready"
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def eventually(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what a condition gives once that is truthy; failing to become so in time is a failure."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)
    return result
