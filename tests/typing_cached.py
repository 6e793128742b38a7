"""What type checkers make of cached functions: mypy, strict and not, and pyright read this file; nothing runs it.

What a checker cannot do is ignored by name, so that it is noticed when it can.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, assert_type, overload

import numpy as np

import hitrate
from hitrate import InMemoryCache, SqliteCache, TieredCache, cached, stable_key
from hitrate.base import FullKey
from hitrate.compute.protocol import CachedFunction

T = TypeVar("T")

cache = InMemoryCache()


@cached(cache, ttl=60)
def plain(a: int, *, b: str = "") -> list[int]:
    return [a]


@cached(cache, stale=60, early=1.0, lease=5)
async def later(a: int) -> dict[str, int]:
    return {"a": a}


class Service:
    @cached(cache, ignore="self")
    def method(self, a: int) -> str:
        return str(a)

    @cached(cache, ignore="self")
    async def amethod(self, a: int) -> bytes:
        return bytes(a)

    @staticmethod
    @cached(cache)
    def static(a: int) -> float:
        return float(a)

    @staticmethod
    @cached(cache)
    def optional(a: int | None = None) -> float:
        return float(a or 0)

    @staticmethod
    @cached(cache)
    async def astatic(a: int) -> float:
        return float(a)

    @classmethod
    @cached(cache)
    def of_class(cls, a: int) -> str:
        return f"{cls.__name__} {a}"

    @classmethod
    @cached(cache)
    async def aof_class(cls, a: int) -> str:
        return f"{cls.__name__} {a}"

    @property
    @cached(cache)
    def number(self) -> int:
        return 1

    @cached(cache)
    def overridden(self, a: int) -> str:
        return str(a)

    @cached(cache)
    async def aoverridden(self, a: int) -> str:
        return str(a)

    @cached(cache)
    def plainly(self, a: int) -> str:
        return str(a)

    def was_plain(self, a: int) -> str:
        return str(a)


class Special(Service):
    """Pyright takes the type of ``self`` for one that must not change where a parameter list is part of a type."""

    @cached(cache, ignore="self")
    def overridden(self, a: int) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().overridden(a) + "!"

    @cached(cache, ignore="self")
    async def aoverridden(self, a: int) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return await super().aoverridden(a) + "!"

    @classmethod
    @cached(cache)
    def of_class(cls, a: int) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().of_class(a) + "!"

    @cached(cache, ignore="self")
    def was_plain(self, a: int) -> str:
        return super().was_plain(a) + "!"

    # It has no ``get`` and so on, and does not stand for one that has.
    def plainly(self, a: int) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().plainly(a) + "!"


def functions_keep_their_types() -> None:
    assert_type(plain(1, b="x"), list[int])
    assert_type(plain.get(1), list[int] | None)
    assert_type(plain.refresh(1), list[int])
    assert_type(plain.invalidate(1), bool)
    assert_type(plain.key_for(1, b="x"), FullKey)
    assert_type(plain.clear(), None)
    plain("1")  # type: ignore[arg-type]
    plain.get("1")  # type: ignore[arg-type]
    plain(1, c=2)  # type: ignore[call-arg]


async def coroutine_functions_keep_theirs() -> None:
    assert_type(await later(1), dict[str, int])
    assert_type(await later.get(1), dict[str, int] | None)
    assert_type(await later.refresh(1), dict[str, int])
    assert_type(await later.invalidate(1), bool)
    await later("1")  # type: ignore[arg-type]


async def methods_lose_their_self(service: Service) -> None:
    assert_type(service.method(1), str)
    assert_type(service.method.get(1), str | None)
    assert_type(await service.amethod(1), bytes)
    assert_type(await service.amethod.get(1), bytes | None)
    assert_type(Service.static(1), float)
    service.method("1")  # type: ignore[arg-type]


async def class_and_static_methods(service: Service) -> None:
    assert_type(Service.of_class(1), str)
    assert_type(service.of_class(1), str)
    assert_type(Special.of_class.get(1), str | None)
    assert_type(await Service.aof_class(1), str)
    assert_type(await Service.aof_class.invalidate(1), bool)
    assert_type(Service.optional(None), float)
    assert_type(service.static(1), float)
    assert_type(await service.astatic.get(1), float | None)
    assert_type(service.number, int)
    assert_type(Service.overridden(service, 1), str)
    Service.of_class("1")  # type: ignore[arg-type]
    service.static("1")  # type: ignore[arg-type]
    Service.overridden(1, 1)  # type: ignore[arg-type]


async def methods_are_overridden(special: Special) -> None:
    assert_type(special.overridden(1), str)
    assert_type(special.overridden.get(1), str | None)
    assert_type(await special.aoverridden(1), str)
    assert_type(special.was_plain(1), str)
    assert_type(special.plainly(1), str)


@cached(cache)
def anything(a: int) -> Any:
    return a


@cached(cache)
async def later_anything(a: int) -> Any:
    return a


async def what_returns_any_is_no_coroutine_function() -> None:
    assert_type(anything(1), Any)
    assert_type(anything.get(1), Any)
    assert_type(anything.invalidate(1), bool)
    assert_type(anything.clear(), None)
    assert_type(await later_anything(1), Any)
    assert_type(await later_anything.invalidate(1), bool)
    anything("1")  # type: ignore[arg-type]


@cached(cache)
def unannotated(a, b=2):  # type: ignore[no-untyped-def]
    return a


class Unannotated:
    @cached(cache, ignore="self")
    def method(self, a):  # type: ignore[no-untyped-def]
        return a

    @classmethod
    @cached(cache)
    def of_class(cls, a):  # type: ignore[no-untyped-def]
        return a

    @staticmethod
    @cached(cache)
    def static(a):  # type: ignore[no-untyped-def]
        return a


def what_has_no_types_is_no_coroutine_function(thing: Unannotated) -> None:
    there: list[bool] = [unannotated.invalidate(1), thing.method.invalidate(1), thing.of_class.invalidate(1)]
    there += [Unannotated.of_class.invalidate(1), Unannotated.static.invalidate(1), thing.static.invalidate(1)]
    unannotated(1)
    unannotated(1, b=2)
    thing.method(1)
    Unannotated.method(thing, 1)
    thing.of_class(1)
    Unannotated.of_class(1)
    thing.static(1)
    Unannotated.static(1)


@cached(cache)
def first(items: list[T], other: T | None = None) -> T:
    return items[0]


@cached(cache)
async def afirst(items: list[T]) -> T:
    return items[0]


async def generic_functions_are_generic_still() -> None:
    assert_type(first([1]), int)
    assert_type(first(["a"]), str)
    assert_type(first.get([1]), int | None)
    assert_type(first.refresh([b""]), bytes)
    assert_type(await afirst([1]), int)
    assert_type(await afirst.get(["a"]), str | None)
    first(1)  # type: ignore[arg-type]


@overload
def turned(a: int) -> str: ...
@overload
def turned(a: str) -> int: ...
@cached(cache)
def turned(a: Any) -> Any:
    return str(a) if isinstance(a, int) else int(a)


def overloads_go_over_the_cached_function() -> None:
    assert_type(turned(1), str)
    assert_type(turned("1"), int)


def it_goes_where_functions_go() -> None:
    function: Callable[[int], Coroutine[Any, Any, dict[str, int]]] = later
    by_name: CachedFunction[[int], Any] = anything
    assert_type(partial(plain, 1)(), list[int])
    assert_type(cached(cache)(partial(int, "1"))(), int)
    assert_type(list(map(anything, [1])), list[Any])
    assert_type(cached(cache)(lambda: 1)(), int)
    assert_type(plain.__wrapped__(1), list[int])
    assert_type(plain.namespace, tuple[str, ...])
    assert_type(plain.__name__, str)
    del function, by_name


def caches_need_no_annotation() -> None:
    file = SqliteCache(path="cache.db")
    assert_type(file, SqliteCache[Any])
    assert_type(InMemoryCache(max_bytes=1), InMemoryCache[Any])
    assert_type(TieredCache(InMemoryCache(), file), TieredCache[Any])
    assert_type(file.get([(("a",), "b")]), dict[FullKey, Any])
    with SqliteCache(path="cache.db") as opened:
        cached(opened)(lambda: 1)


def a_ttl_is_a_number_or_a_timedelta(numbers: InMemoryCache[int]) -> None:
    for ttl in (60, 0.5, timedelta(minutes=1), np.int64(60), np.float32(0.5)):
        numbers.set({(("a",), "b"): (1, ttl)})
        numbers.get_or_compute((("a",), "b"), lambda: 1, ttl, lease=ttl, stale=ttl)
        cached(numbers, ttl=ttl, lease=ttl, stale=ttl, cache_errors=ValueError, error_ttl=ttl)
        TieredCache(InMemoryCache(default_ttl=ttl), SqliteCache(path="cache.db", default_ttl=ttl), staleness=ttl)
    numbers.set({(("a",), "b"): (1, "60")})  # type: ignore[dict-item]
    InMemoryCache(default_ttl="60")  # type: ignore[arg-type]
    cached(numbers, ttl="60")  # type: ignore[arg-type]


def a_key_function_of_ones_own() -> None:
    cached(cache, key=stable_key)
    cached(cache, key=lambda a: str(a))


async def computing_is_typed(numbers: SqliteCache[int], keys: list[FullKey]) -> None:
    async def compute() -> int:
        return 1

    assert_type(numbers.get_or_compute((("a",), "b"), lambda: 1, 60), int)
    assert_type(await numbers.aget_or_compute((("a",), "b"), compute, lease=5), int)
    assert_type(await numbers.aget_or_compute((("a",), "b"), lambda: 1), int)
    assert_type(numbers.get_or_compute_many(keys, lambda keys: dict.fromkeys(keys, 1)), dict[FullKey, int])
    numbers.get_or_compute((("a",), "b"), lambda: "one")  # type: ignore[arg-type, return-value]


cached(plain)  # type: ignore[arg-type]


opened = hitrate.open("sqlite:///cache.db")


@cached(opened)
def in_an_opened_cache(a: int) -> int:
    return a


assert_type(in_an_opened_cache(1), int)
assert_type(opened.get_or_compute((("notes",), "a"), lambda: 1), Any)
