"""A cache that was opened before a fork, used in the parent and in the child."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hitrate.testing.capabilities import ask_for
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Face
from hitrate.testing.forking import in_child

BEFORE, CHILD, PARENT = ((("fork",), name) for name in ("before", "child", "parent"))


# On each test: a mark on the class would hold for all tests of a contract that inherits it.
where_there_are_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


class Forks(Fixtures):
    """Forks"""

    @where_there_are_forks
    def test_a_cache_is_usable_after_a_fork(self, new_cache: MakeCache, face: Face) -> None:
        """A cache is usable after a fork, in the parent and in the child."""
        raw = new_cache()
        with face.open(raw) as cache:
            cache.set({BEFORE: (["before"], None)})
            cache.get([BEFORE])
            in_child(lambda: use(raw, face))
            cache.set({PARENT: (["parent"], None)})
            assert cache.get([BEFORE, PARENT]) == {BEFORE: ["before"], PARENT: ["parent"]}

    @where_there_are_forks
    def test_a_cache_is_usable_in_a_child_of_a_child(self, new_cache: MakeCache, face: Face) -> None:
        """A cache is usable in a child of a child."""
        raw = new_cache()
        with face.open(raw) as cache:
            cache.set({BEFORE: (["before"], None)})
            in_child(lambda: in_child(lambda: use(raw, face), seconds=10))
            assert cache.get([BEFORE]) == {BEFORE: ["before"]}


def use(raw: Any, face: Face) -> None:
    """What a child does: read what was stored before the fork, and store something of its own."""
    with face.open(raw) as cache:
        assert cache.get([BEFORE]) == {BEFORE: ["before"]}, "what was stored before the fork is lost"
        cache.set({CHILD: (["child"], None)})
        assert cache.get([BEFORE, CHILD]) == {BEFORE: ["before"], CHILD: ["child"]}


class BusyForks(Fixtures):
    """Forks under load"""

    @where_there_are_forks
    def test_a_fork_while_other_threads_use_the_cache(self, new_cache: MakeCache, face: Face) -> None:
        """A cache is usable in a child that was forked while other threads were using it."""
        raw = new_cache()
        ask_for("forks under load", raw)
        raw.set({BEFORE: (["before"], None)})
        done = threading.Event()

        def load() -> None:
            with face.open(raw) as cache:
                while not done.is_set():
                    cache.set({PARENT: (["parent"], None)})
                    cache.get([PARENT, BEFORE])

        with ThreadPoolExecutor(2) as threads:
            loads = [threads.submit(load) for _ in range(2)]
            try:
                for _ in range(10):
                    in_child(lambda: use(raw, face))
            finally:
                done.set()
            for each in loads:
                each.result()
        assert raw.get([BEFORE]) == {BEFORE: ["before"]}
