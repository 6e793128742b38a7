"""The sync and the async face are the same store, and a cache is always true."""

from __future__ import annotations

import asyncio
from typing import Any

from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Driver, Face

KEY = (("namespace",), "key")


class OneStore(Fixtures):
    """One store, two faces"""

    def test_what_one_face_sets_the_other_gets(self, cache: Driver, other: Driver) -> None:
        """What one face sets, the other gets."""
        cache.set({KEY: ("value", None)})
        assert other.get([KEY]) == {KEY: "value"}
        other.set({KEY: ("new", None)})
        assert cache.get([KEY]) == {KEY: "new"}

    def test_what_one_face_clears_the_other_misses(self, cache: Driver, other: Driver) -> None:
        """What one face clears, the other misses."""
        cache.set({KEY: ("value", None)})
        other.get([KEY])
        cache.clear([KEY[0]])
        assert other.get([KEY]) == {}

    def test_the_sync_face_works_inside_an_event_loop(self, new_cache: MakeCache) -> None:
        """The sync methods work inside a running event loop."""
        cache = new_cache()

        async def both() -> Any:
            cache.set({KEY: (1, None)})
            await cache.aset({KEY: (2, None)})
            return cache.get([KEY])

        assert asyncio.run(both()) == {KEY: 2}

    def test_two_caches_do_not_share(self, new_cache: MakeCache, face: Face) -> None:
        """Two caches that were made apart share nothing."""
        with face.open(new_cache()) as cache, face.open(new_cache()) as other:
            cache.set({KEY: ("value", None)})
            assert other.get([KEY]) == {}
            other.set({KEY: ("other", None)})
            assert cache.get([KEY]) == {KEY: "value"}

    def test_a_cache_is_always_true(self, cache: Driver) -> None:
        """A cache is true, when it is empty too."""
        assert cache.raw, "an empty cache is false"
        cache.set({KEY: (1, None)})
        cache.clear()
        assert cache.raw, "a cleared cache is false"
