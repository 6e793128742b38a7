"""The command on caches that servers keep."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from cli.conftest import Command
from hitrate import open as open_cache
from hitrate.cli.caches import changing
from servers.shared import PATIENT_URL


@pytest.fixture(params=["redis", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    name = uuid4().hex[:12]
    server: str = request.getfixturevalue(f"{request.param}_url")
    joint = "&" if "?" in server else "?"
    url = f"{server}{joint}{PATIENT_URL}&{'prefix=' + name + ':' if request.param == 'redis' else 'table=t' + name}"
    with open_cache(url) as cache:
        cache.set({(("a", str(i % 3)), f"k{i}"): ("x" * i, None) for i in range(30)})
        yield url
        cache.clear()


def test_it_is_looked_into_and_cleared(hitrate: Command, url: str) -> None:
    assert hitrate("stats", url, "--json").json["entries"] == 30
    assert [(each["namespace"], each["entries"]) for each in hitrate("ls", url, "--json").json] == [
        (["a", str(i)], 10) for i in range(3)
    ]
    assert len(hitrate("keys", url, "a/1", "--json").json) == 10
    assert hitrate("show", url, "a/1", "k4").out == "xxxx\n"
    assert hitrate("check", url).out == "30 entries, all in order\n"
    assert hitrate("clear", url, "--expired", "--yes").code == 0
    assert hitrate("clear", url, "--namespace", "a/1", "--yes", "--json").json["entries"] == 10
    assert hitrate("clear", url, "--larger-than", "0", "--under", "a/2", "--yes", "--json").json["entries"] == 10
    assert hitrate("stats", url, "--json").json["entries"] == 10
    assert hitrate("compact", url).code == 1


def test_what_has_expired_in_postgresql_is_counted_and_removed(hitrate: Command, postgres_url: str) -> None:
    joint = "&" if "?" in postgres_url else "?"
    url = f"{postgres_url}{joint}table=t{uuid4().hex[:12]}"
    with open_cache(url, clock=lambda: 1000.0) as cache:
        cache.set({(("a",), f"{i}"): (i, 10.0 if i % 2 else None) for i in range(400)})
        assert "200 entries that have expired" in hitrate("clear", url, "--expired", "--dry-run").out
        assert hitrate("clear", url, "--expired", "--yes", "--json").json["entries"] == 200
        assert "would remove 0" in hitrate("clear", url, "--expired", "--dry-run").out
        assert hitrate("stats", url, "--json").json["entries"] == 200
        cache.clear()


def relations(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT count(*) FROM pg_class WHERE starts_with(relname, %s)", [table])
        (count,) = rows.fetchone() or (0,)
    return int(count)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["stats"], ["ls"], ["keys", "a"], ["show", "a", "k"], ["export", "x.export"], ["compact"]),
        *(["check"], ["check", "--repair"]),
        *(["clear", "--all", "--yes"], ["clear", "--all", "--dry-run"], ["clear", "--expired", "--yes"]),
    ],
    ids=" ".join,
)
def test_a_table_that_is_not_there_is_told_and_not_made(
    hitrate: Command, postgres_url: str, arguments: list[str]
) -> None:
    table = f"t{uuid4().hex[:12]}"
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}table={table}"
    for each in (url, f"memory:+{url}"):
        answer = hitrate(arguments[0], each, *arguments[1:])
        assert (answer.code, answer.out) == (3, "")
        assert f"there is no table {table}" in answer.err.replace('"', "")
    assert relations(postgres_url, table) == 0


def test_a_command_evicts_nothing_by_a_limit_of_its_own(postgres_url: str) -> None:
    for url in (postgres_url, f"memory:?max_bytes=1000+{postgres_url}", "sqlite:///c.db", "memory:+sqlite:///c.db"):
        with changing(url, make=True) as cache:
            assert cache._open_store().limits == (None, None)
    for url in ("sqlite:///c.db?max_bytes=10000000", "memory:+sqlite:///c.db?max_bytes=10000000"):
        with changing(url) as cache:
            assert cache._open_store().limits == (None, 10_000_000)


def test_entries_of_unknown_age_stay_and_are_told(hitrate: Command, redis_url: str) -> None:
    url = f"{redis_url}?{PATIENT_URL}&prefix={uuid4().hex}:"
    with open_cache(url) as cache:
        cache.set({(("a",), f"k{i}"): ("x" * i, None) for i in range(30)})
        answer = hitrate("clear", url, "--older-than", "0s", "--under", "a", "--yes")
        assert answer.out == "removed 0 entries\n"
        assert "30 entries stay: nothing here tells when they were stored" in answer.err
        assert cache.stats().entries == 30
        cache.clear()
