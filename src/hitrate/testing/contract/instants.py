"""TTLs to the instant, which only a clock that stands still can show, and the cache's own default."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hitrate.base import FullKey
from hitrate.testing.clock import Clock
from hitrate.testing.contract.fixtures import NAMESPACE, A, B, C, Fixtures, MakeCache
from hitrate.testing.faces import Driver, Face


class Instants(Fixtures):
    """TTL, to the instant"""

    @pytest.mark.parametrize("ttl", [0.25, 1, 10, 3600, 86400 * 365])
    def test_an_entry_expires_at_its_instant(self, cache: Driver, clock: Clock, ttl: float) -> None:
        """An entry is a hit until its TTL has passed, and a miss from that very instant on."""
        cache.set({A: ("value", ttl)})
        clock.advance(ttl - 0.125)
        assert cache.get([A]) == {A: "value"}, "it expired too early"
        clock.advance(0.125)
        assert cache.get([A]) == {}, "it was returned at the instant it expired"

    def test_entries_of_a_batch_expire_one_by_one(self, cache: Driver, clock: Clock) -> None:
        """Each entry of a batch expires at its own instant."""
        keys: list[FullKey] = [(NAMESPACE, str(number)) for number in range(20)]
        cache.set({key: (number, number + 1) for number, key in enumerate(keys)})
        for passed in range(21):
            assert cache.get(keys) == {key: number for number, key in enumerate(keys) if number >= passed}
            clock.advance(1)

    def test_a_far_expiry_is_kept(self, cache: Driver, clock: Clock) -> None:
        """A TTL of 10**12 seconds, None or infinity holds for a thousand years."""
        cache.set({A: (1, 10**12), B: (2, None), C: (3, math.inf)})
        clock.advance(1000 * 366 * 86400)
        assert cache.get([A, B, C]) == {A: 1, B: 2, C: 3}

    def test_a_clock_that_is_set_back_does_no_harm(self, cache: Driver, clock: Clock) -> None:
        """A clock that is set back an hour loses nothing, and TTLs set from then on count from then on."""
        cache.set({A: (1, None), B: (2, 10)})
        clock.advance(-3600)
        assert cache.get([A, B]) == {A: 1, B: 2}
        cache.set({C: (3, 10)})
        clock.advance(10)
        assert C not in cache.get([A, B, C])

    def test_a_default_ttl_is_given_to_none(self, new_cache: MakeCache, face: Face, clock: Clock) -> None:
        """`default_ttl` is the TTL of what is set with None; a TTL of its own goes first."""
        with face.open(new_cache(default_ttl=10)) as cache:
            cache.set({A: ("default", None), B: ("for ever", math.inf), C: ("short", 5)})
            clock.advance(5)
            assert cache.get([A, B, C]) == {A: "default", B: "for ever"}
            clock.advance(5)
            assert cache.get([A, B, C]) == {B: "for ever"}


class Purging(Fixtures):
    """Expired entries"""

    @pytest.mark.parametrize("stored", [1, 500])
    def test_expired_entries_go_away_without_being_read(
        self, new_cache: MakeCache, face: Face, clock: Clock, stored: int
    ) -> None:
        """Expired entries go away without being read, a bounded number per write."""
        with face.open(new_cache()) as cache:
            cache.set({(("short",), str(number)): ("value", 10) for number in range(stored)})
            cache.set({A: ("value", None)})
            clock.advance(11)
            assert writes_until_entries(cache, 2) <= stored + 100, "expired entries stay"
            assert cache.get([A, B]) == {A: "value", B: "value"}

    def test_entries_overwritten_with_a_longer_ttl_are_not_purged(self, cache: Driver, clock: Clock) -> None:
        """An entry that was overwritten with a longer TTL is not purged at its old expiry."""
        cache.set({A: ("old", 10), C: ("old", 10)})
        cache.set({A: ("new", 1000), C: ("new", None)})
        clock.advance(11)
        for _ in range(200):
            cache.set({B: ("value", None)})
        assert cache.get([A, C]) == {A: "new", C: "new"}


def writes_until_entries(cache: Driver, expected: int) -> int:
    """Set one key again and again until the cache holds ``expected`` entries; return how often, 1,000 at most."""
    for writes in range(1, 1001):
        cache.set({B: ("value", None)})
        stats: Any = cache.raw.stats()
        if stats.entries <= expected:
            return writes
    return 1_000_000
