"""The servers that tests share: one of each kind for a process of tests, whatever folders its tests lie in.

``tests/conftest.py`` has these fixtures for all tests: a module that imported them itself would have servers of its
own. What starts a server is imported when the first one is asked for, for many tests need none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from servers.postgres import SpareTables
    from servers.valkey import Server

PATIENT: dict[str, Any] = {"timeout": 30.0, "connect_timeout": 30.0}
"""Options of caches whose server is well: on a machine with other things to do no call of theirs runs out of time."""

PATIENT_URL = "&".join(f"{name}={seconds}" for name, seconds in PATIENT.items())
"""The same as a part of a URL's query."""

_numbers = count()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The server that most tests share: HITRATE_REDIS_URL, or one that is started here."""
    given = os.environ.get("HITRATE_REDIS_URL")
    if given:
        yield given
        return
    from servers.valkey import running

    with running() as server:
        yield server.unix_url


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A node of a cluster of three."""
    from servers.valkey import running_cluster

    with running_cluster() as servers:
        # On a machine with other things to do no node is to take another for dead.
        for server in servers:
            with server.client() as client:
                client.config_set("cluster-node-timeout", 60_000)
        yield servers[0].url


@pytest.fixture
def server() -> Iterator[Server]:
    """A Valkey server of the test's own."""
    from servers.valkey import running

    with running() as server:
        yield server


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
        _remove_all(client, prefixes)


def _remove_all(client: Any, prefixes: list[str]) -> None:
    beginnings = tuple(prefix.encode() for prefix in prefixes)
    doomed = [name for name in client.scan_iter(count=10_000) if name.startswith(beginnings)]
    for start in range(0, len(doomed), 10_000):
        with client.pipeline(transaction=False) as pipeline:
            for name in doomed[start : start + 10_000]:
                pipeline.unlink(name)
            pipeline.execute()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Where a PostgreSQL server listens: that of HITRATE_POSTGRES_URL, or one that is started for the run."""
    given = os.environ.get("HITRATE_POSTGRES_URL")
    if given:
        yield given
        return
    from servers.postgres import PostgresServer

    server = PostgresServer()
    try:
        yield server.url
    finally:
        server.remove()


@pytest.fixture
def table(postgres_url: str) -> Iterator[str]:
    """A name of tables that are not there yet; what bears it is removed afterwards."""
    from servers.postgres import drop_tables

    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield name
    drop_tables(postgres_url, name)


@pytest.fixture(scope="module")
def spare_tables(postgres_url: str) -> Iterator[SpareTables]:
    """Tables that the tests of a module use one after the other."""
    from servers.postgres import SpareTables

    with SpareTables(postgres_url, f"spare_{os.getpid()}_{next(_numbers)}_") as spare:
        yield spare


@pytest.fixture
def empty_table(spare_tables: SpareTables) -> Iterator[Callable[[], str]]:
    """A function that returns the name of tables that hold nothing, if they are there, and that no other cache has."""
    taken: list[str] = []

    def take() -> str:
        taken.append(spare_tables.take())
        return taken[-1]

    yield take
    spare_tables.give_back(taken)
