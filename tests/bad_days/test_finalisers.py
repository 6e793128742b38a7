"""A finaliser that the collector runs at any allocation of an operation, and that asks the same cache for something."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bad_days.test_interrupts import KINDS, check_counts, check_order
from hitrate import ReentrancyError

DEADLINE = 20.0


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
    ran = []

    def finalise() -> None:
        ran.append(threading.get_ident())
        FINALISERS[finaliser](cache)

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
    return result[0]


@pytest.fixture(autouse=True)
def _small_collections() -> Iterator[None]:
    """Leave what is there already out of collections, which would take longer than the tests."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("finaliser", FINALISERS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bounded"])
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_collection_at_any_allocation(kind: str, operation: str, finaliser: str, tmp_path: Path) -> None:
    with KINDS[kind](tmp_path) as cache:
        cache.get_or_compute(key("warm"), lambda: 1)
        for allocation in range(1, 200):
            cache.set({key("s"): ([1], 60)})
            cache.delete([key("a")])
            if not collected_at(allocation, cache, operation, finaliser) and allocation > 10:
                break
            check_order(cache)
        check_counts(cache)
        gc.collect()
        cache.set({key("last"): (1, None)})
        assert cache.get([key("last")]) == {key("last"): 1}
        cache.clear()
        assert cache.stats().entries == 0
