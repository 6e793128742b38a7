"""RedisCache keeps every promise of the contract on a server; in a cluster, what hangs on the slots of keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from contracts import Many, ShortContract, WholeContract
from hitrate import RedisCache
from hitrate.testing import Clock
from hitrate.testing.contract.keys import Keys
from servers.shared import PATIENT


class TestRedisCache(WholeContract):
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(self, clock: Clock, redis_url: str, new_prefix: Callable[[], str]) -> Callable[..., Any]:
        return lambda **options: RedisCache(redis_url, prefix=new_prefix(), clock=clock, **{**PATIENT, **options})


class TestRedisCacheInACluster(Keys, ShortContract):
    set_parameter = "pairs"

    # In one call to each of three nodes.
    test_a_hundred_and_thirty_thousand_keys_in_one_call = Many.test_a_hundred_and_thirty_thousand_keys_in_one_call
    test_forty_thousand_namespaces_in_one_call = Many.test_forty_thousand_namespaces_in_one_call

    @pytest.fixture
    def make_cache(self, clock: Clock, cluster_url: str, new_prefix: Callable[[], str]) -> Callable[..., Any]:
        client = redis.RedisCluster.from_url(cluster_url)
        client.close()
        return lambda **options: RedisCache(client, prefix=new_prefix(), clock=clock, **{**PATIENT, **options})
