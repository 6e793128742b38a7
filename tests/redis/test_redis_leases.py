"""Leases on Redis: the contract on a server, with limits, and on a cluster; and what befalls them there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from hitrate.stores.base import Store
from hitrate.stores.redis import RedisStore
from lease_contract import LeaseContract


@pytest.fixture
def later() -> Callable[[float], None]:
    return time.sleep


@pytest.fixture
def new_store(new_prefix: Callable[[], str]) -> Iterator[Callable[..., RedisStore]]:
    """A function that opens stores of one prefix."""
    prefix = new_prefix()
    with ExitStack() as at_the_end:

        def new(url: str, **options: Any) -> RedisStore:
            store = RedisStore(url, prefix=prefix, **options)
            at_the_end.callback(store.close)
            return store

        yield new


class TestLeases(LeaseContract):
    @pytest.fixture
    def stores(self, redis_url: str, new_store: Callable[..., RedisStore]) -> tuple[Store, Store]:
        return new_store(redis_url), new_store(redis_url)


class TestLeasesOfABoundedCache(LeaseContract):
    @pytest.fixture
    def stores(self, redis_url: str, new_store: Callable[..., RedisStore]) -> tuple[Store, Store]:
        return new_store(redis_url, max_entries=10_000), new_store(redis_url, max_entries=10_000)


class TestLeasesOnACluster(LeaseContract):
    @pytest.fixture
    def stores(self, cluster_url: str, new_store: Callable[..., RedisStore]) -> tuple[Store, Store]:
        from redis import RedisCluster

        c = RedisCluster.from_url(cluster_url)
        return new_store(c), new_store(c)
