"""RedisCache keeps every promise of the contract on a server; in a cluster, what hangs on the slots of keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from contracts import BytesThroughOneFace, ShortContract, WholeContract
from hitrate import RedisCache
from hitrate.base import FullKey
from hitrate.testing import Clock
from hitrate.testing.contract.clearing import fill, left
from hitrate.testing.contract.fixtures import MakeCache
from hitrate.testing.contract.keys import Keys
from hitrate.testing.faces import ASYNC
from servers.shared import PATIENT


class TestRedisCache(BytesThroughOneFace, WholeContract):
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(self, clock: Clock, redis_url: str, new_prefix: Callable[[], str]) -> Callable[..., Any]:
        return lambda **options: RedisCache(redis_url, prefix=new_prefix(), clock=clock, **{**PATIENT, **options})


@pytest.fixture(scope="module")
def cluster(cluster_url: str) -> Any:
    """A client of the cluster, of which caches take the addresses alone: to make one takes longer than most tests."""
    client = redis.RedisCluster.from_url(cluster_url)
    client.close()
    return client


class TestRedisCacheInACluster(BytesThroughOneFace, Keys, ShortContract):
    set_parameter = "pairs"

    @pytest.fixture
    def make_cache(
        self, clock: Clock, cluster_url: str, cluster: Any, new_prefix: Callable[[], str]
    ) -> Callable[..., Any]:
        return lambda **options: RedisCache(cluster, prefix=new_prefix(), clock=clock, **{**PATIENT, **options})

    # How calls are cut is the same as on one server, which had more: here each of three nodes has several parts.

    def test_forty_thousand_keys_in_one_call(self, new_cache: MakeCache) -> None:
        """Any number of keys in one set, get and delete."""
        keys: list[FullKey] = [((f"n{number % 5}",), str(number)) for number in range(40_000)]
        unknown: FullKey = (("n0",), "unknown")
        with ASYNC.open(new_cache()) as cache:
            cache.set({key: (number, None) for number, key in enumerate(keys)})
            assert cache.get([*keys, unknown]) == {key: number for number, key in enumerate(keys)}
            cache.delete([*keys[1:], unknown])
            assert cache.get([*keys, unknown]) == {keys[0]: 0}

    def test_ten_thousand_namespaces_in_one_call(self, new_cache: MakeCache) -> None:
        """Any number of namespaces in one clear."""
        with ASYNC.open(new_cache()) as cache:
            before = fill(cache)
            cache.clear([("many", str(number)) for number in range(10_000)] + [("a",)])
            assert left(cache) == [namespace for namespace in before if namespace != ("a",)]
