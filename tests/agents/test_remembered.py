"""What is remembered of an object: found out once, whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from hitrate.langgraph.remembered import Remembered


class Thing:
    """An object that changes as it is used."""

    calls = 0


def test_threads_that_find_out_at_once_all_get_what_was_found_first() -> None:
    threads = 4
    all_there = Barrier(threads)
    thing = Thing()

    def find(of: Any) -> int:
        all_there.wait(timeout=30)
        of.calls += 1
        found: int = of.calls
        return found

    remembered = Remembered(find)
    with ThreadPoolExecutor(threads) as pool:
        found = {*pool.map(remembered, [thing] * threads)}
    assert found == {remembered(thing)}


def test_an_object_in_the_place_of_one_that_is_gone_is_found_out_itself() -> None:
    remembered = Remembered(lambda of: of.calls)
    first = Thing()
    assert remembered(first) == 0
    other = Thing()
    other.calls = 1
    remembered._known[id(other)] = remembered._known[id(first)]
    assert remembered(other) == 1
