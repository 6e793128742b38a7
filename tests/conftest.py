"""What tests of several folders share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def pytest_collection_finish() -> None:
    """Leave the thousands of tests, and the modules that they import, out of the collections that follow.

    Many tests collect, some at each of a hundred allocations, and each time the collector would look at all of it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def nodes_at() -> Iterator[Callable[[str], list[Any]]]:
    """A function that returns clients of all Redis nodes at a URL, each of which holds some of the entries."""
    import redis

    nodes: dict[str, list[Any]] = {}

    def at(url: str) -> list[Any]:
        if url not in nodes:
            with redis.Redis.from_url(url) as client:
                is_cluster = client.info("cluster")["cluster_enabled"]
            if is_cluster:
                with redis.RedisCluster.from_url(url) as cluster:
                    places = [(node.host, node.port) for node in cluster.get_primaries()]
                nodes[url] = [redis.Redis(host=host, port=port) for host, port in places]
            else:
                nodes[url] = [redis.Redis.from_url(url)]
        return nodes[url]

    yield at
    for client in (each for clients in nodes.values() for each in clients):
        client.close()
