"""Caches to compute for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hitrate.langgraph
from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.serde.encrypted import EncryptedSerializer
from hitrate.testing import Clock


def _json_plus(path: Path, **options: Any) -> Any:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return InMemoryCache(serde=JsonPlusSerializer(), **options)


MAKERS: dict[str, Callable[..., Any]] = {
    "memory": lambda path, **options: InMemoryCache(**options),
    "file": lambda path, **options: SqliteCache(path=path, **options),
    "tiers": lambda path, **options: TieredCache(
        InMemoryCache(clock=options["clock"]), SqliteCache(path=path, clock=options["clock"]), **options
    ),
    "graph": lambda path, **options: hitrate.langgraph.InMemoryCache(**options),
    "jsonplus": _json_plus,
    "encrypted": lambda path, **options: SqliteCache(
        path=path, serde=EncryptedSerializer(key=os.urandom(32)), **options
    ),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, path: Path, clock: Clock) -> Iterator[Any]:
    with MAKERS[request.param](path, clock=clock) as cache:
        yield cache


@pytest.fixture(params=MAKERS)
def any_cache(request: pytest.FixtureRequest, path: Path, clock: Clock) -> Iterator[Any]:
    """A cache of each kind."""
    with MAKERS[request.param](path, clock=clock) as cache:
        yield cache


@pytest.fixture
def memory(clock: Clock) -> Iterator[Any]:
    with InMemoryCache(clock=clock) as cache:  # type: InMemoryCache[Any]
        yield cache
