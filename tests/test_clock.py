"""A cache that is given no clock goes by `time.time`, and by what a test has put in its place."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import freezegun
import pytest

import hitrate.langgraph
from hitrate import InMemoryCache, PostgresCache, RedisCache, SqliteCache, TieredCache
from hitrate.testing.faces import ASYNC, SYNC, Face

A, B = ((("namespace",), name) for name in "ab")

Move = Callable[[float], Any]


@contextmanager
def by_freezegun() -> Iterator[Move]:
    with freezegun.freeze_time("2031-02-03", real_asyncio=True) as frozen:
        yield lambda seconds: frozen.tick(timedelta(seconds=seconds))


@contextmanager
def by_mock() -> Iterator[Move]:
    with patch("time.time", return_value=time.time() + 1000) as replaced:

        def move(seconds: float) -> None:
            replaced.return_value += seconds

        yield move


@contextmanager
def by_hand() -> Iterator[Move]:
    real, moved = time.time, [0.0]
    time.time = lambda: real() + moved[0]
    try:
        yield lambda seconds: moved.append(moved.pop() + seconds)
    finally:
        time.time = real


WAYS = {"freezegun": by_freezegun, "mock": by_mock, "by hand": by_hand}


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
def face(request: pytest.FixtureRequest) -> Face:
    found: Face = request.param
    return found


@pytest.fixture(scope="module")
def _names_that_import_have_done_so() -> None:
    """freezegun asks every module for every name. Some import more then, which fails with its dates in place."""
    asked: set[str] = set()
    while new := sys.modules.keys() - asked:
        asked |= new
        for module in [sys.modules[name] for name in new if name in sys.modules]:
            for name in dir(module):
                with suppress(Exception), warnings.catch_warnings(action="ignore"):
                    getattr(module, name)


@pytest.fixture(params=list(WAYS))
def moving(
    request: pytest.FixtureRequest, _names_that_import_have_done_so: None
) -> Callable[[], AbstractContextManager[Move]]:
    return WAYS[request.param]


@pytest.fixture(params=["memory", "sqlite", "sqlite in memory", "tiered", "redis", "graphs"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A cache that was opened before anything was put in the place of the clock."""
    name = request.param
    if name == "redis":
        cache: Any = RedisCache(request.getfixturevalue("redis_url"), prefix=f"test-{uuid4().hex}:")
    else:
        cache = opened(name, tmp_path)
    with cache:
        yield cache


def opened(name: str, tmp_path: Path) -> Any:
    return {
        "memory": lambda: InMemoryCache(),
        "sqlite": lambda: SqliteCache(path=tmp_path / "cache.db"),
        "sqlite in memory": lambda: SqliteCache(path=":memory:"),
        "tiered": lambda: TieredCache(InMemoryCache(), SqliteCache(path=tmp_path / "cache.db")),
        "graphs": lambda: hitrate.langgraph.SqliteCache(path=tmp_path / "cache.db"),
    }[name]()


def test_entries_expire_by_a_clock_that_was_put_in_place_after_the_cache_was_opened(
    cache: Any, face: Face, moving: Any
) -> None:
    with face.open(cache) as driver, moving() as move:
        driver.set({A: ("a", 60), B: ("b", 600)})
        move(59)
        assert driver.get([A, B]) == {A: "a", B: "b"}
        assert driver.get([A, B]) == {A: "a", B: "b"}
        move(1.5)
        assert driver.get([A, B]) == {B: "b"}
        move(3600)
        assert driver.get([A, B]) == {}
        driver.set({A: ("again", 60)})
        assert driver.get([A]) == {A: "again"}


def test_so_they_do_on_postgresql_if_it_is_opened_meanwhile(postgres_url: str, face: Face) -> None:
    with (
        by_freezegun() as move,
        PostgresCache[Any](postgres_url, table=f"t{uuid4().hex}") as cache,
        face.open(cache) as driver,
    ):
        driver.set({A: ("a", 60)})
        move(59)
        assert driver.get([A]) == {A: "a"}
        move(1)
        assert driver.get([A]) == {}


def test_what_is_computed_is_kept_and_stale_by_that_clock(tmp_path: Path, moving: Any) -> None:
    results = iter(range(10))
    with SqliteCache[Any](path=tmp_path / "cache.db") as cache, moving() as move:

        def value() -> Any:
            return cache.get_or_compute(A, lambda: next(results), 60, stale=60)

        assert value() == value() == 0
        move(121)
        assert value() == 1
        with InMemoryCache[Any]() as memory:
            assert memory.get_or_compute(A, lambda: next(results), 60) == 2
            move(61)
            assert memory.get_or_compute(A, lambda: next(results), 60) == 3


def test_the_seconds_saved_are_of_that_clock(moving: Any) -> None:
    with InMemoryCache[Any]() as cache, moving() as move:
        assert cache.get([A]) == {}
        move(5)
        cache.set({A: ("took five seconds", None)})
        cache.get([A])
        assert cache.stats().seconds_saved == pytest.approx(5, abs=0.5)
