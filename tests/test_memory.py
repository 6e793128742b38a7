"""InMemoryCache keeps every promise of the contract."""

from functools import partial

import pytest

from hitrate import InMemoryCache
from hitrate.testing import CacheContract


class TestInMemoryCache(CacheContract):
    set_parameter = "keys"

    @pytest.fixture
    def make_cache(self, clock):
        return partial(InMemoryCache, clock=clock)
