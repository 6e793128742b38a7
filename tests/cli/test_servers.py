"""The command on caches that servers keep."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from cli.conftest import Command
from hitrate import open as open_cache
from servers.postgres import postgres_url
from servers.valkey import redis_url

__all__ = ["postgres_url", "redis_url"]


@pytest.fixture(params=["redis", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    name = uuid4().hex[:12]
    server: str = request.getfixturevalue(f"{request.param}_url")
    joint = "&" if "?" in server else "?"
    url = f"{server}{joint}{'prefix=' + name + ':' if request.param == 'redis' else 'table=t' + name}"
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
