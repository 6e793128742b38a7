"""What a TieredCache takes, refuses and tells."""

import pytest

from hitrate import InMemoryCache, MsgpackSerializer, SqliteCache, TieredCache

A = (("ns",), "a")


class Counting(MsgpackSerializer):
    """Counts what is packed and unpacked."""

    def __init__(self):
        super().__init__()
        self.packed = self.unpacked = 0

    def dumps_typed(self, obj):
        self.packed += 1
        return super().dumps_typed(obj)

    def loads_typed(self, data):
        self.unpacked += 1
        return super().loads_typed(data)


def test_fewer_than_two_tiers_are_refused():
    for tiers in ([], [InMemoryCache()]):
        with pytest.raises(ValueError, match="two tiers"):
            TieredCache(*tiers)


def test_what_is_no_cache_is_refused():
    with pytest.raises(TypeError, match="hitrate cache, not one of type str"):
        TieredCache(InMemoryCache(), "memory:")


def test_one_cache_as_two_tiers_is_refused():
    cache = InMemoryCache()
    with pytest.raises(ValueError, match="twice"):
        TieredCache(cache, cache)


def test_tiers_with_different_serializers_are_refused():
    with pytest.raises(ValueError, match="one serializer"):
        TieredCache(InMemoryCache(), InMemoryCache(serde=MsgpackSerializer()))


@pytest.mark.parametrize(
    ("staleness", "error"), [("5", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError)]
)
def test_a_staleness_that_is_none_is_refused(staleness, error):
    with pytest.raises(error, match="staleness"):
        TieredCache(InMemoryCache(), InMemoryCache(), staleness=staleness)


def test_values_move_between_tiers_as_stored_bytes(path):
    serde = Counting()
    with TieredCache(InMemoryCache(serde=serde), SqliteCache(path=path, serde=serde)) as tiered:
        tiered.set({A: ([1, 2], None)})
        assert (serde.packed, serde.unpacked) == (1, 0)
        tiered.tiers[0]._store.clear(None)
        assert tiered.get([A]) == {A: [1, 2]}
        assert (serde.packed, serde.unpacked) == (1, 1)
        assert tiered.get([A]) == {A: [1, 2]}
        assert tiered.tiers[0].stats().hits == 1


def test_a_copy_has_the_time_that_is_left(tiered, clock):
    tiered.set({A: ("value", 10)})
    tiered.tiers[0]._store.clear(None)
    clock.advance(6)
    assert tiered.get([A]) == {A: "value"}
    clock.advance(3)
    assert tiered.get([A]) == {A: "value"}
    assert tiered.tiers[0].stats().hits == 1
    clock.advance(1)
    assert tiered.get([A]) == {}


def test_a_value_too_large_for_the_near_tier_is_served_by_the_far_one(path, caplog):
    with TieredCache(InMemoryCache(max_bytes=1000), SqliteCache(path=path)) as tiered:
        for _ in range(3):
            tiered.set({A: ("x" * 5000, None)})
            assert tiered.get([A]) == {A: "x" * 5000}
        assert tiered.tiers[0].stats().entries == 0
    assert caplog.records == []


def test_closing_closes_the_tiers(tiered):
    tiered.close()
    for tier in tiered.tiers:
        with pytest.raises(Exception, match="closed"):
            tier.get([A])


def test_hits_in_either_tier_are_hits(tiered):
    tiered.set({A: (1, None)})
    tiered.get([A])
    tiered.tiers[0]._store.clear(None)
    tiered.get([A])
    tiered.get([(("ns",), "unknown")])
    stats = tiered.stats()
    assert (stats.hits, stats.misses, stats.sets, stats.entries) == (2, 1, 1, 1)


def test_memory_over_memory_works_too(clock):
    with TieredCache(InMemoryCache(clock=clock), InMemoryCache(clock=clock), clock=clock) as tiered:
        tiered.set({A: (1, None)})
        tiered.tiers[0]._store.clear(None)
        assert tiered.get([A]) == {A: 1}
        tiered.delete([A])
        assert tiered.get([A]) == {}
