"""What ``stats()`` counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hitrate.testing.clock import Clock
from hitrate.testing.contract.fixtures import NAMESPACE, A, B, C, Fixtures, MakeCache
from hitrate.testing.faces import Driver, Face
from hitrate.testing.serializers import UndecodableSerializer

COUNTERS = {"hits", "misses", "sets", "deletes", "evictions", "expirations", "errors", "entries", "bytes"}


class Counters(Fixtures):
    """stats"""

    def test_a_new_cache_has_counted_nothing(self, cache: Driver) -> None:
        """A new cache has counted nothing."""
        stats = cache.raw.stats()
        assert {name: getattr(stats, name) for name in COUNTERS - {"bytes"}} == dict.fromkeys(COUNTERS - {"bytes"}, 0)
        assert stats.seconds_saved == 0

    def test_hits_and_misses_are_counted_by_key(self, cache: Driver) -> None:
        """Hits and misses are counted by key, not by call."""
        cache.set({A: (1, None), B: (2, None)})
        cache.get([A, B, C])
        cache.get([C])
        assert counted(cache, "hits", "misses") == (2, 2)

    def test_sets_and_deletes_are_counted_by_key(self, cache: Driver) -> None:
        """Sets are counted by key, and deletes by entry removed."""
        cache.set({A: (1, None), B: (2, None), C: (3, None)})
        cache.set({A: (4, None)})
        cache.delete([A, B, (NAMESPACE, "unknown")])
        assert counted(cache, "sets", "deletes", "entries") == (4, 2, 1)

    def test_entries_and_bytes_follow_what_is_stored(self, cache: Driver) -> None:
        """Entries and bytes grow with what is stored, stay when it is overwritten, and shrink again."""
        empty = cache.raw.stats()
        cache.set({A: ("v" * 10_000, None), B: ("v" * 10_000, None)})
        full = cache.raw.stats()
        assert (empty.entries, full.entries) == (0, 2)
        assert full.bytes - empty.bytes >= 20_000
        cache.set({A: ("w" * 10_000, None)})
        assert counted(cache, "entries", "bytes") == (2, full.bytes)
        cache.delete([A])
        assert cache.raw.stats().entries == 1
        assert cache.raw.stats().bytes <= full.bytes - 10_000
        cache.clear()
        assert counted(cache, "entries", "bytes") == (0, empty.bytes)

    def test_evictions_are_counted(self, bounded_cache: MakeCache, face: Face) -> None:
        """Evictions are counted."""
        with face.open(bounded_cache(max_entries=10)) as cache:
            for number in range(25):
                cache.set({(NAMESPACE, str(number)): (number, None)})
            assert counted(cache, "evictions", "entries") == (15, 10)

    def test_an_expired_entry_is_a_miss_and_an_expiration(self, cache: Driver, clock: Clock) -> None:
        """A read of an expired entry counts a miss; the entry counts one expiration, however it goes."""
        cache.set({A: ("value", 10)})
        clock.advance(10)
        cache.get([A])
        for _ in range(200):
            cache.set({B: ("value", None)})
        assert counted(cache, "hits", "misses", "expirations", "evictions", "entries") == (0, 1, 1, 0, 1)

    def test_an_undecodable_entry_is_a_miss_and_an_error(self, new_cache: MakeCache, face: Face) -> None:
        """An entry that cannot be restored counts a miss and an error."""
        with face.open(new_cache(serde=UndecodableSerializer())) as cache:
            cache.set({A: (["undecodable"], None), B: (["good"], None)})
            cache.get([A, B])
            assert counted(cache, "hits", "misses", "errors") == (1, 1, 1)

    def test_a_hit_saves_the_seconds_the_value_took(self, cache: Driver, clock: Clock) -> None:
        """Each hit saves the seconds from the miss of its key to its set."""
        cache.get([A])
        clock.advance(2.5)
        cache.set({A: ("value", None)})
        assert cache.raw.stats().seconds_saved == 0
        cache.get([A])
        assert cache.raw.stats().seconds_saved == pytest.approx(2.5, abs=0.01)
        clock.advance(100)
        cache.get([A])
        assert cache.raw.stats().seconds_saved == pytest.approx(5.0, abs=0.01)

    def test_seconds_are_saved_by_key(self, cache: Driver, clock: Clock) -> None:
        """Each key saves its own seconds; one that was set without a miss saves none."""
        cache.get([A, B])
        clock.advance(1)
        cache.set({A: ("value", None), C: ("value", None)})
        clock.advance(3)
        cache.set({B: ("value", None)})
        cache.get([A, B, C])
        assert cache.raw.stats().seconds_saved == pytest.approx(5.0, abs=0.01)

    def test_both_faces_count_together(self, new_cache: MakeCache, face: Face) -> None:
        """Both faces count together."""
        raw = new_cache()
        with face.open(raw) as cache:
            cache.set({A: (1, None)})
            cache.get([A, B])
        raw.get([A, B])
        assert (raw.stats().hits, raw.stats().misses) == (2, 2)

    def test_a_misuse_counts_nothing(self, cache: Driver) -> None:
        """A get that is refused has read nothing, and counts nothing."""
        wrong: Any = (NAMESPACE, 17)
        cache.set({A: (1, None)})
        with pytest.raises(TypeError):
            cache.get([A, B, wrong])
        assert counted(cache, "hits", "misses", "errors") == (0, 0, 0)

    def test_stats_are_a_snapshot(self, cache: Driver) -> None:
        """What `stats()` returned does not change, neither by itself nor by the caller."""
        before = cache.raw.stats()
        cache.set({A: (1, None)})
        cache.get([A])
        assert (before.hits, before.sets) == (0, 0)
        with pytest.raises(dataclasses.FrozenInstanceError):
            before.hits = 1


def counted(cache: Driver, *names: str) -> tuple[int, ...]:
    stats = cache.raw.stats()
    return tuple(getattr(stats, name) for name in names)
