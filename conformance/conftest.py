"""What LangChain's own suites are run over: a cache of each kind, empty for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hitrate import InMemoryCache, RedisCache, SqliteCache
from servers.valkey import running


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with running() as server:
        yield server.unix_url


@pytest.fixture(params=["memory", "sqlite", "redis"])
def hitrate_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        cache: Any = InMemoryCache()
    elif request.param == "sqlite":
        cache = SqliteCache(path=tmp_path / "cache.db")
    else:
        cache = RedisCache(request.getfixturevalue("redis_url"), prefix=f"{tmp_path}:")
    with cache:
        yield cache
