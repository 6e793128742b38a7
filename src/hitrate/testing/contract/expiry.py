"""TTLs, as any clock can show them: each test moves it by more than it needs, and by little."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hitrate.testing.clock import Clock
from hitrate.testing.contract.fixtures import A, B, C, Fixtures
from hitrate.testing.faces import Driver


class Expiry(Fixtures):
    """TTL"""

    def test_an_expired_entry_is_never_returned(self, cache: Driver, clock: Clock) -> None:
        """What is expired is never returned; what is not, is."""
        cache.set({A: ("short", 1), B: ("long", 3600), C: ("for ever", None)})
        clock.advance(1.1)
        found = cache.get([A, B, C])
        assert A not in found, "an expired entry was returned"
        assert found == {B: "long", C: "for ever"}, "an entry was lost before it expired"
        assert cache.get([A]) == {}, "an expired entry was returned by a second read"

    def test_a_fraction_of_a_second_is_a_ttl(self, cache: Driver, clock: Clock) -> None:
        """A TTL may be a fraction of a second."""
        cache.set({A: ("short", 0.25), B: ("long", 3600.5)})
        clock.advance(0.35)
        assert cache.get([A, B]) == {B: "long"}

    def test_a_read_does_not_renew_a_ttl(self, cache: Driver, clock: Clock) -> None:
        """A read does not renew a TTL."""
        cache.set({A: ("value", 1)})
        clock.advance(0.6)
        cache.get([A])
        clock.advance(0.6)
        assert cache.get([A]) == {}, "the read renewed it"

    def test_overwriting_sets_the_ttl_anew(self, cache: Driver, clock: Clock) -> None:
        """Overwriting sets the TTL anew: longer, shorter or none."""
        cache.set({A: ("old", 1), B: ("old", 1), C: ("old", None)})
        cache.set({A: ("new", 3600), B: ("new", None), C: ("new", 1)})
        clock.advance(1.1)
        assert cache.get([A, B, C]) == {A: "new", B: "new"}

    @pytest.mark.parametrize("ttl", [0, 0.0, -1, -0.5, -(10**12), -math.inf])
    def test_a_ttl_of_nothing_removes_the_key(self, cache: Driver, ttl: float) -> None:
        """A TTL of 0 or less removes the key, and no other of its batch."""
        cache.set({A: ("old", None)})
        cache.set({A: ("new", ttl), B: ("value", None)})
        assert cache.get([A, B]) == {B: "value"}

    @pytest.mark.parametrize("ttl", [10**9, 10**12, 1e12, 1e18, math.inf])
    def test_a_ttl_may_be_long(self, cache: Driver, ttl: float) -> None:
        """A TTL may be very long; infinity never expires."""
        cache.set({A: ("value", ttl)})
        assert cache.get([A]) == {A: "value"}

    def test_a_ttl_that_is_not_a_number_is_a_value_error(self, cache: Driver) -> None:
        """A TTL of NaN is a ValueError; nothing of the batch is stored."""
        cache.set({A: ("old", None)})
        with pytest.raises(ValueError):  # noqa: PT011 - the message is the cache's own
            cache.set({A: ("new", math.nan), B: ("new", None)})
        assert cache.get([A, B]) == {A: "old"}, "a part of the batch was stored"

    @pytest.mark.parametrize("ttl", ["60", b"60", [60], (60, 0)], ids=repr)
    def test_a_ttl_of_another_type_is_a_type_error(self, cache: Driver, ttl: Any) -> None:
        """A TTL that is neither a number nor None is a TypeError; nothing of the batch is stored."""
        cache.set({A: ("old", None)})
        with pytest.raises(TypeError):
            cache.set({B: ("new", None), A: ("new", ttl)})
        assert cache.get([A, B]) == {A: "old"}, "a part of the batch was stored"
