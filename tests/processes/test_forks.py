"""Forks while a key is being computed: the child waits for nobody who is not there, and shares what is computed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bad_days.bad_day_children import ended, fork
from hitrate import InMemoryCache, SqliteCache

KEY = (("computed",), "key")


def while_a_thread_computes(cache: Any, lease: float | None, then: Callable[[threading.Event], None]) -> Any:
    """Do something while a thread computes a key, until the event is set; return what that thread got."""
    begun, go = threading.Event(), threading.Event()
    got = []

    def compute() -> str:
        begun.set()
        assert go.wait(30)
        return "the parent's"

    thread = threading.Thread(target=lambda: got.append(cache.get_or_compute(KEY, compute, lease=lease)))
    thread.start()
    try:
        assert begun.wait(30)
        then(go)
    finally:
        go.set()
        thread.join(30)
    return got[0]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_child_computes_what_only_its_parent_was_computing(tmp_path: Path, kind: str) -> None:
    cache: Any = InMemoryCache() if kind == "memory" else SqliteCache(path=tmp_path / "cache.db")

    def in_child() -> None:
        assert cache.get_or_compute(KEY, lambda: "the child's") == "the child's"
        assert cache.get_or_compute(KEY, lambda: "another") == "the child's"

    def then(go: threading.Event) -> None:
        assert ended(fork(in_child, by_exit=False)) == 0

    with cache:
        assert while_a_thread_computes(cache, None, then) == "the parent's"


def test_a_child_gets_what_its_parent_computes_under_a_lease(tmp_path: Path) -> None:
    def then(go: threading.Event) -> None:
        child = fork(in_child, by_exit=False)
        go.set()
        assert ended(child) == 0

    def in_child() -> None:
        assert cache.get_or_compute(KEY, lambda: "the child's", lease=600) == "the parent's"

    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        assert while_a_thread_computes(cache, 600, then) == "the parent's"


def test_a_child_that_is_forked_by_the_computation_asks_for_its_key_and_is_not_refused(tmp_path: Path) -> None:
    def in_child() -> None:
        assert cache.get_or_compute(KEY, lambda: "the child's") == "the child's"

    def compute() -> str:
        assert ended(fork(in_child, by_exit=False)) == 0
        return "the parent's"

    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        assert cache.get_or_compute(KEY, compute) == "the parent's"


def test_the_lease_of_a_parent_is_not_ended_by_its_child(tmp_path: Path) -> None:
    def then(go: threading.Event) -> None:
        child = fork(lambda: cache.close(), by_exit=False)
        assert ended(child) == 0
        with SqliteCache[Any](path=tmp_path / "cache.db") as other:
            (left,) = other._store.lease([other._encode_keys([KEY])[0]], b"another token 16", 1)
            assert left > 0

    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        assert while_a_thread_computes(cache, 600, then) == "the parent's"
        assert cache.get([KEY]) == {KEY: "the parent's"}
