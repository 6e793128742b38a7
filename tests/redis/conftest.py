"""What the tests of the Redis cache are given: servers, and prefixes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from servers.valkey import cluster_url, redis_url, server

__all__ = ["cluster_url", "new_prefix", "redis_url", "server"]


@pytest.fixture
def new_prefix(request: pytest.FixtureRequest, nodes_at: Callable[[str], list[Any]]) -> Iterator[Callable[[], str]]:
    """A function that returns a prefix no cache has had; what is under it is removed afterwards."""
    prefixes: list[str] = []

    def new() -> str:
        prefixes.append(f"test-{uuid4().hex}:")
        return prefixes[-1]

    yield new
    urls = [request.getfixturevalue(name) for name in ("redis_url", "cluster_url") if name in request.fixturenames]
    for client in (each for url in urls for each in nodes_at(url)):
        remove_all(client, prefixes)


def remove_all(client: Any, prefixes: list[str]) -> None:
    beginnings = tuple(prefix.encode() for prefix in prefixes)
    doomed = [name for name in client.scan_iter(count=10_000) if name.startswith(beginnings)]
    for start in range(0, len(doomed), 10_000):
        with client.pipeline(transaction=False) as pipeline:
            for name in doomed[start : start + 10_000]:
                pipeline.unlink(name)
            pipeline.execute()
