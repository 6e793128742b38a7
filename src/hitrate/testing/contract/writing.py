"""What a set stores, and when."""

from __future__ import annotations

import asyncio
from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest

from hitrate.base import FullKey
from hitrate.testing.contract.fixtures import A, B, Fixtures, MakeCache
from hitrate.testing.faces import Driver


class Writing(Fixtures):
    """set and aset"""

    def test_a_batch_is_stored(self, cache: Driver) -> None:
        """All pairs of a batch are stored."""
        cache.set({A: (1, None), B: (2, 60), (("other",), "a"): (3, None)})
        assert cache.get([A, B, (("other",), "a")]) == {A: 1, B: 2, (("other",), "a"): 3}

    def test_a_set_overwrites(self, cache: Driver) -> None:
        """A set overwrites the value of its keys and of no others."""
        cache.set({A: ("old", None), B: ("old", None)})
        cache.set({A: ("new", None)})
        assert cache.get([A, B]) == {A: "new", B: "old"}

    def test_an_empty_batch_changes_nothing(self, cache: Driver) -> None:
        """A set of nothing changes nothing."""
        cache.set({A: (1, None)})
        cache.set({})
        assert cache.get([A]) == {A: 1}

    @pytest.mark.parametrize("kind", [MappingProxyType, UserDict])
    def test_any_mapping_is_taken(self, cache: Driver, kind: Any) -> None:
        """Any mapping is taken, not only a dict."""
        cache.set(kind({A: (1, None), B: (2, None)}))
        assert cache.get([A, B]) == {A: 1, B: 2}

    def test_a_value_changed_after_the_set_is_stored_as_it_was(self, cache: Driver) -> None:
        """A value that is changed after the set is stored as it was."""
        value = ["as it was", {"inner": []}]
        cache.set({A: (value, None)})
        value.append("changed")
        assert cache.get([A]) == {A: ["as it was", {"inner": []}]}, "the later change was stored"

    def test_aset_serialises_when_it_is_called(self, new_cache: MakeCache) -> None:
        """`aset` takes the value as it is when called: a change before the await does not reach the cache."""
        cache = new_cache()

        async def change_before_the_await() -> Any:
            value = ["as it was"]
            pending = cache.aset({A: (value, None)})
            value.append("changed")
            await pending
            return await cache.aget([A])

        assert asyncio.run(change_before_the_await()) == {A: ["as it was"]}, "the later change was stored"

    def test_aset_takes_the_mapping_when_it_is_called(self, new_cache: MakeCache) -> None:
        """`aset` takes the mapping as it is when called: the caller may reuse it at once."""
        cache = new_cache()

        async def change_before_the_await() -> Any:
            pairs: dict[FullKey, Any] = {A: (["first"], None)}
            pending = cache.aset(pairs)
            pairs.clear()
            pairs[B] = (["second"], None)
            await pending
            return await cache.aget([A, B])

        assert asyncio.run(change_before_the_await()) == {A: ["first"]}, "the mapping's later content was stored"
