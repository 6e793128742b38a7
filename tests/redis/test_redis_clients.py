"""Every kind of client is taken: URLs, redis-py's and valkey-py's, sync and async, of a server, cluster or Sentinel."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
import redis
import redis.asyncio
import valkey.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel
from valkey.asyncio.sentinel import Sentinel as AsyncValkeySentinel
from valkey.sentinel import Sentinel as ValkeySentinel

from hitrate import RedisCache
from servers.shared import PATIENT
from servers.valkey import Server, running, wait_until

KEY = (("clients",), "key")


def check_both_faces(client: Any, prefix: str, **options: Any) -> None:
    """Check that what one face sets the other gets, from two event loops, and that nothing failed on the way."""
    with RedisCache[Any](client, prefix=prefix, on_error="raise", **{**PATIENT, **options}) as cache:
        cache.set({KEY: (["sync"], 60)})
        assert asyncio.run(cache.aget([KEY])) == {KEY: ["sync"]}
        asyncio.run(_aset(cache, ["async"]))
        assert cache.get([KEY]) == {KEY: ["async"]}
        assert cache.stats().entries == 1
        cache.clear()
        assert asyncio.run(cache.aget([KEY])) == {}


async def _aset(cache: RedisCache[Any], value: Any) -> None:
    await cache.aset({KEY: (value, None)})


SERVER_CLIENTS: dict[str, Callable[[Server], Any]] = {
    "a URL": lambda server: server.url,
    "a URL with a database": lambda server: f"{server.url}/3",
    "a URL with options": lambda server: f"{server.url}?decode_responses=yes&socket_timeout=5&protocol=3",
    "a valkey URL": lambda server: server.url.replace("redis://", "valkey://"),
    "a unix URL": lambda server: server.unix_url,
    "redis.Redis": lambda server: redis.Redis(host="127.0.0.1", port=server.port),
    "redis.Redis on a socket": lambda server: redis.Redis(unix_socket_path=str(server.socket)),
    "redis.Redis with decoded responses": lambda server: redis.Redis.from_url(server.url, decode_responses=True),
    "redis.Redis with RESP3": lambda server: redis.Redis.from_url(server.url, protocol=3),
    "redis.Redis with a blocking pool": lambda server: redis.Redis(
        connection_pool=redis.BlockingConnectionPool.from_url(server.url, max_connections=1)
    ),
    "redis.asyncio.Redis": lambda server: redis.asyncio.Redis(host="127.0.0.1", port=server.port),
    "redis.asyncio.Redis on a socket": lambda server: redis.asyncio.Redis(unix_socket_path=str(server.socket)),
    "redis.asyncio.Redis, decoded": lambda server: redis.asyncio.Redis.from_url(server.url, decode_responses=True),
    "valkey.Valkey": lambda server: valkey.Valkey(host="127.0.0.1", port=server.port),
    "valkey.Valkey, decoded": lambda server: valkey.Valkey.from_url(server.unix_url, decode_responses=True),
    "valkey.asyncio.Valkey": lambda server: valkey.asyncio.Valkey(host="127.0.0.1", port=server.port),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.mark.parametrize("kind", SERVER_CLIENTS)
def test_clients_of_a_server(shared: Server, kind: str) -> None:
    client = SERVER_CLIENTS[kind](shared)
    check_both_faces(client, f"{kind}:")
    if hasattr(client, "aclose"):
        asyncio.run(client.aclose())
    elif hasattr(client, "close"):
        client.close()


def test_the_client_itself_is_left_alone(shared: Server) -> None:
    with redis.Redis.from_url(shared.url, decode_responses=True, max_connections=1) as client:
        client.set("mine", "text")
        check_both_faces(client, "apart:")
        assert client.get("mine") == "text"


CLUSTER_CLIENTS: dict[str, Any] = {
    "redis.RedisCluster": redis.RedisCluster,
    "redis.asyncio.RedisCluster": redis.asyncio.RedisCluster,
    "valkey.ValkeyCluster": valkey.ValkeyCluster,
    "valkey.asyncio.ValkeyCluster": valkey.asyncio.ValkeyCluster,
}


@pytest.mark.parametrize("decoded", [False, True], ids=["bytes", "decoded"])
@pytest.mark.parametrize("kind", CLUSTER_CLIENTS)
def test_clients_of_a_cluster(cluster_url: str, kind: str, decoded: bool) -> None:
    client = CLUSTER_CLIENTS[kind].from_url(cluster_url, decode_responses=decoded)
    check_both_faces(client, f"{kind}:")
    if hasattr(client, "aclose"):
        asyncio.run(client.aclose())
    else:
        client.close()


def test_a_prefix_with_a_hash_tag_puts_a_cache_in_one_slot(cluster_url: str) -> None:
    client = redis.RedisCluster.from_url(cluster_url)
    check_both_faces(client, "mine{together}:")
    with RedisCache[Any](client, prefix="mine{together}:", **PATIENT) as cache:
        assert len(cache._store._names.buckets) == 1
    client.close()


@pytest.fixture(scope="module")
def sentinel(shared: Server) -> Iterator[Server]:
    """A Sentinel that watches the shared server as ``primary``."""
    with running(sentinel=f"monitor primary 127.0.0.1 {shared.port} 1") as sentinel:
        yield sentinel


SENTINELS = {
    "redis": Sentinel,
    "redis.asyncio": AsyncSentinel,
    "valkey": ValkeySentinel,
    "valkey.asyncio": AsyncValkeySentinel,
}


@pytest.mark.parametrize("kind", SENTINELS)
def test_clients_of_a_sentinel(sentinel: Server, kind: str) -> None:
    client = SENTINELS[kind]([("127.0.0.1", sentinel.port)]).master_for("primary")
    check_both_faces(client, f"sentinel {kind}:")


@pytest.mark.parametrize("kind", SENTINELS)
def test_a_sentinels_new_primary_is_found(kind: str) -> None:
    with running() as first, running() as second:
        with second.client() as client:
            client.replicaof("127.0.0.1", first.port)
        with running(sentinel=f"monitor primary 127.0.0.1 {first.port} 1") as sentinel:
            client = SENTINELS[kind]([("127.0.0.1", sentinel.port)]).master_for("primary")
            with RedisCache[Any](client, **PATIENT) as cache:
                cache.set({KEY: ("value", None)})
                assert asyncio.run(cache.aget([KEY])) == {KEY: "value"}
                with sentinel.client() as asked:
                    wait_until(lambda: asked.sentinel_slaves("primary"), "to see the replica")
                    wait_until(lambda: _fails_over(asked), "to begin to fail over")
                    wait_until(lambda: asked.sentinel_get_master_addr_by_name("primary")[1] == second.port, "fail over")
                with second.client() as new:
                    wait_until(lambda: new.info("replication")["role"] == "master", "to be the primary")

                first.stop()
                with second.client() as new:

                    def written() -> bool:
                        cache.set({KEY: ("new", None)})
                        found = cache.get([KEY]), asyncio.run(cache.aget([KEY]))
                        return found == ({KEY: "new"},) * 2 and any(b"}e" in name for name in new.scan_iter())

                    wait_until(written, "to find the new primary")


def _fails_over(client: Any) -> bool:
    try:
        return bool(client.sentinel_failover("primary"))
    except redis.ResponseError:
        return False


@pytest.mark.parametrize(
    "client",
    [None, 17, b"redis://localhost", object(), {"host": "localhost"}],
    ids=lambda client: type(client).__name__,
)
def test_what_is_no_client_is_a_type_error(client: Any) -> None:
    with pytest.raises(TypeError, match="client is a URL"):
        RedisCache(client)


@pytest.mark.parametrize("url", ["", "localhost", "http://localhost", "redis:/x", "memory:"])
def test_what_is_no_url_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match="a URL begins with redis://"):
        RedisCache(url)


@pytest.mark.parametrize("path", ["production", "/1/2", "1/2", "-1", "1a", "0#1"])
def test_a_database_that_is_no_number_is_not_taken_for_the_first(path: str) -> None:
    with pytest.raises(ValueError, match="the number of a database") as caught:
        RedisCache(f"redis://:secret@localhost/{path}")
    assert "secret" not in str(caught.value)
    for right in ("", "/", "/0", "/15", "/3/", "/3?client_name=a/b"):
        RedisCache(f"redis://:secret@localhost{right}").close()


@pytest.mark.parametrize("scheme", ["redis://h:1/0", "rediss://h", "valkey://h", "unix:///run/redis.sock"])
@pytest.mark.parametrize("option", ["prefix=app", "foo=secret", "ssl_foo=1", "prefx=a&socket_timeout=1", "host_=h"])
def test_an_option_that_the_driver_does_not_have_is_a_value_error(scheme: str, option: str) -> None:
    with pytest.raises(ValueError, match="option that the Redis driver does not have") as caught:
        RedisCache(f"{scheme}?{option}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "query", ["", "db=3", "socket_timeout=5", "client_name=me", "max_connections=3", "protocol=3&decode_responses=yes"]
)
def test_an_option_that_the_driver_has_is_left_to_it(query: str) -> None:
    for url in ("redis://h", "rediss://h", "unix:///run/redis.sock"):
        RedisCache[Any](f"{url}?{query}").close()


def test_a_password_in_a_wrong_url_is_not_told() -> None:
    with pytest.raises(ValueError, match="a URL begins") as caught:
        RedisCache("rdis://:secret@localhost")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"prefix": 5}, {"prefix": b"p"}, {"timeout": 0}, {"timeout": -1}, {"timeout": "1"}, {"connect_timeout": True}],
    ids=repr,
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        RedisCache("redis://localhost", **options)


@pytest.mark.parametrize("absent", ["redis", "hiredis"])
def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    for name in [name for name in sys.modules if name.startswith("hitrate.") and "redis" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install '\.\[redis\]'"):
        import_module("hitrate.redis").RedisCache("redis://localhost")


def test_a_node_of_a_cluster_given_as_a_server_is_told(cluster_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with RedisCache[Any](cluster_url, **PATIENT) as cache:
        for number in range(20):
            cache.set({((str(number),), "key"): (number, None)})
    assert not caplog.records or any("RedisCluster" in record.getMessage() for record in caplog.records)
