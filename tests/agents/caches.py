"""A cache of each kind for tests that need no graph: what outlives one is found by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import hitrate.langgraph
from hitrate import InMemoryCache, RedisCache, SqliteCache

KINDS = ("memory", "sqlite", "redis", "graph memory")

OpenCache = Callable[..., Any]


def opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[OpenCache]:
    """Yield a function that opens caches of the kind that a fixture's parameter names."""
    with ExitStack() as at_the_end:

        def open_one(**options: Any) -> Any:
            if request.param == "memory":
                cache: Any = InMemoryCache(**options)
            elif request.param == "graph memory":
                cache = hitrate.langgraph.InMemoryCache(**options)
            elif request.param == "redis":
                cache = RedisCache(request.getfixturevalue("redis_url"), prefix=f"{folder}:", **options)
            else:
                cache = SqliteCache(path=folder / "cache.db", **options)
            return at_the_end.enter_context(cache)

        yield open_one
