"""A finaliser that the collector runs at any allocation of an operation, and that asks the same cache for something."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bad_days.test_interrupts import KINDS, check_counts, check_order
from hitrate import InMemoryCache, PostgresCache, RedisCache, ReentrancyError, SqliteCache, TieredCache

DEADLINE = 60.0
ON_SERVERS = ["redis", "postgres", "tiers over redis", "tiers over postgres"]


def key(name: str) -> Any:
    return ("n",), name


class Finalised:
    """Does something when it is collected."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self._me = self
        self._do = do

    def __del__(self) -> None:
        self._do()


def _computed(cache: Any) -> Any:
    try:
        return cache.get_or_compute(key("a"), lambda: 3, lease=60)
    except ReentrancyError:  # it ran within that very computation
        return None


FINALISERS: dict[str, Callable[[Any], Any]] = {
    "get": lambda cache: cache.get([key("s"), key("a")]),
    "set": lambda cache: cache.set({key("s"): ([2], None)}),
    "delete": lambda cache: cache.delete([key("s"), key("a")]),
    "clear": lambda cache: cache.clear([("n",)]),
    "compute": lambda cache: cache.get_or_compute(key("f"), lambda: 3),
    "compute the same": lambda cache: _computed(cache),
    "stats": lambda cache: cache.stats(),
}
OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "get": lambda cache: cache.get([key("s"), key("t")]),
    "set": lambda cache: cache.set({key("a"): ([1], None)}),
    "set many": lambda cache: cache.set({key("a"): ([1], 60), key("b"): ([1], None)}),
    "delete": lambda cache: cache.delete([key("s")]),
    "clear": lambda cache: cache.clear([("n",)]),
    "compute": lambda cache: cache.get_or_compute(key("a"), lambda: 1),
    "compute under a lease": lambda cache: cache.get_or_compute(key("a"), lambda: 1, lease=60),
}


def collected_at(allocation: int, cache: Any, operation: str, finaliser: str) -> bool:
    """Run an operation in which the collector runs at the nth allocation; tell whether it did."""
    ran: list[int] = []
    done = threading.Event()

    def finalise() -> None:
        ran.append(threading.get_ident())
        try:
            FINALISERS[finaliser](cache)
        finally:
            done.set()

    def operate() -> None:
        gc.collect()
        gc.disable()
        Finalised(finalise)
        do = OPERATIONS[operation]
        before = gc.get_threshold()
        gc.set_threshold(gc.get_count()[0] + allocation, 1000, 1000)
        gc.enable()
        try:
            do(cache)
        finally:
            gc.disable()
            within = list(ran)
            gc.set_threshold(*before)
            gc.enable()
        result.append(bool(within))

    result: list[bool] = []
    thread = threading.Thread(target=operate, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive(), f"it hangs; collected at allocation {allocation}"
    assert result, "it failed"
    gc.collect()  # if it was not collected so far
    assert done.wait(DEADLINE), "the finaliser hangs, on a thread that hears a server, say"
    return result[0]


pytestmark = pytest.mark.usefixtures("small_collections")


def settled(cache: Any) -> None:
    """See that nothing is under way; what a thread that hears a server had to put off may be."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            check_order(cache)
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)


def opened(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if kind in KINDS:
        return KINDS[kind](tmp_path)
    cache: Any
    if kind.endswith("redis"):
        cache = RedisCache(request.getfixturevalue("redis_url"), prefix=request.getfixturevalue("new_prefix")())
    else:
        cache = PostgresCache(request.getfixturevalue("postgres_url"), table=request.getfixturevalue("empty_table")())
    return TieredCache(InMemoryCache(), cache) if kind.startswith("tiers") else cache


@pytest.mark.parametrize("finaliser", FINALISERS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bounded"] + ON_SERVERS)
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_collection_at_any_allocation(
    kind: str, operation: str, finaliser: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with opened(kind, request, tmp_path) as cache:
        cache.get_or_compute(key("warm"), lambda: 1)
        # Each finaliser at every seventh allocation, all of them together at each. Of tiers over a server, every other:
        # the allocations of the server's own cache have been tried.
        first = 1 + [*FINALISERS].index(finaliser)
        for allocation in range(first, 400, len(FINALISERS) * (2 if kind.startswith("tiers over") else 1)):
            cache.set({key("s"): ([1], 60)})
            cache.delete([key("a")])
            if not collected_at(allocation, cache, operation, finaliser) and allocation > 10:
                break
            settled(cache)
        if kind in KINDS:
            check_counts(cache)
        gc.collect()
        cache.set({key("last"): (1, None)})
        assert cache.get([key("last")]) == {key("last"): 1}
        cache.clear()
        assert cache.stats().entries == 0


@pytest.mark.parametrize("lease", [None, 60])
@pytest.mark.parametrize("kind", ["memory", "file", ":memory:", "tiers"])
def test_a_finaliser_within_a_change_waits_for_no_other_thread(kind: str, lease: float | None, tmp_path: Path) -> None:
    """The other thread computes the very key that the finaliser asks for, and is about to make a change itself."""
    with KINDS[kind](tmp_path) as cache, SqliteCache(path=tmp_path / "other.db") as other:
        begun, go_on = threading.Event(), threading.Event()
        results: list[Any] = []

        def compute() -> int:
            begun.set()
            assert go_on.wait(DEADLINE)
            other.set({key("within"): (1, None)})  # what it needs is held by the other thread
            return 1

        def finalise() -> None:
            go_on.set()
            results.append(cache.get_or_compute(key("a"), lambda: 2, lease=lease))

        leader = threading.Thread(target=lambda: cache.get_or_compute(key("a"), compute, lease=lease), daemon=True)
        leader.start()
        assert begun.wait(DEADLINE)
        held = threading.Thread(target=lambda: other._store._database.exclusive.run(finalise), daemon=True)
        held.start()
        held.join(DEADLINE)
        leader.join(DEADLINE)
        assert not held.is_alive()
        assert not leader.is_alive()
        assert results == [2]
