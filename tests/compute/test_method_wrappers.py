"""What is put over a cached function in a class, and how the class counts."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

from compute.hosted_samples import CACHE
from hitrate import cached


class Account:
    calls = 0

    @classmethod
    @cached(CACHE)
    def kind(cls, level: int) -> list[Any]:
        cls.calls += 1
        return [cls.__name__, level]

    @classmethod
    @cached(CACHE)
    async def akind(cls, level: int) -> list[Any]:
        return [cls.__name__, level]

    @classmethod
    @cached(CACHE, ignore="cls")
    def shared(cls, level: int) -> list[Any]:
        return [cls.__name__, level]

    @classmethod
    @cached(CACHE, key=lambda cls, level: f"{cls.__name__} {level}")
    def keyed(cls, level: int) -> list[Any]:
        return [cls.__name__, level]

    @staticmethod
    @cached(CACHE)
    def static(level: int) -> list[Any]:
        return [level]


class Savings(Account):
    @classmethod
    @cached(CACHE)
    def kind(cls, level: int) -> list[Any]:
        return ["savings of", *super().kind(level)]


class Current(Account):
    pass


class Plan(type):
    @cached(CACHE)
    def of_metaclass(cls, level: int) -> list[Any]:
        return [cls.__name__, level]


class Gold(metaclass=Plan):
    pass


class Silver(metaclass=Plan):
    pass


def test_a_class_counts_by_its_name_and_subclasses_apart() -> None:
    assert [Account.kind(1), Current.kind(1)] == [["Account", 1], ["Current", 1]]
    assert Savings.kind(1) == ["savings of", "Savings", 1]
    calls = Account.calls, Current.calls
    assert [Account().kind(1), Current().kind(1)] == [["Account", 1], ["Current", 1]]
    assert (Account.calls, Current.calls) == calls
    assert [Gold.of_metaclass(1), Silver.of_metaclass(1)] == [["Gold", 1], ["Silver", 1]]
    assert [Account.shared(1), Current.shared(1)] == [["Account", 1], ["Account", 1]]
    assert [Account.keyed(1), Current.keyed(1)] == [["Account", 1], ["Current", 1]]


async def _kinds() -> list[Any]:
    return [await Account.akind(1), await Current.akind(1), await Account().akind(1)]


def test_the_same_of_coroutine_functions() -> None:
    import asyncio

    assert asyncio.run(_kinds()) == [["Account", 1], ["Current", 1], ["Account", 1]]


def test_a_class_that_a_function_makes_counts_by_what_it_has_too(cache: Any) -> None:
    class Base:
        factor = 1

        @classmethod
        @cached(cache)
        def times(cls, n: int) -> list[int]:
            return [cls.factor * n]

    def make(n: int) -> type[Base]:
        class Made(Base):
            factor = n

        return Made

    assert [make(n).times(5) for n in (2, 3, 2)] == [[10], [15], [10]]
    assert cache.stats().sets == 2


def test_a_class_that_counts_its_calls_is_still_the_same(cache: Any) -> None:
    class Counting:
        runs = 0

        @classmethod
        @cached(cache)
        def one(cls, n: int) -> list[int]:
            cls.runs += 1
            return [n]

    assert Counting.one(1) == Counting.one(1) == Counting().one(1) == [1]
    assert Counting.runs == 1


def test_static_methods() -> None:
    assert Account.static(1) == Account().static(1) == Account.static.get(1) == [1]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="a classmethod asks no other descriptor from Python 3.13 on")
def test_a_class_method_has_the_calls_of_a_cached_function() -> None:
    assert Account.kind(2) == ["Account", 2]
    assert Account.kind.get(2) == ["Account", 2]
    assert Account.kind.key_for(2) == Account().kind.key_for(2) != Current.kind.key_for(2)
    assert Account.kind.invalidate(2) is True


def test_a_class_method_has_them_by_way_of_its_function() -> None:
    assert Account.kind(3) == ["Account", 3]
    kind = Account.kind.__func__  # type: ignore[attr-defined]
    assert kind.get(Account, 3) == ["Account", 3]
    assert kind.get(Current, 3) is None
    assert kind.invalidate(Account, 3) is True


WRAPPERS = (classmethod, staticmethod, property, functools.cached_property)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_wrong_order_is_told(memory: Any, wrapper: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"decorates a function, not a {wrapper.__name__}: write @{wrapper.__name__} above"
    ):
        cached(memory)(wrapper(lambda self: 1))
