"""Values past their time: served while they are refreshed in the background, once, and kept when that fails."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from compute.callers import DEADLINE, KEY, AsyncGated, Caller, Gated, auntil, run, until
from hitrate import cached
from hitrate.compute import refreshing
from hitrate.compute.terms import refresh_is_due
from hitrate.testing import Clock
from hitrate.testing.forking import in_child


def pending(cache: Any) -> int:
    refresher = cache._computing._refresher
    return len(refresher._pending) + sum(map(len, refresher._tasks.all()))


def test_an_old_value_is_served_at_once_and_refreshed_once(any_cache: Any, clock: Clock) -> None:
    values = iter(range(9))
    ask = lambda compute: any_cache.get_or_compute(KEY, compute, 60, stale=60)  # noqa: E731
    assert ask(lambda: next(values)) == 0
    clock.advance(60)
    gate = Gated(lambda: next(values))
    assert [ask(gate) for _ in range(20)] == [0] * 20
    assert gate.begun.wait(DEADLINE)
    assert any_cache.get([KEY]) == {}  # a plain read never returns what is stale
    assert [ask(gate) for _ in range(20)] == [0] * 20
    gate.let()
    until(lambda: not pending(any_cache))
    assert gate.runs == 1
    assert ask(gate) == 1
    assert any_cache.get([KEY]) == {KEY: 1}


def test_a_task_serves_an_old_value_and_refreshes_it_in_another(any_cache: Any, clock: Clock) -> None:
    async def main() -> None:
        assert await any_cache.aget_or_compute(KEY, lambda: 0, 60, stale=60) == 0
        clock.advance(60)
        gate = AsyncGated(lambda: 1)
        for _ in range(20):
            assert await any_cache.aget_or_compute(KEY, gate, 60, stale=60) == 0
        await auntil(gate.begun.is_set)
        assert await any_cache.aget([KEY]) == {}
        gate.let()
        await auntil(lambda: not pending(any_cache))
        assert gate.runs == 1
        assert await any_cache.aget_or_compute(KEY, gate, 60, stale=60) == 1

    run(main())


def test_beyond_stale_it_is_a_miss(cache: Any, clock: Clock) -> None:
    cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
    clock.advance(120)
    assert cache.get_or_compute(KEY, lambda: 1, 60, stale=60) == 1


def test_stale_is_what_the_caller_says_and_not_what_the_value_was_stored_with(cache: Any, clock: Clock) -> None:
    cache.get_or_compute(KEY, lambda: 0, 60, stale=3600)
    clock.advance(100)
    assert cache.get_or_compute(KEY, lambda: 1, 60, stale=10) == 1


def test_without_stale_an_old_value_is_computed_anew(cache: Any, clock: Clock) -> None:
    cache.get_or_compute(KEY, lambda: 0, 60, stale=3600)
    clock.advance(60)
    assert cache.get_or_compute(KEY, lambda: 1, 60) == 1


def test_a_refresh_that_fails_keeps_the_old_value_and_is_logged_once(
    cache: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Any:
        raise LookupError("origin down")

    cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
    clock.advance(60)
    for _ in range(3):
        gate = Gated(fail, is_open=True)
        assert cache.get_or_compute(KEY, gate, 60, stale=60) == 0
        assert gate.begun.wait(DEADLINE)
        until(lambda: not pending(cache))
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "key 'key' could not be refreshed: LookupError" in line.getMessage()
    clock.advance(60)
    with pytest.raises(LookupError):
        cache.get_or_compute(KEY, fail, 60, stale=60)


def test_a_function_that_exits_leaves_the_threads_to_others(cache: Any, clock: Clock) -> None:
    keys = [(KEY[0], str(n)) for n in range(6)]
    for key in keys:
        cache.get_or_compute(key, lambda: 0, 60, stale=60)
    clock.advance(60)
    for key in keys:
        cache.get_or_compute(key, sys.exit, 60, stale=60)
        until(lambda: not pending(cache))
    cache.get_or_compute(keys[0], lambda: 1, 60, stale=60)
    until(lambda: cache.get([keys[0]]) == {keys[0]: 1})


def test_a_computation_that_sees_an_old_value_does_not_wait_for_its_refresh(cache: Any, clock: Clock) -> None:
    outer = (KEY[0], "outer")
    cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
    clock.advance(60)
    going = Gated(is_open=False)

    def compute() -> Any:
        old = cache.get_or_compute(KEY, lambda: cache.get_or_compute(outer, lambda: "?"), 60, stale=60)
        going()
        return old

    caller = Caller(lambda: cache.get_or_compute(outer, compute))
    assert going.begun.wait(DEADLINE)
    until(lambda: pending(cache))
    going.let()
    assert caller.result() == 0
    until(lambda: not pending(cache))
    assert cache.get([KEY]) == {KEY: 0}  # what the outer one came to


def test_at_most_four_threads_refresh(cache: Any, clock: Clock) -> None:
    keys = [(KEY[0], str(n)) for n in range(20)]
    for key in keys:
        cache.get_or_compute(key, lambda: 0, 60, stale=60)
    clock.advance(60)
    gate = Gated(lambda: 1)
    for key in keys:
        assert cache.get_or_compute(key, gate, 60, stale=60) == 0
    until(lambda: gate.runs == 4)
    assert len(cache._computing._refresher._threads) == 4
    gate.let()
    until(lambda: len(cache.get(keys)) == 20)
    assert gate.runs == 20


def test_tasks_that_refresh_are_bounded(cache: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "_TASKS_AT_MOST", 64)
    keys = [(KEY[0], str(n)) for n in range(100)]

    async def main() -> None:
        for key in keys:
            await cache.aget_or_compute(key, lambda: 0, 60, stale=60)
        clock.advance(60)
        gate = AsyncGated(lambda: 1)
        for key in keys:
            assert await cache.aget_or_compute(key, gate, 60, stale=60) == 0
        await auntil(lambda: gate.runs == 64)
        assert pending(cache) == 64
        gate.let()
        await auntil(lambda: not pending(cache))
        assert gate.runs == 64

    run(main())


def test_close_waits_for_a_refresh_and_drops_those_that_have_not_begun(cache: Any, clock: Clock) -> None:
    keys = [(KEY[0], str(n)) for n in range(20)]
    for key in keys:
        cache.get_or_compute(key, lambda: 0, 60, stale=60)
    clock.advance(60)
    gate = Gated(lambda: 1)
    for key in keys:
        cache.get_or_compute(key, gate, 60, stale=60)
    until(lambda: gate.runs == 4)
    closing = Caller(cache.close)
    until(lambda: cache._computing._refresher._closed)
    gate.let()
    assert closing.ended() is None
    assert gate.runs == 4
    assert not cache._computing._refresher._threads


def test_close_waits_a_bounded_time(cache: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "_CLOSE_SECONDS", 0.05)
    cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
    clock.advance(60)
    gate = Gated(lambda: 1)
    cache.get_or_compute(KEY, gate, 60, stale=60)
    assert gate.begun.wait(DEADLINE)
    cache.close()
    gate.let()
    until(lambda: not cache._computing._refresher._threads)


def test_aclose_cancels_refreshes(cache: Any, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await cache.aget_or_compute(KEY, lambda: 0, 60, stale=60)
        clock.advance(60)
        gate = AsyncGated()
        assert await cache.aget_or_compute(KEY, gate, 60, stale=60) == 0
        await auntil(gate.begun.is_set)
        await cache.aclose()
        await auntil(lambda: gate.cancelled == 1)

    run(main())
    assert caplog.records == []


def test_a_loop_that_ends_with_a_refresh_pending_leaves_it_to_later_callers(cache: Any, clock: Clock) -> None:
    async def begin(gate: AsyncGated) -> None:
        assert await cache.aget_or_compute(KEY, gate, 60, stale=60) == 0
        await auntil(gate.begun.is_set)

    cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
    clock.advance(60)
    for _ in range(3):
        gate = AsyncGated()
        run(begin(gate))
        assert gate.cancelled == 1

    async def end() -> None:
        assert await cache.aget_or_compute(KEY, lambda: 1, 60, stale=60) == 0
        await auntil(lambda: not pending(cache))

    run(end())
    assert cache.get([KEY]) == {KEY: 1}


def test_a_child_refreshes_although_the_parent_does(cache: Any, clock: Clock) -> None:
    cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
    clock.advance(60)
    gate = Gated(lambda: 1)
    cache.get_or_compute(KEY, gate, 60, stale=60)
    assert gate.begun.wait(DEADLINE)

    def check() -> None:
        assert cache.get_or_compute(KEY, lambda: 2, 60, stale=60) == 0
        until(lambda: not pending(cache))
        assert cache.get([KEY]) == {KEY: 2}

    in_child(check)
    gate.let()
    until(lambda: not pending(cache))


def test_a_child_neither_hangs_on_a_flight_nor_has_it(cache: Any) -> None:
    gate = Gated()
    callers = [Caller(lambda: cache.get_or_compute(KEY, gate)) for _ in range(3)]
    until(lambda: gate.runs == 1)

    def check() -> None:
        assert not cache._computing.flights._flights
        assert cache.get_or_compute(KEY, lambda: "child's") == "child's"

    in_child(check)
    gate.let()
    for caller in callers:
        caller.result()


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_refresh_never_keeps_the_interpreter_alive(tmp_path: Path, face: str) -> None:
    program = textwrap.dedent(f"""
        import asyncio, threading
        from hitrate import SqliteCache
        from hitrate.testing import Clock
        clock, begun = Clock(), threading.Event()
        cache = SqliteCache(path={str(tmp_path / "c.db")!r}, clock=clock)
        KEY = (("a",), "b")
        def for_ever():
            begun.set()
            threading.Event().wait()
        async def afor_ever():
            begun.set()
            await asyncio.Event().wait()
        async def main():
            await cache.aget_or_compute(KEY, afor_ever, 60, stale=60)
            while not begun.is_set():
                await asyncio.sleep(0)
        cache.get_or_compute(KEY, lambda: 0, 60, stale=60)
        clock.advance(60)
        if {face!r} == "sync":
            cache.get_or_compute(KEY, for_ever, 60, stale=60)
            begun.wait()
        else:
            asyncio.run(main())
        print("end")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_xfetch_is_the_formula_of_its_paper() -> None:
    for now, seconds, beta, chance in [(90.0, 5.0, 1.0, 0.5), (99.0, 2.0, 1.0, 0.9), (50.0, 10.0, 3.0, 0.99)]:
        expected = now + seconds * beta * -math.log(1 - chance) >= 100.0
        assert refresh_is_due(now, 100.0, seconds, beta, chance) is expected
    assert not refresh_is_due(99.9, 100.0, 0.0, 1.0, 0.999)
    assert not refresh_is_due(99.9, None, 10.0, 1.0, 0.999)
    assert not refresh_is_due(99.9, 100.0, 10.0, 0.0, 0.999)
    assert refresh_is_due(99.9, 100.0, 10.0, 1.0, 0.999)


