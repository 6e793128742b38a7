"""What a user can do wrong: each gets a sentence and an exit code, and nothing is made or changed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from cli.conftest import Command
from hitrate import SqliteCache

READS = [["stats"], ["ls"], ["keys", "a"], ["show", "a", "k"]]
CHANGES = [["clear", "--all", "--yes"], ["check"], ["check", "--repair"], ["compact"], ["export", "x.export"]]


def make_another_programs() -> None:
    con = sqlite3.connect("c.db")
    con.execute("PRAGMA user_version = 7")
    con.execute("CREATE TABLE t (a)")
    con.close()


def make_newer() -> None:
    con = apsw.Connection("c.db")
    con.pragma("application_id", 0x68747274)
    con.pragma("user_version", 99)
    con.close()


FILES = {
    "not there": (lambda: None, "is not there"),
    "empty": (lambda: Path("c.db").touch(), "no tables of hitrate's"),
    "junk": (lambda: Path("c.db").write_bytes(b"junk" * 5000), "damaged"),
    "a folder": (lambda: Path("c.db").mkdir(), "not a regular file"),
    "another program's": (make_another_programs, "another program"),
    "newer": (make_newer, "newer hitrate"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("arguments", [*READS, *CHANGES], ids=" ".join)
def test_a_file_that_is_no_cache_gets_a_sentence_and_stays(hitrate: Command, kind: str, arguments: list[str]) -> None:
    make, says = FILES[kind]
    make()
    before = Path("c.db").read_bytes() if Path("c.db").is_file() else None
    answer = hitrate(arguments[0], "sqlite:///c.db", *arguments[1:])
    assert (answer.code, answer.out) == (3, "")
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert os.listdir() == ([] if kind == "not there" else ["c.db"])
    assert before is None or Path("c.db").read_bytes() == before


def test_a_locked_file_gets_a_sentence(hitrate: Command, filled: str) -> None:
    con = apsw.Connection("c.db")
    con.execute("BEGIN IMMEDIATE")
    assert hitrate("stats", filled).code == 0
    answer = hitrate("clear", filled, "--all", "--yes")
    con.close()
    assert answer.code == 3
    assert "locked" in answer.err
    assert hitrate("stats", filled, "--json").json["entries"] == 7


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats"],
        ["stats", "c.db"],
        ["stats", "memory:"],
        ["stats", "nosuch://x"],
        ["stats", "sqlite:///"],
        ["stats", "sqlite:///c.db?max_bytes=many"],
        ["stats", "sqlite:///c.db?nosuch=1"],
        ["keys", "sqlite:///c.db", '["a"'],
        ["keys", "sqlite:///c.db", ""],
        ["keys", "sqlite:///c.db", "a/"],
        ["ls", "sqlite:///c.db", "/a"],
        ["export", "sqlite:///c.db", "x.export", "--under", "a//b"],
        ["clear", "sqlite:///c.db", "--yes", "--under", ""],  # the variable of a script that is not set
        ["clear", "sqlite:///c.db", "--yes", "--namespace", ""],
        ["keys", "sqlite:///c.db", "[1]"],
        ["keys", "sqlite:///c.db", "[" * 100_000],
        ["keys", "sqlite:///c.db", "a", "--limit", "-1"],
        ["ls", "sqlite:///c.db", "--sort", "colour"],
        ["clear", "sqlite:///c.db", "--older-than", "yesterday"],
        ["clear", "sqlite:///c.db", "--larger-than", "big"],
        ["nosuch"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_wrong_arguments_are_misuse(hitrate: Command, filled: str, arguments: list[str]) -> None:
    answer = hitrate(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err


def test_a_limit_may_be_any_number(hitrate: Command, filled: str) -> None:
    assert len(hitrate("keys", filled, "a/0", "--limit", "9" * 30, "--json").json) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        *(["stats"], ["ls"], ["keys", "a"], ["show", "a", "k"], ["check"], ["check", "--repair"], ["compact"]),
        *(["clear", "--all", "--yes"], ["clear", "--expired", "--yes"], ["clear", "--expired", "--dry-run"]),
        *(["export", "x.export"], ["serve", "--port", "0"]),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:1", "postgresql://me:secret@127.0.0.1:1/db"])
def test_a_server_that_is_down_gets_a_sentence_without_the_password(
    hitrate: Command, url: str, arguments: list[str]
) -> None:
    answer = hitrate(arguments[0], url, *arguments[1:])
    assert (answer.code, answer.out) == (3, "")
    assert "nothing listens there" in answer.err
    assert "secret" not in answer.err


@pytest.mark.parametrize("url", ["sqlite:///c.db+memory:", "memory:+memory:"])
def test_tiers_that_end_in_memory_are_told_from_an_empty_cache(hitrate: Command, filled: str, url: str) -> None:
    answer = hitrate("stats", url)
    assert (answer.code, answer.out) == (2, "")
    assert "within the process of its program" in answer.err


@pytest.mark.parametrize("arguments", [["stats"], ["ls"], ["keys", "a", "--json"], ["check"], ["show", "a/0", "k2"]])
def test_output_that_cannot_be_written_gets_a_sentence(filled: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "hitrate", arguments[0], filled, *arguments[1:]]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_output_that_is_closed_is_no_failure(filled: str) -> None:
    command = 'exec "$0" -m hitrate clear sqlite:///c.db --all --yes >&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with SqliteCache("c.db") as cache:
        assert cache.stats().entries == 0
