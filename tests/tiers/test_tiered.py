"""TieredCache keeps every promise that hangs on the tiers, with memory over SQLite through both faces."""

from itertools import count

import pytest

from contracts import BytesThroughOneFace, Many, ShortContract, ThroughAsync, ThroughSync
from hitrate import InMemoryCache, PostgresCache, RedisCache, SqliteCache, TieredCache
from hitrate.testing.contract.event_loop import EventLoop
from hitrate.testing.contract.pickles import Pickles
from hitrate.testing.contract.refusal import Refusal
from hitrate.testing.contract.signatures import Signatures


class Tiers:
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(self, clock, make_farther):
        def make(serde=None, max_bytes=1 << 30, max_entries=None, **options):
            # A limit is the farthest tier's. The near one would evict in an order of its own, and holds nothing then.
            bounded = max_bytes != 1 << 30 or max_entries is not None
            near = InMemoryCache(serde=serde, max_bytes=1 if bounded else max_bytes, clock=clock)
            farther = make_farther(serde=serde, max_bytes=max_bytes, max_entries=max_entries)
            return TieredCache(near, *farther, clock=clock, **options)

        return make

    @pytest.fixture
    def make_sqlite(self, clock, tmp_path):
        numbers = count()
        return lambda **options: SqliteCache(path=tmp_path / f"{next(numbers)}.db", clock=clock, **options)

    @pytest.fixture
    def make_postgres(self, clock, postgres_url, empty_table):
        def make(**options):
            return PostgresCache(postgres_url, table=empty_table(), clock=clock, timeout=60, **options)

        return make


class TestMemoryOverSqlite(BytesThroughOneFace, Tiers, Signatures, Many, Refusal, EventLoop, Pickles, ShortContract):
    @pytest.fixture
    def make_farther(self, make_sqlite):
        return lambda **options: [make_sqlite(**options)]


class TestMemoryOverRedis(Tiers, ThroughAsync, ShortContract):
    # A near tier that another one tells of changes, where the one above asks.
    test_forty_thousand_keys_in_one_call = Many.test_forty_thousand_keys_in_one_call

    @pytest.fixture
    def make_farther(self, clock, redis_url, new_prefix):
        # Limits are the server's: these tiers do not offer bounds, and are given none.
        options = {"clock": clock, "timeout": 30.0}  # a busy machine makes no promise a miss
        return lambda serde, **limits: [RedisCache(redis_url, prefix=new_prefix(), serde=serde, **options)]


class TestMemoryOverPostgres(Tiers, ThroughSync, ShortContract):
    @pytest.fixture
    def make_farther(self, make_postgres):
        return lambda **options: [make_postgres(**options)]


class TestMemoryOverSqliteOverPostgres(Tiers, ThroughAsync, ShortContract):
    # 40,000 are more than what is remembered key by key of the tier between.
    test_forty_thousand_keys_in_one_call = Many.test_forty_thousand_keys_in_one_call

    @pytest.fixture
    def make_farther(self, make_sqlite, make_postgres):
        def make(serde, max_bytes, max_entries):
            bounded = max_bytes != 1 << 30 or max_entries is not None
            middle = make_sqlite(serde=serde, max_bytes=1 if bounded else max_bytes)
            return [middle, make_postgres(serde=serde, max_bytes=max_bytes, max_entries=max_entries)]

        return make
