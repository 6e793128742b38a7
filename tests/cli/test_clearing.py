"""``hitrate clear``."""

from __future__ import annotations

import pytest

from cli.conftest import Command
from hitrate import SqliteCache


def entries(hitrate: Command, url: str) -> int:
    told: int = hitrate("stats", url, "--json").json["entries"]
    return told


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--all"], 0),
        (["--namespace", "a"], 6),
        (["--namespace", '["a", "1"]'], 5),
        (["--under", "a"], 2),
        (["--under", '["b/c"]'], 6),
        (["--larger-than", "0"], 0),
        (["--larger-than", "1MB"], 7),
        (["--older-than", "1h"], 7),
        (["--older-than", "0s", "--under", "a"], 2),
        (["--namespace", "[]"], 6),
    ],
)
def test_what_is_chosen_goes_and_the_rest_stays(hitrate: Command, filled: str, arguments: list[str], left: int) -> None:
    assert (
        f"would remove {7 - left} entr{'y' if left == 6 else 'ies'}"
        in hitrate("clear", filled, *arguments, "--dry-run").out
    )
    assert entries(hitrate, filled) == 7
    assert hitrate("clear", filled, *arguments, "--yes", "--json").json == {"entries": 7 - left, "dry_run": False}
    assert entries(hitrate, filled) == left


def test_it_does_not_clear_without_having_asked(hitrate: Command, shell: Command, filled: str) -> None:
    answer = shell("clear", filled, "--all")
    assert (answer.code, answer.out) == (2, "")
    assert "--yes" in answer.err
    assert entries(hitrate, filled) == 7


@pytest.mark.parametrize(
    "arguments", [[], ["--all", "--under", "a"], ["--expired", "--all"], ["--expired", "--larger-than", "1"]]
)
def test_a_choice_that_is_none_is_misuse(hitrate: Command, filled: str, arguments: list[str]) -> None:
    assert hitrate("clear", filled, *arguments, "--yes").code == 2
    assert entries(hitrate, filled) == 7


def test_what_has_expired_is_counted_and_removed(hitrate: Command) -> None:
    with SqliteCache("c.db", clock=lambda: 1000.0) as cache:
        cache.set({(("a",), f"{i}"): (i, 10.0 if i % 2 else None) for i in range(3000)})
    assert "1500 entries that have expired" in hitrate("clear", "sqlite:///c.db", "--expired", "--dry-run").out
    assert "removed 1500" in hitrate("clear", "sqlite:///c.db", "--expired", "--yes").out
    assert "would remove 0" in hitrate("clear", "sqlite:///c.db", "--expired", "--dry-run").out
    assert entries(hitrate, "sqlite:///c.db") == 1500


def test_older_goes_by_when_a_value_was_stored(hitrate: Command) -> None:
    with SqliteCache("c.db", clock=lambda: 1_000_000.0) as cache:
        cache.set({(("a",), "old"): (1, None)})
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "new"): (1, None)})
    hitrate("clear", "sqlite:///c.db", "--older-than", "7d", "--yes")
    assert [each["key"] for each in hitrate("keys", "sqlite:///c.db", "a", "--json").json] == ["new"]


def test_a_limit_of_the_program_is_not_undercut(hitrate: Command) -> None:
    with SqliteCache("c.db", max_bytes=None) as cache:
        cache.set({(("a",), f"{i}"): (i, None) for i in range(100)})
    assert hitrate("clear", "sqlite:///c.db", "--namespace", "none", "--yes").code == 0
    assert entries(hitrate, "sqlite:///c.db") == 100


def test_tiers_are_kept_as_the_caches_that_they_are_made_of(hitrate: Command) -> None:
    url = "memory:+sqlite:///c.db"
    with SqliteCache("c.db", clock=lambda: 1000.0) as cache:
        cache.set({(("a",), f"{i}"): ("x" * 1000, 10.0 if i % 2 else None) for i in range(300)})
    assert "150 entries that have expired" in hitrate("clear", url, "--expired", "--dry-run").out
    assert "removed 150" in hitrate("clear", url, "--expired", "--yes").out
    assert hitrate("clear", url, "--all", "--yes").code == 0
    told = hitrate("compact", url, "--json").json
    assert told["after"] < told["before"]
    assert hitrate("check", url).out == "0 entries, all in order\n"
