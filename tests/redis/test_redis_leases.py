"""Leases on Redis keep the contract: on a server and in a cluster; and what befalls them there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from compute.callers import KEY as FULL_KEY
from compute.callers import Caller, Gated
from hitrate import RedisCache, StoreError
from hitrate.stores.base import Store
from hitrate.stores.redis import RedisStore
from hitrate.stores.redis.names import slot_of
from hitrate.testing.lease_contract import KEY, NAME, LeaseContract, entry, token
from servers.shared import PATIENT
from servers.valkey import Server, commands_of, wait_until

CHILDREN = Path(__file__).with_name("bad_days")
NewStore = Callable[..., RedisStore]


@pytest.fixture
def new_store(new_prefix: Callable[[], str]) -> Iterator[NewStore]:
    """A function that opens stores of one prefix."""
    prefix = new_prefix()
    with ExitStack() as at_the_end:

        def new(client: Any, **options: Any) -> RedisStore:
            store = RedisStore(client, prefix=prefix, **{**PATIENT, **options})
            at_the_end.callback(store.close)
            return store

        yield new


def waiting(client: Any) -> Callable[[float], None]:
    """A function that waits until so many seconds have passed on a server's clock."""

    def now() -> float:
        seconds, microseconds = client.time()
        return float(seconds) + microseconds / 1e6

    def wait(seconds: float) -> None:
        end = now() + seconds
        wait_until(lambda: now() > end, "the server's clock to go on")

    return wait


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def later(client: Any) -> Callable[[float], None]:
    return waiting(client)


class TestLeases(LeaseContract):
    @pytest.fixture
    def stores(self, redis_url: str, new_store: NewStore) -> tuple[Store, Store]:
        return new_store(redis_url), new_store(redis_url)


class TestLeasesInACluster(LeaseContract):
    @pytest.fixture
    def stores(self, cluster_url: str, new_store: NewStore) -> tuple[Store, Store]:
        return tuple(new_store(redis.RedisCluster.from_url(cluster_url)) for _ in range(2))

    @pytest.fixture
    def later(self, cluster_url: str) -> Iterator[Callable[[float], None]]:
        with redis.Redis.from_url(cluster_url) as client:
            yield waiting(client)


def lease_names(client: Any) -> list[bytes]:
    return [name for name in client.scan_iter(count=1000) if name[-33:-32] == b"c"]


# What lies on the server


@pytest.fixture
def own(server: Server) -> Iterator[tuple[RedisStore, RedisStore, Any]]:
    """Two stores on a server of the test's own, and a client of it."""
    stores = RedisStore(server.unix_url, **PATIENT), RedisStore(server.unix_url, **PATIENT)
    with server.client() as client:
        yield *stores, client
    for store in stores:
        store.close()


Own = tuple[RedisStore, RedisStore, Any]


def test_a_lease_lives_by_the_clock_of_the_server(own: Own) -> None:
    one, two, client = own
    mine = token()
    one.lease([KEY], mine, 30)
    (name,) = lease_names(client)
    assert 10_000 < client.pttl(name) <= 30_000
    one.lease([KEY], mine, 90)
    assert 30_000 < client.pttl(name) <= 90_000
    (left,) = two.lease([KEY], token(), 5)
    assert 30 < left <= 90
    one.settle({KEY: None}, mine)
    assert lease_names(client) == []


def test_a_lease_lies_in_the_slot_of_its_entry(own: Own) -> None:
    one, _, client = own
    one.write({KEY: entry(b"value")})
    one.lease([KEY], token(), 30)
    names = [*lease_names(client), *(name for name in client.scan_iter() if b"}e" in name)]
    assert len(names) == 2
    assert len({slot_of(name) for name in names}) == 1


def test_what_is_settled_expires_as_what_is_written(own: Own) -> None:
    one, two, client = own
    mine = token()
    keys = [(NAME, b"for ever"), (NAME, b"for a time")]
    one.lease(keys, mine, 30)
    one.settle({keys[0]: entry(b"a"), keys[1]: ("bytes", b"b", time.time() + 100, 0.5)}, mine)
    lives = sorted(client.pttl(name) for name in client.scan_iter() if b"}e" in name)
    assert lives[0] == -1
    assert 50_000 < lives[1] <= 100_000
    (token_name,) = (name for name in client.scan_iter() if b"}n" in name)
    assert client.pttl(token_name) == -1, "the namespace would be lost with its token"
    assert [found is not None for found in two.get(keys)] == [True, True]


def test_what_was_settled_is_found_by_who_wrote_before_and_after(own: Own) -> None:
    one, two, _ = own
    mine = token()
    two.write({(NAME, b"before"): ("bytes", b"", time.time() + 1, 0.0)})
    one.lease([KEY], mine, 30)
    one.settle({KEY: ("bytes", b"value", time.time() + 1000, 0.5)}, mine)
    two.write({(NAME, b"after"): ("bytes", b"", time.time() + 1, 0.0)})
    (found,) = two.get([KEY])
    assert found is not None
    assert found[1] == b"value"


