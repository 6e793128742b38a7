"""``hitrate stats``, ``ls``, ``keys`` and ``show``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from cli.conftest import Command
from hitrate import SqliteCache
from hitrate.serde.zstd import ZstdSerializer


@dataclass
class Report:
    title: str
    day: date


def test_stats_tell_entries_and_bytes(hitrate: Command, filled: str) -> None:
    told = hitrate("stats", filled, "--json").json
    with SqliteCache("c.db") as cache:
        stats = cache.stats()
    assert (told["entries"], told["bytes"]) == (stats.entries, stats.bytes) == (7, told["bytes"])
    assert f"entries  7\nbytes    {stats.bytes}" in hitrate("stats", filled).out


def test_ls_lists_each_namespace_with_what_it_holds(hitrate: Command, filled: str) -> None:
    told = hitrate("ls", filled, "--json").json
    assert [(each["namespace"], each["entries"]) for each in told] == [
        ([], 1),
        (["a"], 1),
        (["a", "0"], 2),
        (["a", "1"], 2),
        (["b/c", "é,"], 1),
    ]
    assert all(each["bytes"] > 0 and abs(each["oldest"] - time.time()) < 60 for each in told)


def test_the_tree_adds_up_what_is_below(hitrate: Command, filled: str) -> None:
    lines = hitrate("ls", filled).out.splitlines()
    assert [line.split("  ")[0] or line.strip().split("  ")[0] for line in lines][1:] == [
        "(the empty namespace)",
        "a",
        "0",
        "1",
        '"b/c"',
        "é,",
    ]
    assert lines[2].split()[:2] == ["a", "5"]


@pytest.mark.parametrize(("sort", "first"), [("name", "a"), ("entries", "b"), ("bytes", "c"), ("age", "c")])
def test_ls_sorts(hitrate: Command, sort: str, first: str) -> None:
    now = 1_000_000.0
    with SqliteCache("c.db", clock=lambda: now) as cache:
        cache.set({(("c",), "k"): ("x" * 1000, None)})
        now += 1
        cache.set({(("a",), "k"): (1, None), (("b",), "k"): (1, None), (("b",), "l"): (1, None)})
    assert hitrate("ls", "sqlite:///c.db", "--sort", sort).out.splitlines()[1].split()[0] == first


def test_keys_are_those_of_exactly_that_namespace(hitrate: Command, filled: str) -> None:
    told = hitrate("keys", filled, '["a", "1"]', "--json").json
    assert [each["key"] for each in told] == ["k1", "k3"]
    assert [each["key"] for each in hitrate("keys", filled, "a/1", "--json").json] == ["k1", "k3"]
    assert all(0 < each["expires"] - time.time() <= 3600 for each in told)
    assert [each["key"] for each in hitrate("keys", filled, "a", "--json").json] == ["\x1b[31m"]
    assert [each["key"] for each in hitrate("keys", filled, "a/1", "--json", "--limit", "1").json] == ["k1"]


def test_a_limit_that_leaves_something_out_is_told(hitrate: Command, filled: str) -> None:
    answer = hitrate("keys", filled, "a/0", "--limit", "1")
    assert "k2" not in answer.out
    assert "--limit 0" in answer.err
    assert hitrate("keys", filled, "a/0", "--limit", "2").err == ""


def test_one_long_name_does_not_widen_every_line_of_a_pipe(hitrate: Command) -> None:
    with SqliteCache[int]("c.db") as cache:
        cache.set({(("a",), key): (1, None) for key in ("k", "x" * 10_000)} | {(("y" * 10_000,), "k"): (1, None)})
    title, *rows = hitrate("keys", "sqlite:///c.db", "a").out.splitlines()
    assert sorted(map(len, [title, *rows]))[-2] < 150
    assert [row.split()[0] for row in rows] == ["k", "x" * 10_000]
    lines = hitrate("ls", "sqlite:///c.db").out.splitlines()
    assert sorted(map(len, lines))[-2] < 150
    assert lines[-1].startswith("y" * 10_000 + " ")


def test_what_a_key_holds_does_not_command_the_terminal(hitrate: Command, filled: str) -> None:
    assert "\x1b" not in hitrate("keys", filled, "a").out
    assert r"\x1b[31m" in hitrate("keys", filled, "a").out
    assert "\x1b" not in hitrate("show", filled, "a", "\x1b[3lm").err


def test_show_decodes_what_needs_no_class_of_the_program(hitrate: Command, filled: str) -> None:
    assert hitrate("show", filled, "a/1", "k3").out == "xxx\n"
    assert hitrate("show", filled, "a", "\x1b[31m").out == "{1, 2}\n"
    told = hitrate("show", filled, "[]", "root", "--json").json
    assert (told["value"], told["decoded"], told["encoding"]) == (None, True, "null")


def test_show_tells_the_structure_of_what_it_cannot_decode(shell: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "k"): ([Report("Rome", date(2026, 1, 2))], None)})
    answer = shell("show", "sqlite:///c.db", "a", "k", "--json").json  # a process that does not have this module
    assert answer["decoded"] is False
    assert answer["value"] == [
        {"class": f"{__name__}:Report", "state": [{"title": "Rome", "day": "datetime.date(2026, 1, 2)"}]}
    ]


def test_show_opens_what_was_compressed(hitrate: Command) -> None:
    with SqliteCache("c.db", serde=ZstdSerializer(min_size=1)) as cache:
        cache.set({(("a",), "k"): ("long" * 1000, None)})
    assert hitrate("show", "sqlite:///c.db", "a", "k", "--full").out == "long" * 1000 + "\n"


def test_a_long_value_is_cut_and_said_to_be(hitrate: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "k"): ("x" * 1_000_000, None)})
    answer = hitrate("show", "sqlite:///c.db", "a", "k")
    assert len(answer.out) == 10_001
    assert "990000 more characters" in answer.err
    assert len(hitrate("show", "sqlite:///c.db", "a", "k", "--full").out) == 1_000_001


def test_a_key_that_is_not_there_is_a_no(hitrate: Command, filled: str) -> None:
    answer = hitrate("show", filled, "a/1", "nope")
    assert (answer.code, answer.out) == (1, "")
    assert "'nope'" in answer.err


def test_nothing_is_written_to_a_file_that_is_looked_at(hitrate: Command, filled: str) -> None:
    path = Path("c.db")
    before = path.read_bytes(), path.stat().st_mtime_ns
    for arguments in (["stats"], ["ls"], ["keys", "a/1"], ["show", "a/1", "k1"], ["clear", "--all", "--dry-run"]):
        assert hitrate(arguments[0], filled, *arguments[1:]).code == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert os.listdir() == ["c.db"]


@pytest.mark.parametrize("url", ["SQLITE:///no.db", " sqlite:///no.db", "memory:+Sqlite:///no.db"])
def test_no_spelling_of_a_url_makes_a_file(hitrate: Command, tmp_path: Path, url: str) -> None:
    assert hitrate("stats", url).code == 3
    assert [*tmp_path.iterdir()] == []


def test_a_file_in_use_is_looked_at_as_it_is(hitrate: Command, filled: str) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("new",), "k"): (1, None)})
        assert hitrate("stats", filled, "--json").json["entries"] == 8
        cache.set({(("new",), "l"): (1, None)})
        assert hitrate("stats", filled, "--json").json["entries"] == 9


def test_a_pipe_that_closes_ends_the_command(filled: str) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("many",), f"{i}"): (1, None) for i in range(20_000)})
    with subprocess.Popen(
        [sys.executable, "-m", "hitrate", "keys", filled, "many", "--json", "--limit", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert (running.stderr.read(), running.wait(100)) == (b"", 141)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_that_lacks_characters_is_no_failure(shell: Command, encoding: str) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "\N{SNOWMAN}\ud800"): ("\N{SNOWMAN}\ud800", None)})
    for arguments in (["ls"], ["keys", "a"], ["keys", "a", "--json"]):
        answer = shell(arguments[0], "sqlite:///c.db", *arguments[1:], PYTHONIOENCODING=encoding)
        assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize(
    "value", [1 << 50_000, [-(1 << 50_000)], {"n": (1 << 50_000,)}], ids=["alone", "listed", "within"]
)
def test_a_number_longer_than_python_writes_is_shown(hitrate: Command, value: object) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "k"): (value, None)})
    assert "0x10000" in hitrate("show", "sqlite:///c.db", "a", "k").out
    assert "0x10000" in json.dumps(hitrate("show", "sqlite:///c.db", "a", "k", "--json").json)


def test_of_a_huge_value_no_more_is_spelled_than_is_shown(hitrate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "k"): ({"raw": b"\x01" * 2_000_000, "rest": list(range(100))}, None)})
    monkeypatch.setattr("hitrate.cli.values.pformat", lambda *args, **options: pytest.fail("all of it is spelled"))
    answer = hitrate("show", "sqlite:///c.db", "a", "k")
    assert answer.out.startswith("{\n  'raw': b'\\x01\\x01")
    assert len(answer.out) == 10_001
    assert answer.err == "there is more; --full for all\n"
