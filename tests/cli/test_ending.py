"""The command is told to end in the middle of its work: what it leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

STANDS_STILL = """
import sys, threading, signal
from hitrate.cli import main, moving

def standing_still(*arguments, original=moving.records):
    yield from original(*arguments)
    print("begun", flush=True)
    while True:  # a signal that came just before a wait does not end it
        threading.Event().wait(0.05)

moving.records = standing_still
{before}
sys.argv = ["hitrate", *{arguments!r}]
main()
"""
"""A command that waits for signals when it has read all entries."""


def standing_still(*arguments: str, before: str = "") -> subprocess.Popen[str]:
    code = STANDS_STILL.format(arguments=arguments, before=before)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n", process.communicate()
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)]
)
def test_an_export_that_is_ended_leaves_no_part_of_a_file(tmp_path: Path, filled: str, number: int, code: int) -> None:
    process = standing_still("export", filled, "x.export")
    assert [*tmp_path.glob("x.export.part-*")]
    process.send_signal(number)
    _, err = process.communicate(timeout=100)
    assert process.returncode == code
    assert "Traceback" not in err
    assert [*tmp_path.glob("x.export*")] == []


def test_a_program_may_run_the_command_on_a_thread(filled: str) -> None:
    code = f"""
import sys, threading
from hitrate.cli import main
sys.argv = ["hitrate", "stats", {filled!r}]
threading.Thread(target=main).start()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert "entries  7" in done.stdout


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path, filled: str) -> None:
    ignoring = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = standing_still("export", filled, "x.export", before=ignoring)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 130