def test_a_batch_is_one_round_trip(own: Own) -> None:
    one, two, client = own
    keys = [((b"\x01%d" % (number % 10)), b"%d" % number) for number in range(500)]
    mine = token()
    one.lease(keys[:1], mine, 30)
    one.settle({keys[0]: None}, mine)  # the server knows the scripts

    one._register._due = -1000  # nothing to strike out now
    assert commands_of(client, lambda: one.lease(keys, mine, 30)) == ["EVALSHA"]
    assert commands_of(client, lambda: one.settle(dict.fromkeys(keys, entry(b"v")), mine)) == ["EVALSHA"]
    assert None not in two.get(keys)


def test_a_holder_that_forgot_the_tokens_settles_all_the_same(own: Own) -> None:
    one, two, _ = own
    mine = token()
    one.lease([KEY], mine, 30)
    assert list(two.settle({KEY: entry(b"by another process")}, mine)) == []
    assert one.get([KEY])[0] is not None


def test_a_lease_taken_before_everything_was_lost_is_worth_nothing(own: Own) -> None:
    one, two, client = own
    mine = token()
    one.write({(NAME, b"other"): entry(b"v")})
    one.lease([KEY], mine, 30)
    client.flushall()
    assert list(one.settle({KEY: entry(b"late")}, mine)) == [KEY]
    assert list(two.lease([KEY], token(), 30)) == [0.0]


def test_leases_are_neither_counted_nor_swept(server: Server) -> None:
    one = RedisStore(server.unix_url, **PATIENT)
    with server.client() as client:
        mine = token()
        keys = [(NAME, b"%d" % number) for number in range(50)]
        one.write({(b"\x01x", b"cleared"): entry(b"v"), keys[0]: entry(b"v")})
        one.lease(keys, mine, 60)
        assert one.usage().entries == 2
        one.clear([b"\x01x"])
        wait_until(lambda: sum(b"}e" in name for name in client.scan_iter()) == 1, "to sweep")
        assert len(lease_names(client)) == 50
        assert one.usage().entries == 1
        assert list(one.settle(dict.fromkeys(keys, entry(b"v")), mine)) == []
        assert one.usage().entries == 50
    one.close()


# What others put there


def test_a_foreign_value_under_the_name_of_a_lease_is_no_lease(own: Own) -> None:
    one, two, client = own
    mine = token()
    one.lease([KEY], mine, 30)
    (name,) = lease_names(client)
    right = client.get(name)
    foreign: dict[str, Callable[[], Any]] = {
        "nothing": lambda: client.set(name, b""),
        "text": lambda: client.set(name, b"another program's", px=30_000),
        "cut": lambda: client.set(name, right[:-1], px=30_000),
        "longer": lambda: client.set(name, right + b"\0", px=30_000),
        "without end": lambda: client.set(name, right),
        "list": lambda: client.rpush(name, "x"),
        "hash": lambda: client.hset(name, "x", "y"),
        "set": lambda: client.sadd(name, "x"),
        "stream": lambda: client.xadd(name, {"x": "y"}),
    }
    for kind, put in foreign.items():
        client.delete(name)
        put()
        if kind != "without end":
            assert list(one.settle({KEY: entry(b"value")}, mine)) == [KEY], kind
        assert one.get([KEY]) == [None], kind
        assert list(two.lease([KEY], token(), 30)) == [0.0], kind


def test_a_lease_that_is_altered_is_no_ones(own: Own) -> None:
    one, _, client = own
    mine = token()
    one.lease([KEY], mine, 30)
    (name,) = lease_names(client)
    right = client.get(name)
    for place in range(32):
        altered = bytearray(right)
        altered[place] ^= 1
        client.set(name, bytes(altered), px=30_000)
        assert list(one.settle({KEY: entry(b"value")}, mine)) == [KEY], f"byte {place} does not matter"
    assert one.get([KEY]) == [None]


def test_a_lease_that_lasts_longer_than_it_was_taken_for_is_over(own: Own) -> None:
    one, two, client = own
    one.lease([KEY], token(), 30)
    (name,) = lease_names(client)
    client.pexpire(name, 3_600_000)  # as it is when the server's clock is put back an hour
    assert list(two.lease([KEY], token(), 30)) == [0.0]


# Servers that fail


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_server_that_is_out_of_memory(server: Server, face: str) -> None:
    one = RedisStore(server.unix_url, **PATIENT)

    def lease(key: Any, of: bytes) -> Any:
        return one.lease([key], of, 60) if face == "sync" else asyncio.run(one.alease([key], of, 60))

    def settle(results: Any, of: bytes) -> Any:
        return one.settle(results, of) if face == "sync" else asyncio.run(one.asettle(results, of))

    mine = token()
    other = (NAME, b"other")
    one.write({(NAME, b"for ever"): entry(b"value")})
    assert list(lease(KEY, mine)) == [0.0]
    assert list(lease(other, mine)) == [0.0]
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreError, match="OOM"):
            lease((NAME, b"new"), mine)
        with pytest.raises(StoreError, match="OOM"):
            settle({KEY: entry(b"value")}, mine)
        assert list(settle({other: None}, mine)) == []
        client.config_set("maxmemory", "0")
    assert list(settle({KEY: entry(b"value")}, mine)) == []
    assert one.get([KEY])[0] is not None
    one.close()


