"""Values that cannot be stored, and entries that cannot be restored."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hitrate.testing.contract.fixtures import A, B, C, Fixtures, MakeCache
from hitrate.testing.faces import Driver, Face
from hitrate.testing.serializers import UndecodableSerializer


def unserialisable() -> Any:
    """A value that no serializer can store."""
    return {"rows": [1, threading.Lock()]}


class Refusal(Fixtures):
    """Values that cannot be stored or restored"""

    @pytest.mark.parametrize("place", ["first", "last"])
    def test_a_batch_with_an_unserialisable_value(self, cache: Driver, place: str) -> None:
        """A value that cannot be serialised is refused, and nothing of its batch is stored: old values stay."""
        cache.set({A: ("old", None), B: ("old", None)})
        good = {A: ("new", None), C: ("new", None)}
        bad = {B: (unserialisable(), None)}
        assert refused(cache, {**bad, **good} if place == "first" else {**good, **bad}), "it was not refused"
        assert cache.get([A, B, C]) == {A: "old", B: "old"}, "a part of the batch was stored"

    def test_the_cache_goes_on_after_a_refusal(self, cache: Driver) -> None:
        """After a refusal the cache goes on as before."""
        for _ in range(3):
            refused(cache, {A: (unserialisable(), None)})
        cache.set({A: ("value", None)})
        assert cache.get([A]) == {A: "value"}

    def test_an_undecodable_entry_is_a_miss(self, new_cache: MakeCache, face: Face) -> None:
        """An entry that cannot be restored is a miss, and no other entry with it."""
        with face.open(new_cache(serde=UndecodableSerializer())) as cache:
            cache.set({A: (["good"], None), B: (["undecodable"], None), C: (["good"], None)})
            assert cache.get([A, B, C]) == {A: ["good"], C: ["good"]}

    def test_an_undecodable_entry_can_be_overwritten(self, new_cache: MakeCache, face: Face) -> None:
        """An entry that cannot be restored is replaced by the next set."""
        with face.open(new_cache(serde=UndecodableSerializer())) as cache:
            cache.set({A: (["undecodable"], None)})
            cache.set({A: (["good"], None)})
            assert cache.get([A]) == {A: ["good"]}


def refused(cache: Driver, pairs: Any) -> bool:
    try:
        cache.set(pairs)
    except Exception:
        return True
    return False
