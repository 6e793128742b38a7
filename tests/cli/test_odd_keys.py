"""Keys and namespaces of characters that do not show: printed so that a command takes them again."""

from __future__ import annotations

import json
import re

import pytest

from cli.conftest import Command
from hitrate import SqliteCache

URL = "sqlite:///c.db"
KEYS = [
    "",
    " ",
    " k ",
    "\ud800",
    "a\udfff",
    "\x00",
    "\x1b[31m",
    "\x7f",
    "\x9b",
    "a\nb",
    "\t",
    "\u202egnp.exe",
    "\u00a0",
    "\U000e0041",
    '"quoted"',
    '"',
    "back\\slash",
    r"\x1b",
    "-x",
    "--json",
    "[1]",
    "snow\N{SNOWMAN}",
    "k",
]
PLAIN = ["back\\slash", r"\x1b", "[1]", "snow\N{SNOWMAN}", "k"]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_a_key_is_found_as_it_is_printed(hitrate: Command, key: str) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), each): (f"value of {each!r}", None) for each in KEYS})
        cache.set({(("one",), key): (1, None)})
    printed = re.split(r"  +\d+ bytes", hitrate("keys", URL, "one").out.splitlines()[1])[0]
    assert printed.isprintable()
    assert (printed == key) is (key in PLAIN)
    assert json.loads(hitrate("show", URL, "a", printed, "--json").out)["key"] == key
    assert hitrate("clear", URL, "--namespace", "a", "--key", printed, "--yes").out == "removed 1 entry\n"
    with SqliteCache("c.db", read_only=True) as cache:
        assert {entry.key for entry in cache.entries(("a",))} == {*KEYS} - {key}


@pytest.mark.parametrize("part", KEYS, ids=ascii)
def test_a_namespace_is_found_as_it_is_printed(hitrate: Command, part: str) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({((part, "b"), "k"): (1, None)})
    said = hitrate("ls", URL).out
    assert all(line.isprintable() for line in said.splitlines())
    (printed,) = re.findall(r"namespace (.*)\n", hitrate("keys", URL, json.dumps([part, "c"])).err)
    assert printed.isprintable()
    assert hitrate("keys", URL, "--json", "--", printed.replace("/c", "/b").replace('"c"', '"b"')).json[0]["key"] == "k"


def test_what_json_writes_of_a_key_is_that_key(hitrate: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), each): (1, None) for each in [*KEYS, "\N{GRINNING FACE}"]})
    for each in hitrate("keys", URL, "a", "--json").json:
        assert hitrate("show", URL, "a", json.dumps(each["key"])).out == "1\n"


def test_quotation_marks_that_hold_no_string_are_misuse(hitrate: Command) -> None:
    with SqliteCache("c.db"):
        pass
    answer = hitrate("show", URL, "a", '"open')
    assert answer.code == 2
    assert r'write "\"open" if it is the key' in answer.err


@pytest.mark.parametrize(
    "arguments", [["--key", "k"], ["--all", "--key", "k"], ["--namespace", "a", "--key", "k", "--larger-than", "1"]]
)
def test_a_key_goes_with_its_namespace_alone(hitrate: Command, arguments: list[str]) -> None:
    with SqliteCache("c.db"):
        pass
    assert hitrate("clear", URL, *arguments, "--yes").code == 2


def test_a_key_that_is_not_there_removes_nothing(hitrate: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "k"): (1, None)})
    assert "would remove 0 entries" in hitrate("clear", URL, "--namespace", "a", "--key", "l", "--dry-run").out
    assert hitrate("clear", URL, "--namespace", "a", "--key", "l", "--yes").out == "removed 0 entries\n"