def test_a_server_that_is_down_is_a_store_error_until_it_is_back(server: Server) -> None:
    one = RedisStore(server.url, **PATIENT)
    mine = token()
    assert list(one.lease([KEY], mine, 60)) == [0.0]
    server.stop()
    for _ in range(10):  # past the breaker's patience
        with pytest.raises(StoreError):
            one.lease([KEY], mine, 60)
        with pytest.raises(StoreError):
            one.settle({KEY: entry(b"value")}, mine)
        with pytest.raises(StoreError):
            one.clear_under(NAME)
    server.start()

    def back() -> bool:
        try:
            return list(one.lease([KEY], mine, 60)) == [0.0]
        except StoreError:
            return False

    wait_until(back, "to find the server again")
    assert list(one.settle({KEY: entry(b"value")}, mine)) == []
    one.close()


def test_cancelling_leaves_the_store_whole(redis_url: str, new_store: NewStore) -> None:
    one, two = new_store(redis_url), new_store(redis_url)
    keys = [(NAME, b"%d" % number) for number in range(200)]

    async def main() -> None:
        for key in keys:
            mine = token()
            await one.alease([key], mine, 0.001 if key[1][-1:] == b"7" else 60)
            task = asyncio.ensure_future(one.asettle({key: entry(key[1])}, mine))
            for _ in range(int(key[1]) % 3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    for key, found in zip(keys, two.get(keys), strict=True):
        assert found is None or found[1] == key[1]


# Holders that die and pause


@contextmanager
def holder(url: str, prefix: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lease of KEY, and settles it when it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, CHILDREN / "redis_lease_holder.py", url, prefix, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "leased\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_holder_that_is_killed_is_replaced_when_its_lease_ends(redis_url: str, new_prefix: Callable[[], str]) -> None:
    store = RedisStore(redis_url, prefix=(prefix := new_prefix()), **PATIENT)
    mine = token()
    with holder(redis_url, prefix, 1.0) as process:
        process.kill()
        process.wait()
        left = store.lease([KEY], mine, 60)[0]
        assert left <= 1.0
        wait_until(lambda: store.lease([KEY], mine, 600)[0] == 0.0, "the lease of the dead to end")
    assert list(store.settle({KEY: entry(b"anew")}, mine)) == []
    store.close()


def test_a_holder_that_was_paused_does_not_overwrite_its_successor(
    redis_url: str, new_prefix: Callable[[], str]
) -> None:
    store = RedisStore(redis_url, prefix=(prefix := new_prefix()), **PATIENT)
    with holder(redis_url, prefix, 0.2) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.send_signal(signal.SIGSTOP)
        mine = token()
        wait_until(lambda: store.lease([KEY], mine, 60)[0] == 0.0, "the lease of the paused to end")
        store.settle({KEY: entry(b"the successor's")}, mine)
        process.stdin.write("go on\n")
        process.stdin.flush()
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "late\n"
    (found,) = store.get([KEY])
    assert found is not None
    assert found[1] == b"the successor's"
    store.close()


@pytest.mark.parametrize("meanwhile", ["computed", "deleted"])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_what_is_computed_without_a_lease_replaces_nothing_and_comes_back_nowhere(
    server: Server, face: str, meanwhile: str
) -> None:
    """The lease could not be had, since the server was slow; then another computed the key, or removed it."""
    gate = Gated(lambda: "old")
    with RedisCache(server.url, timeout=1) as slow, RedisCache(server.url) as other:  # type: RedisCache[Any], RedisCache[Any]
        slow.set({FULL_KEY: ("first", None)})
        slow.delete([FULL_KEY])
        server.pause()
        try:
            if face == "sync":
                caller = Caller(lambda: slow.get_or_compute(FULL_KEY, gate, lease=30))
            else:
                caller = Caller(
                    lambda: asyncio.run(slow.aget_or_compute(FULL_KEY, lambda: asyncio.to_thread(gate), lease=30))
                )
            assert gate.begun.wait(60)
        finally:
            server.resume()
        # The lease that was asked for may have been given as the server went on.
        other.delete([FULL_KEY])
        if meanwhile == "computed":
            assert other.get_or_compute(FULL_KEY, lambda: "new", lease=30) == "new"
        gate.let()
        assert caller.result() == "old"
        assert other.get([FULL_KEY]) == ({FULL_KEY: "new"} if meanwhile == "computed" else {})
        assert other.get_or_compute(FULL_KEY, lambda: "next", lease=30) == (
            "new" if meanwhile == "computed" else "next"
        )
