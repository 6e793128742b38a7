"""Threads that miss one key at the same time: one runs the function, and the others wait for its result."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from compute.callers import DEADLINE, KEY, OTHER, Caller, Gated, flying, until, waiting
from hitrate import InMemoryCache, ReentrancyError


@pytest.mark.parametrize("threads", [16, 1000])
def test_the_function_runs_once(any_cache: Any, threads: int) -> None:
    compute = Gated()
    callers = [Caller(lambda: any_cache.get_or_compute(KEY, compute, 60)) for _ in range(threads)]
    until(lambda: waiting(any_cache) == threads - 1)
    compute.let()
    assert [caller.result() for caller in callers] == [["value"]] * threads
    assert compute.runs == 1
    assert flying(any_cache) == 0
    assert any_cache.stats().sets == 1
    assert any_cache.get_or_compute(KEY, compute) == ["value"]
    assert compute.runs == 1


@pytest.mark.parametrize("ttl", [None, 60, 0, -1])
def test_every_caller_has_a_value_of_its_own(any_cache: Any, ttl: float | None) -> None:
    compute = Gated(lambda: {"rows": [[1], [2]]})
    callers = [Caller(lambda: any_cache.get_or_compute(KEY, compute, ttl)) for _ in range(8)]
    until(lambda: waiting(any_cache) == 7)
    compute.let()
    values = [caller.result() for caller in callers]
    for number, value in enumerate(values):
        assert value == {"rows": [[1], [2]]}
        value["rows"][0].append(number)
    kept = any_cache.get([KEY])
    assert kept == ({} if ttl is not None and ttl <= 0 else {KEY: {"rows": [[1], [2]]}})


@pytest.mark.parametrize(
    "value", [None, 0, "", "text", b"", (), [], [1.5, 2.5], [bytearray(8), bytearray(8)], {"a": (1,)}]
)
def test_waiters_get_what_was_computed(memory: Any, value: Any) -> None:
    compute = Gated(lambda: value)
    callers = [Caller(lambda: memory.get_or_compute(KEY, compute)) for _ in range(4)]
    until(lambda: waiting(memory) == 3)
    compute.let()
    for caller in callers:
        assert caller.result() == value
        assert type(caller.result()) is type(value)
    assert compute.runs == 1


def test_what_cannot_be_stored_is_shared_and_logged_once(cache: Any, caplog: pytest.LogCaptureFixture) -> None:
    lock = threading.Lock()
    for number in range(3):
        compute = Gated(lambda: lock)
        callers = [Caller(lambda compute=compute: cache.get_or_compute(KEY, compute)) for _ in range(4)]
        until(lambda: waiting(cache) == 3)
        compute.let()
        assert [caller.result() for caller in callers] == [lock] * 4
        assert compute.runs == 1
        assert cache.stats().errors == number + 1
    assert cache.get([KEY]) == {}
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "returned and not cached" in line.getMessage()
    assert "lock" in line.getMessage()


def test_an_exception_reaches_all_who_waited_and_the_next_caller_runs_again(cache: Any) -> None:
    def fail() -> Any:
        raise LookupError("no such row")

    compute = Gated(fail)
    callers = [Caller(lambda: cache.get_or_compute(KEY, compute)) for _ in range(16)]
    until(lambda: waiting(cache) == 15)
    compute.let()
    for caller in callers:
        assert isinstance(caller.ended(), LookupError)
    assert compute.runs == 1
    assert cache.get_or_compute(KEY, lambda: "again") == "again"
    assert flying(cache) == 0


def test_waiters_take_over_from_a_leader_that_is_interrupted(cache: Any) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    first, second = Gated(interrupt), Gated()
    leader = Caller(lambda: cache.get_or_compute(KEY, first))
    assert first.begun.wait(DEADLINE)
    callers = [Caller(lambda: cache.get_or_compute(KEY, second)) for _ in range(8)]
    until(lambda: waiting(cache) == 8)
    first.let()
    assert isinstance(leader.ended(), KeyboardInterrupt)
    second.let()
    assert [caller.result() for caller in callers] == [["value"]] * 8
    assert second.runs == 1


def test_different_keys_are_computed_at_the_same_time(cache: Any) -> None:
    one, other = Gated(), Gated()
    callers = [Caller(lambda: cache.get_or_compute(KEY, one)), Caller(lambda: cache.get_or_compute(OTHER, other))]
    assert one.begun.wait(DEADLINE)
    assert other.begun.wait(DEADLINE)
    one.let()
    other.let()
    assert [caller.result() for caller in callers] == [["value"]] * 2


def test_a_caller_that_looked_before_the_end_of_a_flight_does_not_run_again(cache: Any) -> None:
    """It finds nothing, the flight lands, and only then it asks who computes."""
    compute = Gated(is_open=True)
    seen = cache._computing.flights.landed
    assert cache.get([KEY]) == {}
    cache.get_or_compute(KEY, compute)
    from hitrate.compute.terms import PLAIN

    assert cache._computing.missed(KEY, compute, PLAIN, seen) == ["value"]
    assert compute.runs == 1


def test_a_function_that_asks_for_its_own_key_is_told(cache: Any) -> None:
    with pytest.raises(ReentrancyError, match=r"namespace \('compute',\), key 'key' would wait for itself"):
        cache.get_or_compute(KEY, lambda: cache.get_or_compute(KEY, lambda: 1))
    assert flying(cache) == 0
    assert cache.get_or_compute(KEY, lambda: 2) == 2


def test_a_function_that_asks_for_its_own_key_by_way_of_another_is_told(cache: Any) -> None:
    def compute() -> Any:
        return cache.get_or_compute(OTHER, lambda: cache.get_or_compute(KEY, lambda: 1))

    with pytest.raises(ReentrancyError, match="key 'key'"):
        cache.get_or_compute(KEY, compute)
    assert flying(cache) == 0


def test_two_threads_that_would_wait_for_each_other_are_told(cache: Any) -> None:
    first, second = Gated(), Gated()

    def one() -> Any:
        first()
        return cache.get_or_compute(OTHER, lambda: 0)

    def two() -> Any:
        second()
        return cache.get_or_compute(KEY, lambda: 0)

    a = Caller(lambda: cache.get_or_compute(KEY, one))
    b = Caller(lambda: cache.get_or_compute(OTHER, two))
    assert first.begun.wait(DEADLINE)
    assert second.begun.wait(DEADLINE)
    first.let()
    until(lambda: waiting(cache, OTHER) == 1)
    second.let()
    assert isinstance(b.ended(), ReentrancyError)
    assert isinstance(a.ended(), ReentrancyError)  # what it waited for failed so
    assert flying(cache) == 0


def test_a_flight_of_another_cache_is_no_matter(memory: Any) -> None:
    with InMemoryCache[Any]() as other:
        assert memory.get_or_compute(KEY, lambda: other.get_or_compute(KEY, lambda: 1)) == 1


def test_two_caches_that_wait_for_each_other_are_told(memory: Any) -> None:
    with InMemoryCache[Any]() as other, pytest.raises(ReentrancyError):
        memory.get_or_compute(KEY, lambda: other.get_or_compute(KEY, lambda: memory.get_or_compute(KEY, lambda: 1)))


def test_recursion_over_different_keys_goes_on(cache: Any) -> None:
    runs = []

    def fib(n: int) -> int:
        def compute() -> int:
            runs.append(n)
            return n if n < 2 else fib(n - 1) + fib(n - 2)

        result: int = cache.get_or_compute((("fib",), str(n)), compute)
        return result

    assert fib(60) == 1548008755920
    assert len(runs) == 61
