"""What the tests of tiers share: SQLite files, and the servers of the other backends."""

import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.testing import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.db"


@pytest.fixture
def tiered(path, clock):
    """Memory over an SQLite file."""
    with TieredCache(InMemoryCache(clock=clock), SqliteCache(path=path, clock=clock), clock=clock) as cache:
        yield cache
