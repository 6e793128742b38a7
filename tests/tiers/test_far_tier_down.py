"""A far tier that fails leaves the near one working, and what it did not take never comes back from it."""

import asyncio
import logging
import time

import apsw
import pytest

from hitrate import InMemoryCache, SqliteCache, StoreError, TieredCache
from hitrate.stores.sqlite import connections
from hitrate.stores.tiered import tiers

A, B = (("ns",), "a"), (("other",), "b")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(connections, "_IMPATIENT_SECONDS", 0.0)
    monkeypatch.setattr(tiers, "_AGAIN_SECONDS", 0.0)


class Lock:
    """Somebody who keeps writers out of the file; reads go on."""

    def __init__(self, path):
        self._con = apsw.Connection(str(path))

    def __enter__(self):
        self._con.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self._con.execute("ROLLBACK")


@pytest.fixture
def lock(path, tiered):
    tiered.get([A])
    return Lock(path)


def empty_near(tiered):
    tiered.tiers[0]._store.clear(None)


def settled(tiered):
    """Read until the far tier has been told what it is owed."""
    deadline = time.monotonic() + 20
    while tiered._store._far.debts:
        tiered.get([A])
        assert time.monotonic() < deadline
        time.sleep(0.005)


CHANGES = {
    "delete": lambda cache: cache.delete([A]),
    "adelete": lambda cache: asyncio.run(cache.adelete([A])),
    "clear": lambda cache: cache.clear([A[0]]),
    "aclear": lambda cache: asyncio.run(cache.aclear([A[0]])),
    "clear under": lambda cache: cache.clear_under(A[0]),
    "aclear under": lambda cache: asyncio.run(cache.aclear_under(A[0])),
    "clear all": lambda cache: cache.clear(),
    "a TTL of nothing": lambda cache: cache.set({A: ("gone", 0)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_far_tier_did_not_remove_does_not_come_back(tiered, path, lock, change):
    tiered.set({A: ("old", None)})
    with lock:
        CHANGES[change](tiered)
        assert tiered.get([A]) == {}
        empty_near(tiered)
        assert tiered.get([A]) == {}
        assert asyncio.run(tiered.aget([A])) == {}
        assert tiered.tiers[1].get([A]) == {A: "old"}
    assert tiered.get([A]) == {}
    settled(tiered)
    assert tiered.tiers[1].get([A]) == {}
    with SqliteCache(path=path, clock=tiered._clock) as other:
        assert other.get([A]) == {}


def test_an_overwrite_that_the_far_tier_did_not_take_is_served_by_the_near_one(tiered, lock):
    tiered.set({A: ("old", None), B: ("other", None)})
    with lock:
        tiered.set({A: ("new", None)})
        assert tiered.get([A, B]) == {A: "new", B: "other"}
        empty_near(tiered)
        assert tiered.get([A, B]) == {B: "other"}
    assert tiered.get([A]) == {}
    tiered.set({A: ("newer", None)})
    empty_near(tiered)
    assert tiered.get([A, B]) == {A: "newer", B: "other"}


def test_a_write_after_the_far_tier_is_back_is_stored_there(tiered, lock):
    tiered.set({A: ("old", None)})
    with lock:
        tiered.delete([A])
    tiered.set({A: ("new", None)})
    empty_near(tiered)
    assert tiered.get([A]) == {A: "new"}
    assert not tiered._store._far.debts


def test_a_failure_is_counted_and_logged_once(tiered, lock, caplog):
    with lock, caplog.at_level(logging.WARNING, "hitrate"):
        for number in range(20):
            tiered.set({A: (number, None)})
            assert tiered.get([A]) == {A: number}
    assert tiered.stats().errors >= 20
    assert len(caplog.records) <= 3


def test_on_error_raise_raises_what_a_tier_failed_in_after_the_others_did_their_part(path, clock):
    near, far = InMemoryCache(clock=clock), SqliteCache(path=path, clock=clock)
    with TieredCache(near, far, on_error="raise", clock=clock) as tiered:
        tiered.set({A: ("old", None)})
        with Lock(path):
            with pytest.raises(StoreError, match="locked"):
                tiered.set({A: ("new", None)})
            assert tiered.get([A]) == {A: "new"}
            with pytest.raises(StoreError, match="locked"):
                tiered.delete([A])
            assert tiered.get([A]) == {}
        assert tiered.get([A]) == {}