def test_early_goes_by_the_seconds_that_the_value_took(cache: Any, clock: Clock) -> None:
    @cached(cache, ttl=100, early=1.0)
    def slow(name: str) -> list[str]:
        runs.append(name)
        clock.advance(10)
        return [name]

    runs: list[str] = []
    slow._terms = slow._terms._replace(chance=lambda: 0.5)  # it is due ln 2 * 10 s before the expiry
    slow("a")
    clock.advance(92)
    assert slow("a") == ["a"]
    until(lambda: not pending(cache))
    assert runs == ["a"]
    clock.advance(2)
    assert slow("a") == ["a"]
    until(lambda: not pending(cache))
    assert runs == ["a", "a"]
    clock.advance(50)
    assert slow.get("a") == ["a"]


def test_a_clock_put_back_or_on_does_not_refresh_for_ever(cache: Any, clock: Clock) -> None:
    gate = Gated(is_open=True)
    cache.get_or_compute(KEY, gate, 60, stale=60, early=1.0)
    clock.advance(-3600)
    for _ in range(5):
        assert cache.get_or_compute(KEY, gate, 60, stale=60, early=1.0) == ["value"]
    assert gate.runs == 1
    clock.advance(7200)
    assert cache.get_or_compute(KEY, gate, 60, stale=60, early=1.0) == ["value"]
    assert gate.runs == 2


def test_of_1000_keys_under_load_hardly_any_caller_computes_at_the_expiry(memory: Any, clock: Clock) -> None:
    """Each key is asked for every tenth of a second of a clock that is moved, and takes a second to compute."""
    import random

    from hitrate.compute.terms import agreed

    terms = agreed(ttl=60, early=1.0)._replace(chance=random.Random(7).random)
    keys = [(("load",), str(n)) for n in range(1000)]
    computing = memory._computing
    by_callers = 0
    one = computing.one

    def compute() -> int:
        return 1

    for key in keys:
        one(key, compute, terms)
    # As if each had taken a second.
    for key in keys:
        encoding, payload, expiry, _ = memory._store.get([key])[0]
        memory._store.write({key: (encoding, payload, expiry, 1.0)})
    before = memory.stats().misses
    clock.advance(50)
    for _ in range(100):
        clock.advance(0.1)
        for key in keys:
            one(key, compute, terms)
        until(lambda: not pending(memory))
    by_callers = memory.stats().misses - before
    assert by_callers <= 5
