"""Leases of tiers are those of the farthest, and what is settled reaches the nearer ones as a write would."""

from __future__ import annotations

import asyncio

import apsw
import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.errors import StoreError
from hitrate.keys import encode_namespace
from hitrate.stores.sqlite import connections
from hitrate.testing.lease_contract import KEY, OTHER, LeaseContract, entry, token


@pytest.fixture
def later(clock):
    return clock.advance


@pytest.fixture
def make_tiers(path, clock):
    def make(*middle):
        return TieredCache(InMemoryCache(clock=clock), *middle, SqliteCache(path=path, clock=clock), clock=clock)

    return make


class TestLeases(LeaseContract):
    @pytest.fixture
    def stores(self, make_tiers):
        with make_tiers() as one, make_tiers() as two:
            yield one._store, two._store


class TestLeasesOfThreeTiers(LeaseContract):
    @pytest.fixture
    def stores(self, make_tiers, tmp_path, clock):
        middle = [SqliteCache(path=tmp_path / f"middle {number}.db", clock=clock) for number in range(2)]
        with make_tiers(middle[0]) as one, make_tiers(middle[1]) as two:
            yield one._store, two._store


def near(tiered):
    """Return what the nearest tier holds for the keys of the contract."""
    found = tiered._store._tiers.all[0].store.get([KEY, (OTHER, b"key")])
    return [each and each[1] for each in found]


def settle(tiered, results, mine, face):
    store = tiered._store
    return list(store.settle(results, mine) if face == "sync" else asyncio.run(store.asettle(results, mine)))


@pytest.fixture(params=["sync", "async"])
def face(request):
    return request.param


def test_what_is_settled_is_left_in_the_nearest_tier(tiered, face):
    mine = token()
    tiered._store.lease([KEY], mine, 60)
    assert settle(tiered, {KEY: entry(b"value")}, mine, face) == []
    assert near(tiered) == [b"value", None]
    tiered._store.lease([KEY, (OTHER, b"key")], mine, 60)
    assert settle(tiered, {KEY: None, (OTHER, b"key"): entry(b"other")}, mine, face) == []
    assert near(tiered) == [b"value", b"other"]


def test_of_what_was_refused_nothing_is_left_near(tiered, face):
    mine = token()
    tiered._store.write({KEY: entry(b"old")})
    tiered._store.lease([(OTHER, b"key")], mine, 60)
    late = settle(tiered, {KEY: entry(b"refused"), (OTHER, b"key"): entry(b"taken")}, mine, face)
    assert late == [KEY]
    assert near(tiered) == [None, b"taken"]
    assert tiered._store.get([KEY])[0][1] == b"old"


def test_leases_of_this_process_leave_the_nearest_tier_as_it_is(tiered):
    tiered.set({(("ns",), "a"): ("value", None)})
    before = tiered.tiers[0].stats().hits
    for number in range(10):
        mine = token()
        tiered._store.lease([KEY], mine, 60)
        tiered._store.settle({KEY: None} if number % 2 else {KEY: entry(b"value")}, mine)
        assert tiered.get([(("ns",), "a")])
    assert tiered.tiers[0].stats().hits == before + 10


def test_a_far_tier_that_is_down_takes_no_leases_and_no_results(tiered, path, monkeypatch, face):
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.0)
    store, mine = tiered._store, token()
    store.write({KEY: entry(b"old")})
    store.lease([KEY], mine, 60)
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.lease([(OTHER, b"key")], mine, 60) if face == "sync" else asyncio.run(
            store.alease([(OTHER, b"key")], mine, 60)
        )
    with pytest.raises(StoreError, match="locked"):
        settle(tiered, {KEY: entry(b"value")}, mine, face)
    assert near(tiered) == [None, None]
    con.execute("ROLLBACK")
    con.close()
    assert store.get([KEY])[0][1] == b"old"
    assert settle(tiered, {KEY: entry(b"value")}, mine, face) == []
    assert near(tiered) == [b"value", None]


def test_what_the_far_tier_is_owed_comes_before_a_lease(tiered, path, monkeypatch):
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.0)
    store, mine = tiered._store, token()
    store.write({KEY: entry(b"old")})
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("BEGIN IMMEDIATE")
    store.clear_under(encode_namespace(("leases",)))
    con.execute("ROLLBACK")
    con.close()
    assert list(store.lease([KEY], mine, 60)) == [0.0]
    assert list(store.settle({KEY: entry(b"value")}, mine)) == []
    assert store.get([KEY])[0][1] == b"value"


@pytest.mark.parametrize("how", ["sync", "async"])
def test_clearing_the_far_tier_by_itself_under_a_prefix_is_heard(tiered, how):
    tiered._store.write({KEY: entry(b"value"), (b"\x05other", b"key"): entry(b"kept")})
    far = tiered.tiers[1]
    if how == "sync":
        far.clear_under(("leases",))
    else:
        asyncio.run(far.aclear_under(("leases",)))
    assert near(tiered) == [None, None]
    assert tiered._store._tiers.all[0].store.get([(b"\x05other", b"key")])[0][1] == b"kept"
