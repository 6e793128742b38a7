"""Leases in an SQLite file."""

from __future__ import annotations

import pytest
from tests.lease_contract import LeaseContract

from hitrate import SqliteCache
from hitrate.testing import Clock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.db"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def later(clock):
    return clock.advance


@pytest.fixture
def stores(path, clock):
    with SqliteCache(path=path, clock=clock) as one, SqliteCache(path=path, clock=clock) as two:
        yield one._store, two._store


class TestLeases(LeaseContract):
    pass
