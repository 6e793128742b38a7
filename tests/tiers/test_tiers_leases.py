"""Leases of tiers are those of the farthest, and what is settled reaches the nearer ones as a write would."""

from __future__ import annotations

import pytest
from tests.lease_contract import LeaseContract

from hitrate import InMemoryCache, SqliteCache, TieredCache


@pytest.fixture
def later(clock):
    return clock.advance


@pytest.fixture
def make_tiers(path, clock):
    return lambda: TieredCache(InMemoryCache(clock=clock), SqliteCache(path=path, clock=clock), clock=clock)


@pytest.fixture
def stores(make_tiers):
    with make_tiers() as one, make_tiers() as two:
        yield one._store, two._store


class TestLeases(LeaseContract):
    pass
