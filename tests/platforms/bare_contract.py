"""The documented contract on the caches that need no server, run by ``test_other_systems.py`` on a bare system."""

from functools import partial
from itertools import count

import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.testing import DocumentedContract
from hitrate.testing.faces import ASYNC, SYNC


class Contract(DocumentedContract):
    # Mere numbers ask nothing of a system that others do not.
    test_a_hundred_and_thirty_thousand_keys_in_one_call = None
    test_forty_thousand_namespaces_in_one_call = None

    @pytest.fixture
    def make_sqlite(self, clock, tmp_path):
        numbers = count()
        return lambda **options: SqliteCache(path=tmp_path / f"{next(numbers)}.db", clock=clock, **options)


class ShortContract(Contract):
    # What is decided before a store is asked is decided in the same lines.
    test_get_refuses_what_is_not_a_full_key = None
    test_set_refuses_what_is_not_a_full_key = None
    test_what_comes_back_is_what_went_in = None
    test_clear_removes_exactly_one_namespace = None
    test_every_string_is_a_legal_key = None
    test_every_string_is_a_legal_part_of_a_namespace = None


class TestMemory(ShortContract):
    set_parameter = "keys"

    @pytest.fixture
    def face(self):  # a file is used through both
        return SYNC

    @pytest.fixture
    def make_cache(self, clock):
        return partial(InMemoryCache, clock=clock)


class TestSqlite(Contract):
    set_parameter = "mapping"

    @pytest.fixture
    def make_cache(self, make_sqlite):
        return make_sqlite


class TestTiers(ShortContract):
    set_parameter = "pairs"

    @pytest.fixture
    def face(self):
        return ASYNC

    @pytest.fixture
    def make_cache(self, clock, make_sqlite):
        return lambda **options: TieredCache(InMemoryCache(clock=clock, **options), make_sqlite(**options), clock=clock)
