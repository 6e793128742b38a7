"""Class methods: what is asked of the cached function by way of the class."""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from compute.cached_samples import CACHE
from hitrate import cached


@dataclass(frozen=True)
class Account:
    number: int

    @cached(CACHE)
    def name(self) -> str:
        return f"account {self.number}"

    @classmethod
    @cached(CACHE, ignore="cls")
    def kind(cls, level: int) -> list[Any]:
        return [cls.__name__, level]


def test_a_bound_method_is_pickled_with_its_object() -> None:
    assert pickle.loads(pickle.dumps(Account(5).name))() == "account 5"


def test_a_class_method_is_cached() -> None:
    assert Account.kind(1) == Account(1).kind(1) == ["Account", 1]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="a classmethod asks no other descriptor from Python 3.13 on")
def test_a_class_method_has_the_calls_of_a_cached_function() -> None:
    assert Account.kind(1) == ["Account", 1]
    assert Account.kind.get(1) == ["Account", 1]
    assert Account.kind.key_for(1) == Account(1).kind.key_for(1)
    assert Account.kind.invalidate(1) is True
