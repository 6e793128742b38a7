"""SqliteCache keeps every promise of the contract, on a file and in memory."""

from functools import partial
from itertools import count

import pytest

from hitrate import SqliteCache
from hitrate.testing import CacheContract


class TestSqliteCache(CacheContract):
    set_parameter = "mapping"

    @pytest.fixture
    def make_cache(self, clock, tmp_path):
        numbers = count()

        def make(**options):
            return SqliteCache(path=tmp_path / f"{next(numbers)}.db", clock=clock, **options)

        return make


class TestSqliteCacheInMemory(CacheContract):
    set_parameter = "mapping"

    @pytest.fixture
    def make_cache(self, clock):
        return partial(SqliteCache, path=":memory:", clock=clock)
