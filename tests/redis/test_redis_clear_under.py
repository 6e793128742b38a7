"""Clearing by prefix on Redis: the register of namespaces, what becomes of it, and who is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest
import redis

from hitrate import RedisCache
from hitrate.keys import EncodedKey, encode_namespace
from hitrate.stores.redis import RedisStore
from hitrate.stores.redis.register import PAGE
from servers.shared import PATIENT
from servers.valkey import Server, commands_of, wait_until

UNDER, AROUND = (
    [("a",), ("a", ""), ("a", "b"), ("a", "b", "c"), ("a", "\0"), ("a", "\uffff", "a")],
    [
        (),
        ("",),
        ("ab",),
        ("A",),
        ("b", "a"),
        ("", "a"),
        ("\x01a",),
    ],
)

Caches = tuple[RedisCache[Any], RedisCache[Any]]


@pytest.fixture(params=["server", "cluster"])
def caches(request: pytest.FixtureRequest, new_prefix: Callable[[], str]) -> Iterator[Caches]:
    """Two caches of one prefix, as two processes have them."""
    url = request.getfixturevalue("cluster_url" if request.param == "cluster" else "redis_url")
    prefix = new_prefix()
    two = []
    for _ in range(2):
        client = redis.RedisCluster.from_url(url) if request.param == "cluster" else url
        two.append(RedisCache[Any](client, prefix=prefix, on_error="raise", **PATIENT))
    yield two[0], two[1]
    for cache in two:
        cache.close()


def test_exactly_what_is_under_the_prefix_is_cleared_for_all_processes(caches: Caches) -> None:
    one, two = caches
    keys = [(namespace, str(number)) for namespace in UNDER + AROUND for number in range(20)]
    one.set(dict.fromkeys(keys, ("value", None)))
    assert len(two.get(keys)) == len(keys)
    two.clear_under(("a",))
    left = {key: "value" for key in keys if key[0] in AROUND}
    assert one.get(keys) == left == two.get(keys)
    one.clear_under(())
    assert one.get(keys) == {} == two.get(keys)


def test_many_namespaces_are_cleared_a_page_after_the_other(caches: Caches) -> None:
    one, two = caches
    keys = [(("many", str(number)), "key") for number in range(2 * PAGE + 1)]
    others = [(("many more", str(number)), "key") for number in range(100)]
    one.set(dict.fromkeys(keys + others, ("value", None)))
    two.clear_under(("many",))
    assert one.get(keys) == {}
    assert len(one.get(others)) == len(others)
    one.set(dict.fromkeys(keys, ("again", 60)))
    assert len(two.get(keys)) == len(keys)
    one.clear_under(("many",))
    assert two.get(keys) == {}


def test_what_is_set_afterwards_stays_and_what_was_set_before_does_not(caches: Caches) -> None:
    one, two = caches
    key = (("a", "b"), "key")
    for number in range(30):
        one.set({key: (["before", number], None)})
        two.clear_under(("a",))
        assert one.get([key]) == {} == two.get([key])
        one.set({key: (["after", number], None if number % 2 else 60)})  # under tokens that it has yet to learn
        assert two.get([key]) == {key: ["after", number]}


def test_sets_that_go_on_meanwhile_are_whole_and_the_last_ones_stay(caches: Caches) -> None:
    one, two = caches
    stopped = threading.Event()
    wrong: list[Any] = []

    def write(place: int) -> None:
        mine, apart = (("a", str(place)), "key"), (("b", str(place)), "key")
        number = 0
        while not stopped.is_set():
            number += 1
            one.set({mine: (number, None), apart: (number, None)})
            found = one.get([mine, apart])
            if found.get(apart) != number or found.get(mine, number) != number:
                wrong.append((number, found))
        one.set({mine: ("last", None)})

    threads = [threading.Thread(target=write, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        two.clear_under(("a",))
    stopped.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    keys = [(("a", str(place)), "key") for place in range(3)]
    assert two.get(keys) == dict.fromkeys(keys, "last")
    two.clear_under(("a",))
    assert one.get(keys) == {}


def test_a_namespace_that_was_cleared_is_still_found_when_it_is_used_again(caches: Caches) -> None:
    one, two = caches
    key = (("a", "b"), "key")
    for clear in (lambda: two.clear([("a", "b")]), lambda: two.clear(), lambda: one.clear_under(("a", "b"))):
        one.set({key: ("value", None)})
        clear()
        one.set({key: ("again", None)})
        two.clear_under(("a",))
        assert one.get([key]) == {}


# What is Redis's own


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client


@pytest.fixture
def cache(server: Server) -> Iterator[RedisCache[Any]]:
    with RedisCache[Any](server.unix_url, on_error="raise", **PATIENT) as cache:
        yield cache


def register_of(cache: RedisCache[Any]) -> bytes:
    register: bytes = cache._store._names.buckets[0].register
    return register


def test_what_was_cleared_is_swept(cache: RedisCache[Any], client: Any) -> None:
    cache.set({(namespace, "key"): ("value", None) for namespace in UNDER + AROUND})
    cache.clear_under(("a",))
    wait_until(lambda: sum(b"}e" in name for name in client.scan_iter()) == len(AROUND), "to sweep")
    assert client.zcard(register_of(cache)) == len(AROUND) + 1


def test_nothing_is_swept_when_nothing_was_under_the_prefix(cache: RedisCache[Any], client: Any) -> None:
    cache.set({(("b",), "key"): ("value", None)})
    cache.clear_under(("a",))
    assert not cache._store._sweeper._keeper.runs
    assert not any(b"}s" in name for name in client.scan_iter())


def test_no_step_is_of_more_than_a_page(cache: RedisCache[Any], client: Any) -> None:
    cache.set({(("many", str(number)), "key"): ("value", None) for number in range(10_000)})
    cache._store._sweeper.stop()
    sent = commands_of(client, lambda: cache.clear_under(("many",)))
    pages = 10_000 // PAGE
    assert set(sent) <= {"EVALSHA", "EVAL", "SET"}
    assert sent.count("EVALSHA") == 2 * pages + 1


def test_a_register_that_was_lost_costs_more_than_the_prefix_and_spares_nothing_under_it(
    cache: RedisCache[Any], server: Server, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [(("a", "b"), "key"), (("b",), "key")]
    other = RedisCache[Any](server.unix_url, **PATIENT)
    for lose in (lambda name: client.delete(name), lambda name: client.delete(name) and client.set(name, "foreign")):
        cache.set(dict.fromkeys(keys, ("value", None)))
        lose(register_of(cache))
        other.set({(("a", "entered later"), "key"): ("value", None)})
        caplog.clear()
        cache.clear_under(("a",))
        assert cache.get(keys) == {} == other.get([*keys, (("a", "entered later"), "key")])
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        cache.set(dict.fromkeys(keys, ("value", None)))
        cache.clear_under(("a",))
        assert other.get(keys) == {keys[1]: "value"}, "it is exact again"
    other.close()


@pytest.mark.parametrize("kind", ["string", "list", "garbage"])
def test_a_register_that_others_wrote_in(server: Server, client: Any, kind: str) -> None:
    keys = [(("a", "b"), "key"), (("b",), "key")]
    with RedisCache[Any](server.unix_url, on_error="raise", **PATIENT) as cache:
        cache.set(dict.fromkeys(keys, ("value", None)))
        register = register_of(cache)
        if kind == "garbage":
            client.zadd(register, {b"": 0, b"x": 0, b"n": 0, b"n\x01a\xff": 0, b"n\x01b": 0, b"n\x01a" * 1000: 0})
        else:
            client.delete(register)
            client.set(register, "x") if kind == "string" else client.rpush(register, "x")
        cache.set({(("a", "new"), "key"): ("value", None)})
        cache.clear([("b",)])
        cache.clear_under(("a",))
        assert cache.get([*keys, (("a", "new"), "key")]) == {}
        cache.set(dict.fromkeys(keys, ("value", None)))
        cache.clear_under(("a",))
        assert cache.get([keys[0]]) == {}


def test_namespaces_that_have_expired_leave_the_register(server: Server, client: Any) -> None:
    with RedisCache[Any](server.unix_url, on_error="raise", **PATIENT) as cache:
        for number in range(3_000):
            cache.set({((f"session {number}",), "key"): ("value", 0.002)})
        assert client.zcard(register_of(cache)) < 1_000
        cache.set({(("a",), "key"): ("value", None)})
        for number in range(1_000):
            cache.set({((f"session {number}",), "key"): ("value", 0.002)})
        cache.clear_under(("a",))
        assert cache.get([(("a",), "key")]) == {}


def test_a_server_that_evicts_what_is_not_asked_for_keeps_the_register(cache: RedisCache[Any], client: Any) -> None:
    cache.set({(("a",), "key"): ("value", None)})
    register = register_of(cache)
    wait_until(lambda: client.object("IDLETIME", register) >= 1, "to be idle")

    def is_asked_for() -> bool:
        cache.set({(("a",), "key"): ("value", None)})
        return bool(client.object("IDLETIME", register) == 0)  # in whole seconds, of which one may begin in between

    wait_until(is_asked_for, "to be asked for by a write")


def test_a_server_that_is_out_of_memory_clears(cache: RedisCache[Any], client: Any) -> None:
    keys = [(("a", "b"), "key"), (("b",), "key")]
    cache.set(dict.fromkeys(keys, ("value", None)))
    client.config_set("maxmemory", "1")
    cache.clear_under(("a",))
    assert cache.get(keys) == {keys[1]: "value"}


# What others are told


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.keys: list[EncodedKey] = []
        self.names: list[bytes] = []
        self.all = 0

    def changed(self, keys: Collection[EncodedKey]) -> None:
        self.keys += keys

    def cleared(self, names: Sequence[bytes] | None) -> None:
        if names is None:
            self.all += 1
        else:
            self.names += names

    def cleared_under(self, prefix: bytes) -> None:
        raise AssertionError("the tokens tell each namespace")


def test_who_tracks_the_server_is_told_each_namespace_and_of_no_lease(server: Server) -> None:
    writer, reader, told = (*(RedisStore(server.unix_url, **PATIENT) for _ in range(2)), Told())
    channel = reader.listen(told)
    assert channel is not None
    keys = [(encode_namespace(namespace), b"key") for namespace in UNDER + AROUND]
    writer.write(dict.fromkeys(keys, ("bytes", b"value", None, 0.0)))

    def live() -> bool:
        channel.catch_up(lambda: None)
        channel.expect(keys)
        return channel.live

    wait_until(live, "to track")
    token = bytes(range(16))
    writer.lease(keys, token, 60)
    writer.settle({keys[0]: ("bytes", b"settled", None, 0.0)}, token)
    wait_until(lambda: told.keys, "to be told")
    assert told.keys == [keys[0]]
    assert told.names == []
    writer.clear_under(encode_namespace(("a",)))
    wait_until(lambda: len(told.names) == len(UNDER), "to be told")
    assert set(told.names) == {encode_namespace(namespace) for namespace in UNDER}
    assert told.all == 0
    assert channel.in_step()
    channel.close()
    writer.close()
    reader.close()


def test_copies_in_memory_are_dropped_when_another_process_clears(server: Server) -> None:
    from hitrate import InMemoryCache, TieredCache

    keys = [(("a", "b"), "key"), (("b",), "key")]
    tiers = TieredCache[Any](InMemoryCache(), RedisCache(server.unix_url, **PATIENT), staleness=3600)
    other = RedisCache[Any](server.unix_url, **PATIENT)
    tiers.set(dict.fromkeys(keys, ("value", None)))

    def live() -> bool:
        assert tiers.get(keys) == dict.fromkeys(keys, "value")
        return all(channel.live for channel in tiers._store._tiers.channels)

    wait_until(live, "to track")
    other.clear_under(("a",))
    wait_until(lambda: tiers.get(keys) == {keys[1]: "value"}, "to be told")
    other.set({keys[0]: ("anew", None)})
    wait_until(lambda: tiers.get(keys) == {keys[0]: "anew", keys[1]: "value"}, "to be told")
    tiers.clear_under(("a",))
    assert tiers.get(keys) == {keys[1]: "value"}
    assert other.get(keys) == {keys[1]: "value"}
    tiers.close()
    other.close()


def test_copies_of_what_lies_in_a_cluster_are_dropped_in_time(cluster_url: str, new_prefix: Any) -> None:
    from hitrate import InMemoryCache, TieredCache

    keys = [(("a", str(number)), "key") for number in range(50)]
    clients = [redis.RedisCluster.from_url(cluster_url) for _ in range(2)]
    prefix = new_prefix()
    tiers = TieredCache[Any](InMemoryCache(), RedisCache(clients[0], prefix=prefix, **PATIENT), staleness=0.05)
    other = RedisCache[Any](clients[1], prefix=prefix, **PATIENT)
    tiers.set(dict.fromkeys(keys, ("value", None)))
    other.clear_under(("a",))
    wait_until(lambda: tiers.get(keys) == {}, "to read anew")
    tiers.close()
    other.close()
