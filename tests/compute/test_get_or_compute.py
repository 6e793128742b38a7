"""Get a value or compute it: TTLs, failures of the cache, closing and removing meanwhile, and many keys at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import apsw
import pytest

from compute.callers import DEADLINE, KEY, OTHER, AsyncGated, Caller, Gated, auntil, flying, run, until, waiting
from hitrate import ClosedError, InMemoryCache, SqliteCache, StoreError
from hitrate.stores.sqlite import connections
from hitrate.testing import Clock

NAMESPACE = KEY[0]


class Name(StrEnum):
    ONE = "key"


def test_none_is_a_value(any_cache: Any) -> None:
    compute = Gated(lambda: None, is_open=True)
    assert [any_cache.get_or_compute(KEY, compute) for _ in range(3)] == [None] * 3
    assert run(any_cache.aget_or_compute(KEY, compute)) is None
    assert compute.runs == 1


def test_a_ttl_of_0_stores_nothing_whatever_stale_is(cache: Any) -> None:
    compute = Gated(is_open=True)
    for _ in range(2):
        assert cache.get_or_compute(KEY, compute, 0, stale=60) == ["value"]
    assert compute.runs == 2


def test_the_ttl_counts_from_the_end_of_the_computation(cache: Any, clock: Clock) -> None:
    cache.get_or_compute(KEY, lambda: clock.advance(100), 10)
    clock.advance(9.5)
    assert cache.get([KEY]) == {KEY: None}
    clock.advance(0.5)
    assert cache.get([KEY]) == {}


def test_the_default_ttl_is_that_of_the_cache(clock: Clock) -> None:
    with InMemoryCache[Any](default_ttl=10, clock=clock) as cache:
        cache.get_or_compute(KEY, lambda: 1)
        clock.advance(10)
        assert cache.get([KEY]) == {}


def test_counters_tell_of_misses_sets_hits_and_seconds(any_cache: Any, clock: Clock) -> None:
    for _ in range(3):
        any_cache.get_or_compute(KEY, lambda: clock.advance(7), 100)
    stats = any_cache.stats()
    assert (stats.hits, stats.misses, stats.sets, stats.errors) == (2, 1, 1, 0)
    assert stats.seconds_saved == 14


def test_a_clock_put_back_while_it_computes_saves_no_negative_seconds(cache: Any, clock: Clock) -> None:
    cache.get_or_compute(KEY, lambda: clock.advance(-3600), 60)
    assert cache.get([KEY]) == {KEY: None}
    assert cache.stats().seconds_saved == 0


def test_a_cache_that_is_down_runs_the_function_once_for_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.05)
    other = apsw.Connection(str(path))
    other.set_busy_timeout(10_000)
    other.execute("BEGIN EXCLUSIVE; CREATE TABLE t (a); DROP TABLE t")
    with SqliteCache[Any](path=path) as cache:
        for lease in (None, 10):
            compute = Gated()
            callers = [Caller(lambda c=compute, n=lease: cache.get_or_compute(KEY, c, lease=n)) for _ in range(4)]
            until(lambda: waiting(cache) == 3)
            compute.let()
            assert [caller.result() for caller in callers] == [["value"]] * 4
            assert compute.runs == 1
        assert cache.stats().errors > 0
        other.close()
        assert flying(cache) == 0


def test_a_cache_that_is_down_and_is_to_raise_raises(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.05)
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({OTHER: (1, None)})
        other = apsw.Connection(str(path))
        other.set_busy_timeout(10_000)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            cache.get_or_compute(KEY, lambda: 1)
        with pytest.raises(StoreError):
            run(cache.aget_or_compute(KEY, lambda: 1))
        other.close()
        assert flying(cache) == 0
        assert cache.get_or_compute(KEY, lambda: 2) == 2


def test_a_closed_cache_is_told(cache: Any) -> None:
    cache.get_or_compute(OTHER, lambda: 1)
    cache.close()
    calls: list[Callable[[], Any]] = [
        lambda: cache.get_or_compute(KEY, lambda: 1),
        lambda: cache.get_or_compute(KEY, lambda: 1, stale=1),
        lambda: cache.get_or_compute_many([KEY], lambda keys: {}),
        lambda: cache.get_or_compute_many([], lambda keys: {}),
        lambda: run(cache.aget_or_compute(KEY, lambda: 1)),
        lambda: run(cache.aget_or_compute_many([], lambda keys: {})),
        lambda: cache._computing.recompute(KEY, lambda: 1, cache._terms(None, None)),
    ]
    for call in calls:
        with pytest.raises(ClosedError):
            call()
    assert flying(cache) == 0


@pytest.mark.parametrize("lease", [None, 10])
def test_a_cache_closed_while_it_computes_returns_the_value_to_all(cache: Any, lease: float | None) -> None:
    compute = Gated()
    callers = [Caller(lambda: cache.get_or_compute(KEY, compute, lease=lease)) for _ in range(3)]
    until(lambda: waiting(cache) == 2)
    cache.close()
    compute.let()
    assert [caller.result() for caller in callers] == [["value"]] * 3


@pytest.mark.parametrize("lease", [None, 10])
def test_a_cache_closed_while_a_task_computes_returns_the_value_to_all(cache: Any, lease: float | None) -> None:
    async def main() -> None:
        compute = AsyncGated()
        tasks = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute, lease=lease)) for _ in range(3)]
        await auntil(lambda: waiting(cache) == 3 and compute.begun.is_set())
        await cache.aclose()
        compute.let()
        assert await asyncio.gather(*tasks) == [["value"]] * 3

    run(main())


REMOVALS: dict[str, Callable[[Any], Any]] = {
    "delete": lambda cache: cache.delete([KEY]),
    "delete of a StrEnum": lambda cache: cache.delete([(NAMESPACE, Name.ONE)]),
    "clear": lambda cache: cache.clear(),
    "clear of one": lambda cache: cache.clear([NAMESPACE]),
    "clear_under": lambda cache: cache.clear_under(NAMESPACE[:1]),
    "clear_under of all": lambda cache: cache.clear_under(()),
    "adelete": lambda cache: run(cache.adelete([KEY])),
    "aclear": lambda cache: run(cache.aclear([NAMESPACE])),
}


@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize("lease", [None, 10])
def test_what_is_removed_while_it_is_computed_is_not_stored(cache: Any, removal: str, lease: float | None) -> None:
    compute = Gated()
    caller = Caller(lambda: cache.get_or_compute(KEY, compute, lease=lease))
    assert compute.begun.wait(DEADLINE)
    REMOVALS[removal](cache)
    compute.let()
    assert caller.result() == ["value"]
    assert cache.get([KEY]) == {}


def test_what_is_removed_elsewhere_is_stored(cache: Any) -> None:
    compute = Gated()
    caller = Caller(lambda: cache.get_or_compute(KEY, compute))
    assert compute.begun.wait(DEADLINE)
    cache.delete([OTHER])
    cache.clear([("compute", "more")])
    compute.let()
    caller.result()
    assert cache.get([KEY]) == {KEY: ["value"]}


def _keys(*names: str) -> list[Any]:
    return [(NAMESPACE, name) for name in names]


def test_many_keys_are_computed_in_one_call_and_come_in_order(any_cache: Any) -> None:
    calls: list[Any] = []

    def compute(keys: list[Any]) -> dict[Any, Any]:
        calls.append(list(keys))
        return {key: key[1] * 2 for key in reversed(keys) if key[1] != "left out"}

    any_cache.set(dict.fromkeys(_keys("b"), ("kept", None)))
    names = ["c", "b", "left out", "a", "c"]
    expected = dict(zip(_keys("c", "b", "a"), ["cc", "kept", "aa"], strict=True))
    for _ in range(2):
        found = any_cache.get_or_compute_many(_keys(*names), compute)
        assert list(found.items()) == list(expected.items())
    assert list(run(any_cache.aget_or_compute_many(_keys(*names), compute)).items()) == list(expected.items())
    assert calls == [_keys("c", "left out", "a"), _keys("left out"), _keys("left out")]
    assert flying(any_cache) == 0


def test_keys_of_a_str_enum_are_their_text(cache: Any) -> None:
    enum_key = (NAMESPACE, Name.ONE)
    assert cache.get_or_compute_many([enum_key], lambda keys: dict.fromkeys(keys, 1)) == {KEY: 1}
    assert cache.get_or_compute(enum_key, lambda: 2) == 1


def test_what_is_computed_together_saves_the_time_that_it_took_together(any_cache: Any, clock: Clock) -> None:
    def compute(keys: list[Any]) -> dict[Any, int]:
        clock.advance(8)
        return dict.fromkeys(keys, 1)

    for _ in range(2):
        any_cache.get_or_compute_many(_keys("a", "b", "c", "d"), compute)
    assert any_cache.stats().seconds_saved == 8


def test_many_wait_for_what_others_compute(cache: Any) -> None:
    single, rest = Gated(lambda: "single"), Gated(lambda: None)

    def compute(keys: list[Any]) -> dict[Any, Any]:
        rest()
        return dict.fromkeys(keys, "batch")

    caller = Caller(lambda: cache.get_or_compute(KEY, single))
    assert single.begun.wait(DEADLINE)
    batch = Caller(lambda: cache.get_or_compute_many([KEY, OTHER], compute))
    assert rest.begun.wait(DEADLINE)
    rest.let()
    single.let()
    assert batch.result() == {KEY: "single", OTHER: "batch"}
    assert caller.result() == "single"


def test_a_key_that_is_left_out_is_left_out_for_all_who_waited_for_it(cache: Any) -> None:
    gate = Gated(dict)
    callers = [Caller(lambda: cache.get_or_compute_many([KEY, OTHER], gate)) for _ in range(8)]
    until(lambda: waiting(cache, OTHER) == 7)
    gate.let()
    assert [caller.result() for caller in callers] == [{}] * 8
    assert gate.runs == 1


def test_one_who_waits_for_a_key_that_many_left_out_computes_it(cache: Any) -> None:
    gate = Gated(dict)
    batch = Caller(lambda: cache.get_or_compute_many([KEY], gate))
    assert gate.begun.wait(DEADLINE)
    one = Caller(lambda: cache.get_or_compute(KEY, lambda: 1))
    until(lambda: waiting(cache) == 1)
    gate.let()
    assert batch.result() == {}
    assert one.result() == 1


@pytest.mark.parametrize("wrong", [None, ["a"], 5])
def test_many_that_return_no_mapping_are_told(cache: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="to return a mapping"):
        cache.get_or_compute_many([KEY], lambda keys: wrong)
    with pytest.raises(TypeError, match="to return a mapping"):
        run(cache.aget_or_compute_many([KEY], lambda keys: wrong))


def test_an_error_of_one_of_several_leaves_no_waiter_behind(cache: Any) -> None:
    def fail() -> Any:
        raise LookupError

    failing, going = Gated(fail), Gated()
    first = Caller(lambda: cache.get_or_compute(KEY, failing))
    second = Caller(lambda: cache.get_or_compute(OTHER, going))
    assert failing.begun.wait(DEADLINE)
    assert going.begun.wait(DEADLINE)
    both = Caller(lambda: cache.get_or_compute_many([KEY, OTHER], lambda keys: {}))
    until(lambda: waiting(cache) == 1 and waiting(cache, OTHER) == 1)
    failing.let()
    going.let()
    assert isinstance(both.ended(), LookupError)
    assert isinstance(first.ended(), LookupError)
    assert second.result() == ["value"]
    assert flying(cache) == 0


def test_many_that_are_cancelled_leave_no_waiter_behind(cache: Any) -> None:
    async def main() -> None:
        one, many = AsyncGated(), AsyncGated(dict)
        single = asyncio.ensure_future(cache.aget_or_compute(KEY, one))
        await auntil(one.begun.is_set)
        batch = asyncio.ensure_future(cache.aget_or_compute_many([KEY, OTHER], many))
        await auntil(many.begun.is_set)
        assert waiting(cache) == 2
        batch.cancel()
        await asyncio.wait([batch])
        assert waiting(cache) == 1
        await auntil(lambda: many.cancelled == 1)
        one.let()
        assert await single == ["value"]

    run(main())
    assert flying(cache) == 0


def test_a_coroutine_function_in_the_place_of_one_that_computes_many_is_told(cache: Any) -> None:
    async def compute(keys: list[Any]) -> dict[Any, Any]:
        return dict.fromkeys(keys, 1)

    with pytest.raises(TypeError, match=r"computes 1 key .* not a coroutine; await aget_or_compute_many"):
        cache.get_or_compute_many([KEY], compute)
    assert run(cache.aget_or_compute_many([KEY], compute)) == {KEY: 1}


@pytest.mark.parametrize(
    ("make", "what"), [(lambda: (n for n in [1]), "generator"), (lambda: asyncio.sleep(0), "coroutine")]
)
def test_a_result_that_is_used_up_is_refused(cache: Any, make: Callable[[], Any], what: str) -> None:
    with pytest.raises(TypeError, match=f"key 'key' returned a {what}"):
        cache.get_or_compute(KEY, make)
    assert flying(cache) == 0


@pytest.mark.parametrize("options", [{"ttl": "1"}, {"lease": True}, {"stale": "x"}, {"early": []}])
def test_an_option_of_the_wrong_type_is_told(memory: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        memory.get_or_compute(KEY, lambda: 1, **options)


@pytest.mark.parametrize("options", [{"ttl": float("nan")}, {"lease": 0}, {"stale": -1}, {"early": float("inf")}])
def test_an_option_out_of_its_range_is_told(memory: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says it in its own words
        memory.get_or_compute(KEY, lambda: 1, **options)


@pytest.mark.parametrize("key", ["key", ("a", "b"), (("a",), 1), None])
def test_a_key_that_is_none_is_told(cache: Any, key: Any) -> None:
    with pytest.raises(TypeError):
        cache.get_or_compute(key, lambda: 1)
    with pytest.raises(TypeError):
        run(cache.aget_or_compute_many([key], dict))
    assert flying(cache) == 0
