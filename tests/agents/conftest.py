"""What the tests of agents are given: each kind of cache, and each face to run an agent through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sample_agents import Calls, Run

import hitrate
import hitrate.langgraph
from hitrate.testing import Clock
from servers.valkey import running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls() -> Calls:
    """How often each model and tool ran."""
    return Calls()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a server for these tests."""
    with running() as server:
        yield server.unix_url


# Each store, each kind of house: what a cache for graphs does besides is the same on all stores but memory.
@pytest.fixture(params=["memory", "redis", "graph memory", "graph sqlite"])
def open_cache(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Any]]:
    """A function that opens a cache of each kind in turn, plain ones and those for graphs."""
    kind = request.param.rpartition(" ")[2]
    house: Any = hitrate.langgraph if request.param.startswith("graph") else hitrate
    server = request.getfixturevalue("redis_server") if kind == "redis" else ""
    with ExitStack() as at_the_end:

        def open_one(**options: Any) -> Any:
            options.setdefault("clock", clock)
            if kind == "memory":
                cache: Any = house.InMemoryCache(**options)
            elif kind == "redis":
                cache = house.RedisCache(server, prefix=f"{tmp_path}:", **options)
            else:
                cache = house.SqliteCache(path=tmp_path / "cache.db", **options)
            return at_the_end.enter_context(cache)

        yield open_one


@pytest.fixture
def cache(open_cache: Callable[..., Any]) -> Any:
    """A cache of each kind in turn."""
    return open_cache()


@pytest.fixture
def in_memory(clock: Clock) -> Iterator[Any]:
    """A cache in memory, where the kind of it makes no difference."""
    with hitrate.InMemoryCache[Any](clock=clock) as cache:
        yield cache


@pytest.fixture(params=["invoke", "ainvoke"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs an agent or a model through each face in turn."""

    def run_it(agent: Any, given: Any, config: Any = None, **options: Any) -> Any:
        if request.param == "invoke":
            return agent.invoke(given, config, **options)
        return asyncio.run(agent.ainvoke(given, config, **options))

    return run_it
