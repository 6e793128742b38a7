"""Coroutine functions in the place of plain ones: refused with the argument's name, for nobody would await them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache, cached
from hitrate.langchain import CacheMiddleware


async def coroutine_function(*arguments: Any) -> Any:
    return False


class Callback:
    async def __call__(self, *arguments: Any) -> Any:
        return False

    async def method(self, *arguments: Any) -> Any:
        return False


COROUTINE_FUNCTIONS: dict[str, Any] = {
    "function": coroutine_function,
    "partial object": partial(coroutine_function, 1),
    "object": Callback(),
    "method": Callback().method,
    "cached function": cached(InMemoryCache())(coroutine_function),
}


def _set_events(given: Any) -> None:
    InMemoryCache().events = given


REFUSING: dict[str, Callable[[Any], Any]] = {
    "cache_if": lambda given: cached(InMemoryCache(), cache_if=given),
    "key": lambda given: cached(InMemoryCache(), key=given),
    "events": _set_events,
    "key of a middleware": lambda given: CacheMiddleware(InMemoryCache(), tools=["t"], key=given),
    "scope of a middleware": lambda given: CacheMiddleware(InMemoryCache(), scope=given),
    "clock": lambda given: InMemoryCache(clock=given),
    "clock of a file": lambda given: SqliteCache(path=":memory:", clock=given),
    "clock of tiers": lambda given: TieredCache(InMemoryCache(), InMemoryCache(), clock=given),
}


@pytest.mark.parametrize("given", COROUTINE_FUNCTIONS)
@pytest.mark.parametrize("argument", REFUSING)
def test_a_coroutine_function_is_refused(argument: str, given: str) -> None:
    with pytest.raises(TypeError, match=f"{argument.partition(' ')[0]} is a plain function"):
        REFUSING[argument](COROUTINE_FUNCTIONS[given])


def test_a_coroutine_of_cache_if_is_no_yes() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()

    @cached(cache, cache_if=lambda result: coroutine_function(result))
    def f(number: int) -> int:
        return number

    @cached(cache, cache_if=lambda result: coroutine_function(result))
    async def g(number: int) -> int:
        return number

    for call in (lambda: f(1), lambda: asyncio.run(g(1))):
        with pytest.raises(TypeError, match="cache_if returned a coroutine"):
            call()
    assert cache.stats().entries == 0


def test_a_coroutine_of_a_hook_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    cache.events = lambda event: coroutine_function(event)
    with caplog.at_level(logging.WARNING, "hitrate"):
        for _ in range(3):
            assert cache.get([(("a",), "k")]) == {}
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "events returned a coroutine" in str(record.exc_info[1])
