"""A scope, a bypass or a refresh around calls of cached functions and computations."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from itertools import count
from typing import Any

import hitrate
from hitrate import cached


def ask(scope: Any, call: Any) -> Any:
    with hitrate.scope(scope):
        return call()


def test_a_scope_counts_in_the_key_of_each_call(any_cache: Any) -> None:
    numbers = count()

    @cached(any_cache, ignore="numbers")
    def f(x: int, *, y: int = 0) -> int:
        return next(numbers)

    assert [ask(tenant, lambda: f(1)) for tenant in ("a", "b", "a")] == [0, 1, 0]
    assert [f(1), f(1)] == [2, 2]
    assert [ask(tenant, lambda: f(1, y=2)) for tenant in ("a", "b", "a")] == [3, 4, 3]
    assert ask("a", lambda: f.get(1)) == 0
    assert ask("a", lambda: f.key_for(1)) != f.key_for(1)


def test_of_coroutines_and_key_functions(any_cache: Any) -> None:
    numbers = count()

    @cached(any_cache, key=lambda x: str(x))
    async def f(x: int) -> int:
        return next(numbers)

    async def of(tenant: str) -> int:
        with hitrate.scope(tenant):
            return await f(1)

    async def main() -> list[int]:
        return [await of("a"), await of("b"), await of("a"), *await asyncio.gather(of("a"), of("b"))]

    assert asyncio.run(main()) == [0, 1, 0, 0, 1]


def test_a_thread_in_a_copy_of_the_context_is_in_the_scope(cache: Any) -> None:
    numbers = count()

    @cached(cache, ignore="numbers")
    def f(x: int) -> int:
        return next(numbers)

    results: list[int] = []
    with hitrate.scope("a"):
        f(1)
        thread = threading.Thread(target=copy_context().run, args=(lambda: results.append(f(1)),))
        thread.start()
        thread.join()
    assert results == [0]


def test_scopes_add_up_and_end(cache: Any) -> None:
    @cached(cache)
    def f(x: int) -> int:
        return x

    plain = f.key_for(1)
    with hitrate.scope("a"):
        outer = f.key_for(1)
        with hitrate.scope("b"):
            inner = f.key_for(1)
        assert f.key_for(1) == outer
    assert f.key_for(1) == plain
    with hitrate.scope("b"), hitrate.scope("a"):
        other_order = f.key_for(1)
    with hitrate.scope("a", "b"):
        both = f.key_for(1)
    assert len({plain, outer, inner, other_order, both}) == 5


def test_bypass_reads_and_writes_nothing(any_cache: Any) -> None:
    numbers = count()
    key = (("n",), "k")

    @cached(any_cache, stale=60, ttl=60, ignore="numbers")
    def f(x: int) -> int:
        return next(numbers)

    def compute() -> int:
        return next(numbers)

    with hitrate.bypass():
        assert [f(1), f(1)] == [0, 1]
        assert [any_cache.get_or_compute(key, compute) for _ in range(2)] == [2, 3]
        assert any_cache.get_or_compute_many([key], lambda keys: {key: 4}) == {key: 4}
    assert any_cache.stats().entries == 0
    next(numbers)
    assert [f(1), f(1)] == [5, 5]


def test_refresh_overwrites(any_cache: Any) -> None:
    numbers = count()
    key = (("n",), "k")

    @cached(any_cache, ignore="numbers")
    def f(x: int) -> int:
        return next(numbers)

    assert f(1) == 0
    with hitrate.refresh():
        assert f(1) == 1
    assert f(1) == 1
    any_cache.set({key: ("old", None)})
    with hitrate.refresh():
        assert any_cache.get_or_compute(key, lambda: "new") == "new"
    assert any_cache.get([key]) == {key: "new"}
    with hitrate.refresh():
        assert any_cache.get_or_compute_many([key], lambda keys: {key: "newer"}) == {key: "newer"}
    assert any_cache.get([key]) == {key: "newer"}


def test_the_same_awaited(any_cache: Any) -> None:
    numbers = count()
    key = (("n",), "k")

    @cached(any_cache, ignore="numbers")
    async def f(x: int) -> int:
        return next(numbers)

    async def main() -> None:
        assert await f(1) == 0
        with hitrate.bypass():
            assert await f(1) == 1
            assert await any_cache.aget_or_compute(key, lambda: "x") == "x"
            assert await any_cache.aget_or_compute_many([key], lambda keys: {key: "x"}) == {key: "x"}
            assert await any_cache.aget([key]) == {}
        with hitrate.refresh():
            assert await f(1) == 2
            assert await any_cache.aget_or_compute(key, lambda: "y") == "y"
            assert await any_cache.aget_or_compute_many([key], lambda keys: {key: "z"}) == {key: "z"}
        assert await f(1) == 2
        assert await any_cache.aget([key]) == {key: "z"}

    asyncio.run(main())
