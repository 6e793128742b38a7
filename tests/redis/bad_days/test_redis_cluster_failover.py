"""A node of a cluster dies: its entries are misses, the others' are served, and when a replica has taken over all is
well again without a restart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from hitrate import RedisCache, StoreError
from hitrate.testing.faces import ASYNC, SYNC, Driver, Face
from servers.valkey import Server, running_cluster, wait_until

KEYS = [((f"n{number % 3}",), str(number)) for number in range(300)]
VALUES = {key: key[1] * 3 for key in KEYS}
PATIENCE = 20.0


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    with running_cluster(replicas=3) as servers:
        yield servers


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
def cache(request: pytest.FixtureRequest, servers: list[Server]) -> Iterator[Driver]:
    face: Face = request.param
    client = redis.RedisCluster.from_url(servers[0].url)
    client.close()
    with RedisCache[Any](client, timeout=3, connect_timeout=3) as raw, face.open(raw) as cache:
        yield cache


def set_all(cache: Driver, mark: str) -> None:
    for start in range(0, len(KEYS), 50):
        cache.set({key: (VALUES[key] + mark, None) for key in KEYS[start : start + 50]})


def let_replicas_take_over(servers: list[Server], allowed: bool) -> None:
    """Say whether replicas take over by themselves, as they do within a second or two."""
    for server in servers[3:]:
        with server.client() as client:
            client.config_set("cluster-replica-no-failover", "no" if allowed else "yes")


def test_a_node_is_killed_and_failed_over(servers: list[Server], cache: Driver) -> None:
    cache.set({key: (value, None) for key, value in VALUES.items()})
    assert cache.get(KEYS) == VALUES
    wait_until(lambda: all_replicated(servers), "to replicate")
    let_replicas_take_over(servers, False)
    servers[0].stop()

    began = time.monotonic()
    found = cache.get(KEYS)
    assert time.monotonic() - began < PATIENCE
    assert found.items() <= VALUES.items()
    assert 0 < len(found) < len(KEYS), "the nodes that are alive do not serve, or the killed one does"
    assert cache.raw.stats().errors >= len(KEYS) - len(found)

    let_replicas_take_over(servers, True)
    wait_until(lambda: len(cache.get(KEYS)) == len(KEYS), "to fail over")
    assert cache.get(KEYS) == VALUES
    set_all(cache, " new")
    assert cache.get(KEYS) == {key: value + " new" for key, value in VALUES.items()}
    cache.clear([("n1",)])
    assert cache.get(KEYS) == {key: value + " new" for key, value in VALUES.items() if key[0] != ("n1",)}
    cache.clear()
    assert cache.get(KEYS) == {}
    assert cache.raw.stats().entries == 0


def all_replicated(servers: list[Server]) -> bool:
    for server in servers[:3]:
        with server.client() as client:
            info = client.info("replication")
            if info["slave0"]["offset"] != info["master_repl_offset"]:
                return False
    return True


def test_a_replica_that_takes_over_is_followed(servers: list[Server], cache: Driver) -> None:
    cache.set({key: (value, None) for key, value in VALUES.items()})
    wait_until(lambda: all_replicated(servers), "to replicate")
    with servers[3].client() as replica:
        replica.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")
        wait_until(lambda: replica.info("replication")["role"] == "master", "to take over")
    wait_until(lambda: len(cache.get(KEYS)) == len(KEYS), "to follow")
    set_all(cache, " new")
    assert cache.get(KEYS) == {key: value + " new" for key, value in VALUES.items()}


def test_slots_that_move_are_followed(servers: list[Server], cache: Driver) -> None:
    cache.set({key: (value, 60) for key, value in VALUES.items()})
    buckets = cache.raw._store._names.buckets
    slots = [bucket.slot for bucket in buckets if bucket.slot < 16384 // 3]
    clients = [server.client() for server in servers[:3]]
    ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
    for number, slot in enumerate(slots):
        clients[1].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        clients[0].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        assert cache.get(KEYS).items() <= VALUES.items(), "while it moves"
        names = clients[0].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
        moved = names[: len(names) // 2] if number % 2 else names
        clients[0].execute_command("MIGRATE", "127.0.0.1", servers[1].port, "", 0, 5000, "KEYS", *moved)
        assert cache.get(KEYS).items() <= VALUES.items(), "while it has moved in part"
        if rest := names[len(moved) :]:
            clients[0].execute_command("MIGRATE", "127.0.0.1", servers[1].port, "", 0, 5000, "KEYS", *rest)
        for client in clients:
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        assert cache.get(KEYS) == VALUES
    set_all(cache, " new")
    assert cache.get(KEYS) == {key: value + " new" for key, value in VALUES.items()}
    for client in clients:
        client.close()


def test_on_error_raise_raises_for_the_node_that_is_down(servers: list[Server]) -> None:
    client = redis.RedisCluster.from_url(servers[1].url)
    client.close()
    with RedisCache[Any](client, timeout=3, connect_timeout=3, on_error="raise") as cache:
        cache.set({key: (value, None) for key, value in VALUES.items()})
        let_replicas_take_over(servers, False)
        servers[0].stop()
        with pytest.raises(StoreError, match=str(servers[0].port)):
            cache.get(KEYS)
        with pytest.raises(StoreError, match=str(servers[0].port)):
            cache.set({key: (value, None) for key, value in VALUES.items()})


def test_two_hundred_tasks_while_a_node_dies(servers: list[Server], cache: Driver) -> None:
    raw = cache.raw

    async def task(number: int) -> None:
        key = (("tasks",), str(number))
        for step in range(10):
            await raw.aset({key: ([number, step], None)})
            found = await raw.aget([key])
            assert found in ({}, {key: [number, step]})

    async def main() -> None:
        tasks = [asyncio.create_task(task(number)) for number in range(200)]
        await asyncio.sleep(0)
        servers[0].stop()
        await asyncio.gather(*tasks)

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 60
