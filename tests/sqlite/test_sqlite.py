"""SqliteCache keeps every promise of the contract on a file; in memory, what hangs on the connection."""

from functools import partial
from itertools import count

import pytest

from contracts import BytesThroughOneFace, ShortContract, WholeContract
from hitrate import SqliteCache


class TestSqliteCache(BytesThroughOneFace, WholeContract):
    set_parameter = "mapping"

    @pytest.fixture
    def make_cache(self, clock, tmp_path):
        numbers = count()

        def make(**options):
            return SqliteCache(path=tmp_path / f"{next(numbers)}.db", clock=clock, **options)

        return make


class TestSqliteCacheInMemory(ShortContract):
    set_parameter = "mapping"

    @pytest.fixture
    def make_cache(self, clock):
        return partial(SqliteCache, path=":memory:", clock=clock)
