"""PostgresCache keeps every promise of the contract, on a real server."""

import subprocess
import sys

import pytest

from contracts import BytesThroughOneFace, WholeContract, WithoutMisuse
from hitrate import PostgresCache


class TestPostgresCache(BytesThroughOneFace, WithoutMisuse, WholeContract):
    @pytest.fixture
    def make_cache(self, clock, postgres_url, empty_table):
        def make(**options):
            return PostgresCache(postgres_url, table=empty_table(), clock=clock, timeout=60, **options)

        return make


def test_without_psycopg_the_extra_is_named():
    code = """
import sys
sys.modules["psycopg"] = None
try:
    from hitrate import PostgresCache
except ModuleNotFoundError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install '.[postgres]'" in told


def test_a_conninfo_needs_no_pool_library(postgres_url, table):
    code = """
import sys
sys.modules["psycopg_pool"] = None
from hitrate import PostgresCache
cache = PostgresCache(sys.argv[1], table=sys.argv[2], on_error="raise")
cache.set({((), "key"): (1, None)})
print(cache.get([((), "key")]))
"""
    command = [sys.executable, "-W", "error", "-c", code, postgres_url, table]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "{((), 'key'): 1}\n"
    assert told.stderr == ""
