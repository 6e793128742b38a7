"""TieredCache keeps every promise of the contract, with memory over SQLite."""

from itertools import count

import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.testing import CacheContract


class TestMemoryOverSqlite(CacheContract):
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(self, clock, tmp_path):
        numbers = count()

        def make(serde=None, max_bytes=1 << 30, max_entries=None, **options):
            limits = {"max_bytes": max_bytes, "max_entries": max_entries}
            # A limit is the farthest tier's. The near one would evict in an order of its own, and holds nothing then.
            bounded = max_bytes != 1 << 30 or max_entries is not None
            return TieredCache(
                InMemoryCache(serde=serde, max_bytes=1 if bounded else max_bytes, clock=clock),
                SqliteCache(path=tmp_path / f"{next(numbers)}.db", serde=serde, clock=clock, **limits),
                clock=clock,
                **options,
            )

        return make
