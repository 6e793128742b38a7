"""RedisCache keeps every promise of the contract: on a server, and in a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from hitrate import RedisCache
from hitrate.testing import CacheContract, Clock

TIMEOUT = 30.0
"""Seconds that a call may take: on a machine with other things to do no promise of the contract becomes a miss."""


class TestRedisCache(CacheContract):
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(self, clock: Clock, redis_url: str, new_prefix: Callable[[], str]) -> Callable[..., Any]:
        return lambda **options: RedisCache(
            redis_url, prefix=new_prefix(), clock=clock, **{"timeout": TIMEOUT, **options}
        )


class TestRedisCacheInACluster(CacheContract):
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(self, clock: Clock, cluster_url: str, new_prefix: Callable[[], str]) -> Callable[..., Any]:
        client = redis.RedisCluster.from_url(cluster_url)
        client.close()
        return lambda **options: RedisCache(client, prefix=new_prefix(), clock=clock, **{"timeout": TIMEOUT, **options})
