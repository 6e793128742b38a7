"""What of cached functions can be pickled, and that caches are neither copied nor pickled."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from compute import cached_samples
from compute.cached_samples import CACHE
from hitrate import cached


def slow(number: int) -> int:
    return number * 2


def hidden(number: int) -> int:
    return number * 3


fast = cached(CACHE)(slow)


@dataclass(frozen=True)
class Account:
    number: int

    @cached(CACHE)
    def name(self) -> str:
        return f"account {self.number}"

    other_name = cached(CACHE)(lambda self: f"other {self.number}")

    @classmethod
    @cached(CACHE)
    def kind(cls, level: int) -> list[Any]:
        return [cls.__name__, level]

    @staticmethod
    @cached(CACHE)
    def static(level: int) -> list[Any]:
        return [level]


class Savings(Account):
    @cached(CACHE)
    def name(self) -> str:
        return "savings"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_function_of_a_module_is_pickled_by_a_name_that_leads_to_it(protocol: int) -> None:
    for each in (cached_samples.double, cached_samples.adouble, fast, Account.name, Account.static):
        assert pickle.loads(pickle.dumps(each, protocol)) is each


def test_a_process_pool_takes_it() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(fast, [1, 2])) == [2, 4]
        assert pool.submit(Account(5).name).result(60) == "account 5"


def test_bound_methods_are_pickled_with_their_object() -> None:
    for each, result in ((Account(5).name, "account 5"), (Account(5).other_name, "other 5")):
        assert pickle.loads(pickle.dumps(each))() == result
    assert pickle.loads(pickle.dumps(Account.kind))(1) == ["Account", 1]


def test_a_method_that_no_attribute_leads_to_is_told() -> None:
    with pytest.raises(pickle.PicklingError, match=r"Account.name is pickled by its name.*pickle the object"):
        pickle.dumps(super(Savings, Savings(5)).name)


def test_what_its_name_does_not_lead_to_is_told() -> None:
    lost = cached(CACHE)(hidden)
    with pytest.raises(pickle.PicklingError, match=r"(?s)hidden is pickled by its name.*another object.*assign"):
        pickle.dumps(lost)
    elsewhere = cached(CACHE)(cached_samples.triple)
    with pytest.raises(pickle.PicklingError, match=r"(?s)triple is pickled by its name.*another object.*assign"):
        pickle.dumps(elsewhere)


def test_a_local_function_is_told() -> None:
    @cached(CACHE)
    def local() -> int:
        return 1

    with pytest.raises(pickle.PicklingError, match="top of a module"):
        pickle.dumps(local)
    with pytest.raises(pickle.PicklingError, match="top of a module"):
        pickle.dumps(cached(CACHE)(lambda: 1))
    assert copy.deepcopy({"f": local})["f"] is copy.copy(local) is local


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps, lambda cache: copy.deepcopy([cache])])
def test_a_cache_is_neither_copied_nor_pickled(any_cache: Any, how: Any) -> None:
    with pytest.raises(TypeError, match=rf"{type(any_cache).__name__} is neither copied nor pickled.*in each process"):
        how(any_cache)
    any_cache.set({(("a",), "b"): (1, None)})
    assert any_cache.get([(("a",), "b")]) == {(("a",), "b"): 1}


def test_an_object_that_holds_a_cached_function_is_copied() -> None:
    @dataclass
    class Holder:
        call: Any
        notes: list[int]

    holder = Holder(fast, [1])
    copied = copy.deepcopy(holder)
    assert copied.call is fast
    assert copied.notes is not holder.notes
