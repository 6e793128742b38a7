"""A cache is bounded, says so once, and keeps what is used."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hitrate.base import FullKey
from hitrate.testing.clock import Clock
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Face


def numbered(first: int, last: int) -> list[FullKey]:
    return [((f"n{number % 3}",), str(number)) for number in range(first, last)]


class Bounds(Fixtures):
    """Bounds and eviction"""

    @pytest.mark.parametrize("batch", [1, 7, 100])
    def test_max_entries_is_never_exceeded(self, bounded_cache: MakeCache, face: Face, batch: int) -> None:
        """`max_entries` is never exceeded, whatever the size of a batch."""
        keys = numbered(0, 100)
        with face.open(bounded_cache(max_entries=10)) as cache:
            for start in range(0, 100, batch):
                cache.set(dict.fromkeys(keys[start : start + batch], ("value", None)))
                assert cache.raw.stats().entries <= 10
            assert 0 < len(cache.get(keys)) <= 10

    @pytest.mark.parametrize("batch", [1, 7, 100])
    def test_max_bytes_is_never_exceeded(self, bounded_cache: MakeCache, face: Face, batch: int) -> None:
        """`max_bytes` is never exceeded, whatever the size of a batch."""
        keys = numbered(0, 100)
        with face.open(bounded_cache(max_bytes=50_000)) as cache:
            for start in range(0, 100, batch):
                cache.set(dict.fromkeys(keys[start : start + batch], ("v" * 2000, None)))
                assert cache.raw.stats().bytes <= 50_000
            assert 5 <= len(cache.get(keys)) <= 25

    def test_a_value_larger_than_the_cache_does_not_break_the_bound(self, bounded_cache: MakeCache, face: Face) -> None:
        """A value larger than `max_bytes` does not break the bound, and leaves no older value behind."""
        key = numbered(0, 1)[0]
        with face.open(bounded_cache(max_bytes=50_000)) as cache:
            cache.set({key: ("old", None)})
            cache.set({key: ("v" * 200_000, None)})
            assert cache.raw.stats().bytes <= 50_000
            assert cache.get([key]) == {}

    def test_overwriting_evicts_nothing(self, bounded_cache: MakeCache, face: Face) -> None:
        """Overwriting keys that are stored evicts nothing."""
        keys = numbered(0, 10)
        with face.open(bounded_cache(max_entries=10)) as cache:
            for number in range(5):
                cache.set(dict.fromkeys(keys, (number, None)))
            assert cache.get(keys) == dict.fromkeys(keys, 4)
            assert cache.raw.stats().evictions == 0

    def test_the_newest_entry_is_stored(self, bounded_cache: MakeCache, face: Face) -> None:
        """What was just set is stored, however full the cache is."""
        with face.open(bounded_cache(max_entries=3)) as cache:
            for key in numbered(0, 50):
                cache.set({key: ("value", None)})
                assert cache.get([key]) == {key: "value"}

    def test_an_entry_that_is_read_again_outlives_unread_ones(self, bounded_cache: MakeCache, face: Face) -> None:
        """An entry that is read again outlives those that are not (SIEVE)."""
        keys = numbered(0, 15)
        with face.open(bounded_cache(max_entries=10)) as cache:
            for key in keys[:10]:
                cache.set({key: ("value", None)})
            cache.get([keys[0], keys[3]])
            for key in keys[10:]:
                cache.set({key: ("value", None)})
            assert list(cache.get(keys)) == [keys[0], keys[3], *keys[7:]]

    def test_room_is_made_again_by_clear_delete_and_expiry(
        self, bounded_cache: MakeCache, face: Face, clock: Clock
    ) -> None:
        """What is cleared, deleted or expired makes room: nothing fresh is evicted for it."""
        keys = numbered(0, 10)
        full = dict.fromkeys(keys, ("value", 10))
        with face.open(bounded_cache(max_entries=10)) as cache:
            cache.set(full)
            cache.clear()
            cache.set(full)
            cache.delete(keys)
            cache.set(full)
            assert cache.raw.stats().evictions == 0
            assert len(cache.get(keys)) == 10
            clock.advance(10)
            fresh = numbered(10, 20)
            cache.set(dict.fromkeys(fresh, ("value", 10)))
            assert list(cache.get(fresh)) == fresh

    def test_the_first_eviction_is_logged_once(
        self, bounded_cache: MakeCache, face: Face, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The first eviction is logged, once, by the logger `hitrate`: a limit is never a silent surprise."""
        with caplog.at_level(logging.DEBUG, "hitrate"), face.open(bounded_cache(max_entries=3)) as cache:
            for key in numbered(0, 3):
                cache.set({key: ("value", None)})
            assert evictions_logged(caplog) == 0, "an eviction was logged before there was one"
            for key in numbered(3, 50):
                cache.set({key: ("value", None)})
            assert evictions_logged(caplog) == 1

    @pytest.mark.parametrize("option", ["max_entries", "max_bytes"])
    @pytest.mark.parametrize("wrong", [-1, "10", 0.5])
    def test_a_wrong_limit_is_refused(self, bounded_cache: MakeCache, option: str, wrong: Any) -> None:
        """A limit that is no positive int is a TypeError or ValueError."""
        with pytest.raises((TypeError, ValueError)):
            bounded_cache(**{option: wrong})


def evictions_logged(caplog: pytest.LogCaptureFixture) -> int:
    return sum(
        record.name.split(".")[0] == "hitrate" and "evict" in record.getMessage().lower() for record in caplog.records
    )
