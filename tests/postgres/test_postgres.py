"""PostgresCache keeps every promise of the contract, on a real server."""

from itertools import count

import pytest

from hitrate import PostgresCache
from hitrate.testing import CacheContract


class TestPostgresCache(CacheContract):
    @pytest.fixture
    def make_cache(self, clock, postgres_url, table):
        numbers = count()

        def make(**options):
            return PostgresCache(postgres_url, table=f"{table}_{next(numbers)}", clock=clock, timeout=60, **options)

        return make
