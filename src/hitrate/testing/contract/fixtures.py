"""What the tests of a contract are given: a clock, a face, and caches that are closed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from hitrate.testing.capabilities import ask_for
from hitrate.testing.clock import Clock
from hitrate.testing.faces import ASYNC, SYNC, Driver, Face, opposite

MakeCache: TypeAlias = Callable[..., Any]

NAMESPACE = ("namespace",)
A, B, C = ((NAMESPACE, name) for name in "abc")
"""A namespace, and three keys in it."""


class Fixtures:
    """The fixtures of every contract; a backend gives ``make_cache``."""

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock that tests move; a backend hands it to its caches."""
        return Clock()

    @pytest.fixture
    def make_cache(self) -> MakeCache:
        """A function that makes a new, empty cache with the options given; each backend defines it."""
        raise NotImplementedError("give the contract a fixture `make_cache`: see hitrate.testing")

    @pytest.fixture
    def new_cache(self, make_cache: MakeCache) -> Iterator[MakeCache]:
        """As ``make_cache``; what it made is closed at the end, if it can be."""
        with ExitStack() as at_the_end:

            def new(**options: Any) -> Any:
                cache = make_cache(**options)
                close = getattr(cache, "close", None)
                if close is not None:
                    at_the_end.callback(close)
                return cache

            yield new

    @pytest.fixture
    def bounded_cache(self, new_cache: MakeCache) -> MakeCache:
        """As ``new_cache``, of a cache that offers ``max_bytes`` and ``max_entries``."""
        ask_for("bounds", new_cache())
        return new_cache

    @pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
    def face(self, request: pytest.FixtureRequest) -> Face:
        """Both faces in turn: a test that asks for it runs on each."""
        face: Face = request.param
        return face

    @pytest.fixture
    def cache(self, new_cache: MakeCache, face: Face) -> Iterator[Driver]:
        """A new cache, driven through each face in turn."""
        with face.open(new_cache()) as driver:
            yield driver

    @pytest.fixture
    def other(self, cache: Driver, face: Face) -> Iterator[Driver]:
        """That very cache, driven through the other face."""
        with opposite(face).open(cache.raw) as driver:
            yield driver
