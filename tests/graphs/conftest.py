"""What the tests of graphs are given: each kind of cache, and each face to run a graph through."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sample_graphs import Run

from hitrate.langgraph import InMemoryCache, RedisCache, SqliteCache
from hitrate.testing import Clock
from servers.valkey import running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a server for these tests."""
    with running() as server:
        yield server.unix_url


EVERY_KIND = ["memory", "sqlite", "redis"]


# What a cache for graphs does with messages, questions and keys, it does before a store is asked, in memory in a way of
# its own. Modules that ask more of a store have a fixture of this name with every kind.
@pytest.fixture(params=["memory", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """The kinds of cache to run graphs with."""
    return str(request.param)


@pytest.fixture
def open_cache(
    store_kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[Callable[..., Any]]:
    """A function that opens a cache of each kind in turn; what outlives one is found by the next."""
    server = request.getfixturevalue("redis_server") if store_kind == "redis" else ""
    with ExitStack() as at_the_end:

        def open_one(**options: Any) -> Any:
            options.setdefault("clock", clock)
            if store_kind == "memory":
                cache: Any = InMemoryCache(**options)
            elif store_kind == "redis":
                options.setdefault("timeout", 30.0)  # a busy machine makes no hit a miss
                cache = RedisCache(server, prefix=f"{tmp_path}:", **options)
            else:
                cache = SqliteCache(path=tmp_path / "cache.db", **options)
            return at_the_end.enter_context(cache)

        yield open_one


@pytest.fixture
def cache(open_cache: Callable[..., Any]) -> Any:
    return open_cache()


@pytest.fixture(params=["invoke", "ainvoke"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a graph through each face in turn, each run of the async one in an event loop of its own."""

    def run_it(graph: Any, given: Any, **options: Any) -> Any:
        if request.param == "invoke":
            return graph.invoke(given, **options)
        return asyncio.run(graph.ainvoke(given, **options))

    run_it.is_async = request.param == "ainvoke"  # type: ignore[attr-defined]
    return run_it


@pytest.fixture
def calls() -> Counter[str]:
    """How often each node was executed."""
    return Counter()
