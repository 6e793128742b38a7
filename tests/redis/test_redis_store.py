"""What is particular to the store on Redis: names, clearing and sweeping, TTLs by the server, tokens, round trips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hitrate import RedisCache
from hitrate.stores.redis import RedisStore, writing
from hitrate.stores.redis.expiry import milliseconds_until
from hitrate.stores.redis.names import CLUSTER_BUCKETS, SLOTS, Names, slot_of
from hitrate.testing.faces import ASYNC, SYNC, Face
from servers.shared import PATIENT
from servers.valkey import Server, commands_of, running, wait_until

A, B, C = ((("store",), name) for name in "abc")


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def client(shared: Server) -> Iterator[Any]:
    with shared.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def new_cache(shared: Server, client: Any) -> Iterator[Callable[..., RedisCache[Any]]]:
    made: list[RedisCache[Any]] = []

    def new(prefix: str = "p:", **options: Any) -> RedisCache[Any]:
        made.append(RedisCache(shared.unix_url, prefix=prefix, **{**PATIENT, **options}))
        return made[-1]

    yield new
    for cache in made:
        cache.close()


class Unheard:
    """Who keeps copies, and does nothing about what it is told."""

    def changed(self, keys: Any) -> None:
        pass

    def cleared(self, names: Any) -> None:
        pass

    def cleared_under(self, prefix: bytes) -> None:
        pass


def entries_on(client: Any) -> int:
    return sum(b"}e" in name for name in client.scan_iter(count=1000))


# Names


PREFIXES = [
    "",
    "a",
    "a:",
    "ab",
    "a{",
    "a{0000}e",
    "b",
    "*",
    "a*",
    "[a]",
    "?",
    "\\",
    "é",
    "\ud800",
    "\0",
    "{tag}",
    "a\r\n",
]


def test_caches_whose_prefixes_begin_alike_share_nothing(new_cache: Any, client: Any) -> None:
    caches = {prefix: new_cache(prefix) for prefix in PREFIXES}
    for prefix, cache in caches.items():
        cache.set({A: (prefix, None)})
    for prefix, cache in caches.items():
        assert cache.get([A, B]) == {A: prefix}
        assert cache.stats().entries == 1
    for prefix in PREFIXES:
        caches[prefix].clear()
        assert caches[prefix].get([A]) == {}
        wait_until(lambda: caches[prefix].stats().entries == 0, "to be cleared")  # noqa: B023
        caches[prefix].set({A: ("again", None)})
        assert [other.get([A]) for other in caches.values()].count({}) == 0


def test_names_of_different_prefixes_are_different_for_any_keys() -> None:
    seen: dict[bytes, tuple[str, str]] = {}
    for prefix in PREFIXES:
        for spread in (False, True):
            names = Names(prefix.encode("utf-8", "surrogatepass"), spread=spread)
            for number, bucket in enumerate(names.buckets):
                for digits in ("0" * 32, "f" * 32):
                    of = prefix, f"{number} {digits}" if spread else f"0 {digits}"
                    assert seen.setdefault(bucket.entry(digits), of)[0] == prefix
                    assert names.bucket_of_entry(bucket.entry(digits)) == number
                    assert names.bucket_of_entry(bucket.lease(bucket.entry(digits))) is None
                for other in (bucket.everything, bucket.sweeping, bucket.sweeper, bucket.register, *bucket.books):
                    assert names.bucket_of_entry(other) is None


def test_the_names_of_a_bucket_lie_in_one_slot_and_the_buckets_are_spread() -> None:
    for prefix in ("hitrate:", "a{", "}", "a}{b"):
        names = Names(prefix.encode(), spread=True)
        assert len(names.buckets) == CLUSTER_BUCKETS
        for bucket in names.buckets:
            entry = bucket.entry("a" * 32)
            every = [entry, bucket.lease(entry), bucket.namespace(b"x" * 16), bucket.everything, *bucket.books]
            assert {slot_of(name) for name in every} == {bucket.slot}
    parts = [bucket.slot * CLUSTER_BUCKETS // SLOTS for bucket in Names(b"hitrate:", spread=True).buckets]
    assert parts == list(range(CLUSTER_BUCKETS))


def test_a_prefix_that_would_scatter_a_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="empty hash tag"):
        Names(b"a{}b", spread=True)


# What goes over the wire


def test_no_command_looks_through_the_server_in_a_callers_path(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    keys = [((f"n{number % 3}",), str(number)) for number in range(100)]

    def everything() -> None:
        cache.set(dict.fromkeys(keys, ("value", None)))
        cache.get(keys)
        cache.delete(keys[:10])
        cache.set({A: ("value", 60), B: ("value", None)})
        cache._store._sweeper.stop()
        cache.clear([("n1",)])
        cache.clear_under(("n2",))
        cache.clear()

    sent = set(commands_of(client, everything))
    assert sent.isdisjoint({"KEYS", "SCAN", "FLUSHDB", "FLUSHALL", "HGETALL", "SMEMBERS"}), sent


def test_a_call_is_one_round_trip(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    cache.set({A: ("value", None)})
    assert commands_of(client, lambda: cache.get([A])) == ["MGET"]
    assert commands_of(client, lambda: cache.get([A, B])) == ["MGET"]
    assert commands_of(client, lambda: cache.set({A: ("value", None)})) == ["SET", "MGET"]
    assert commands_of(client, lambda: cache.set({A: ("value", None), B: ("value", None)})) == ["MSET", "MGET"]


def test_reads_of_a_loop_are_gathered_into_one_command(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    keys = [(("gathered",), str(number)) for number in range(40)]
    cache.set({key: (key[1], None) for key in keys})

    async def main() -> list[Any]:
        await cache.aget([A])
        return await asyncio.gather(*(cache.aget([key]) for key in keys))

    found: list[Any] = []
    sent = commands_of(client, lambda: found.extend(asyncio.run(main())))
    assert found == [{key: key[1]} for key in keys]
    assert sent == ["MGET", "MGET"]


@pytest.mark.parametrize("what", ["reads", "writes", "both"])
def test_a_turn_of_the_loop_wakes_a_few_of_many_that_wait(new_cache: Any, what: str) -> None:
    cache = new_cache()
    keys = [(("turns",), str(number)) for number in range(400)]
    cache.set({key: (key[1], None) for key in keys})
    woken = 0
    in_one_turn = [0]

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def call(number: int) -> None:
            nonlocal woken
            writes = what == "writes" or (what == "both" and number % 2)
            await (cache.aset({keys[number]: (number, None)}) if writes else cache.aget([keys[number]]))
            woken += 1

        def turn(before: int) -> None:
            in_one_turn.append(woken - before)
            if woken < len(keys):
                loop.call_soon(turn, woken)

        await cache.aget(keys[:1])
        await cache.aset({keys[0]: ("value", None)})
        loop.call_soon(turn, 0)
        await asyncio.gather(*map(call, range(len(keys))))

    asyncio.run(main())
    assert woken == len(keys)
    # Of each kind 32, and as many again where the next answer comes in the turn that tells the last of those before.
    assert max(in_one_turn) <= 4 * 32


# TTL


def test_the_server_keeps_the_ttl_in_milliseconds(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    cache.set({A: ("value", 612.345)})
    (name,) = (name for name in client.scan_iter() if b"}e" in name)
    assert 500_000 < client.pttl(name) <= 612_345
    cache.set({A: ("value", None)})
    assert client.pttl(name) == -1


@pytest.mark.parametrize("face", [SYNC, ASYNC], ids=lambda face: str(face.name))
def test_entries_of_one_ttl_are_one_command(new_cache: Any, client: Any, face: Face) -> None:
    many = {(("batch",), str(number)): (number, 3600.5) for number in range(100)}
    with face.open(new_cache()) as cache:
        cache.set({(("batch",), "first"): (0, None)})
        assert commands_of(client, lambda: cache.set(many)) == ["MSETEX", "MGET"]
        assert cache.get(list(many)) == {key: value for key, (value, _) in many.items()}
    times_left = {client.pttl(name) for name in client.scan_iter(count=1000) if b"}e" in name} - {-1}
    assert times_left
    assert all(3_500_000 < left <= 3_600_500 for left in times_left)


@pytest.mark.parametrize(
    "batch",
    [
        {A: ("a", 60)},
        {A: ("a", 60), B: ("b", 61)},
        {A: ("a", 60), B: ("b", None)},
        {A: ("a", 60), B: ("b", 60), C: ("gone", 0)},
        {A: ("a", 60), B: ("b", 60), (("other",), "c"): ("c", 60)},
    ],
    ids=["one", "two TTLs", "one without", "one that is removed", "two namespaces"],
)
@pytest.mark.parametrize("refused", ["unknown", "not permitted", None])
def test_entries_with_ttls_are_stored_whether_or_not_the_server_has_the_command_for_many(
    refused: str | None, batch: Any
) -> None:
    """Servers before Valkey 9.1 and Redis 8.4 lack MSETEX, and a user may not be allowed it."""
    options = {"rename-command": 'MSETEX ""'} if refused == "unknown" else {}
    with running(**options) as server, server.client() as client:
        user = ""
        if refused == "not permitted":
            client.execute_command("ACL", "SETUSER", "some", "on", ">word", "~*", "&*", "+@all", "-msetex")
            user = "some:word@"
        with RedisCache[Any](f"redis://{user}127.0.0.1:{server.port}", on_error="raise", **PATIENT) as cache:
            cache.set({C: ("old", None)})
            for _ in range(2):
                cache.set(batch)
                expected = {key: value for key, (value, ttl) in batch.items() if ttl != 0}
                assert cache.get(list(batch)) == expected
            cache.set({A: ("again", 60), B: ("again", 60)})
            sent = commands_of(client, lambda: cache.set({A: ("again", 60), B: ("again", 60)}))
            assert ("MSETEX" in sent) == (refused is None)
            assert cache.get([A, B]) == {A: "again", B: "again"}
            assert cache.delete([A, B, C]) == 2 + (C not in batch)


def test_the_server_decides_what_has_expired(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    cache.set({A: ("value", 3600), B: ("value", 3600)})
    name = next(name for name in client.scan_iter() if b"}e" in name)
    client.pexpire(name, 1)
    wait_until(lambda: not client.exists(name), "to expire")
    assert len(cache.get([A, B])) == 1
    assert cache.stats().entries == 1


def test_a_writer_whose_clock_is_wrong_does_no_harm(new_cache: Any) -> None:
    reader = new_cache()
    for skew in (-(10**6), 10**6):
        writer = new_cache(clock=lambda skew=skew: time.time() + skew)
        writer.set({A: ("value", 60)})
        assert reader.get([A]) == {A: "value"}
        assert reader.stats().entries == 1


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [(None, 0), (100.0, -1), (99.0, -1), (100.0001, 1), (101.5, 1500), (100.0 + 1e12, 10**15), (1e13, 0), (1e300, 0)],
)
def test_milliseconds(expiry: float | None, expected: int) -> None:
    assert milliseconds_until(expiry, 100.0) == expected


def test_tokens_live_no_longer_than_what_needs_them(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    cache.set({A: ("value", 100)})
    (token,) = (name for name in client.scan_iter() if b"}n" in name)
    assert 100_000 < client.pttl(token) <= 200_000
    cache.set({B: ("value", 1000)})
    assert 1_000_000 < client.pttl(token) <= 2_000_000
    assert cache.get([A, B]) == {A: "value", B: "value"}
    cache.set({A: ("value", None)})
    assert client.pttl(token) == -1
    assert cache.get([A, B]) == {A: "value", B: "value"}
    new_cache().set({B: ("value", 5)})
    assert client.pttl(token) == -1


def test_a_read_can_tell_the_time_left_by_the_server(shared: Server, client: Any) -> None:
    store = RedisStore(shared.unix_url, prefix="t:", **PATIENT)
    channel = store.listen(Deaf())  # who keeps copies is told when they expire on the server
    assert channel is not None
    keys = [(b"n", b"%d" % number) for number in range(3)]
    now = time.time()
    # Its clock goes an hour ahead.
    writer = RedisStore(shared.unix_url, prefix="t:", clock=lambda: now + 3600, **PATIENT)
    writer.write({keys[0]: ("bytes", b"a", now + 3700, 1.5), keys[1]: ("bytes", b"b", None, 0.0)})
    for found in (store.get(keys), asyncio.run(_aget(store, keys))):
        first, second, third = found
        assert first[:2] == ("bytes", b"a")
        assert now + 99 < first[2] <= time.time() + 100
        assert second == ("bytes", b"b", None, 0.0)
        assert third is None
    channel.close()
    store.close()
    writer.close()


class Deaf:
    """A listener that keeps no copies."""

    def changed(self, keys: Any) -> None: ...
    def cleared(self, names: Any) -> None: ...
    def cleared_under(self, prefix: bytes) -> None: ...


async def _aget(store: RedisStore, keys: Any) -> Any:
    return await store.aget(keys)


# Clearing


def test_a_clear_holds_for_a_process_that_knows_the_old_tokens(new_cache: Any) -> None:
    one, two = new_cache(), new_cache()
    one.set({A: ("old", None)})
    two.set({B: ("old", None)})
    for clear in (lambda: one.clear(), lambda: one.clear([A[0]]), lambda: one.clear_under(A[0])):
        clear()
        assert two.get([A, B]) == {}
        two.set({B: ("new", None)})  # under tokens that are no longer current, and so once more
        two.set({A: ("new", 60), B: ("newer", None)})
        assert one.get([A, B]) == {A: "new", B: "newer"} == two.get([A, B])


def test_what_is_cleared_is_removed_by_and_by(new_cache: Any, client: Any) -> None:
    cache = new_cache()
    cache.set({((f"n{number % 2}",), str(number)): ("value", None) for number in range(3000)})
    client.set("another program's", "value")
    other = new_cache("other:")
    other.set({A: ("value", None)})
    cache.clear([("n0",)])
    assert cache.stats().entries == 1500
    wait_until(lambda: entries_on(client) == 1501, "to sweep a namespace")
    cache.clear()
    cache.set({A: ("new", None)})
    wait_until(lambda: entries_on(client) == 2, "to sweep all")
    assert cache.get([A]) == {A: "new"}
    assert other.get([A]) == {A: "value"}
    assert client.get("another program's") == b"value"
    wait_until(lambda: not any(b"}s" in name or b"}l" in name for name in client.scan_iter()), "to take the mark away")


def test_another_process_sweeps_what_one_left(new_cache: Any, client: Any) -> None:
    gone, here = new_cache(), new_cache()
    gone.set({((), str(number)): ("value", None) for number in range(1000)})
    gone._store._sweeper.stop()
    gone.clear()
    gone.close()
    assert entries_on(client) == 1000
    here.set({A: ("value", None)})
    wait_until(lambda: entries_on(client) == 1, "to sweep")
    assert here.get([A]) == {A: "value"}


def test_a_write_that_every_round_but_the_last_was_cleared_is_done(
    new_cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, other = new_cache(on_error="raise"), new_cache(on_error="raise")
    cache.set({A: ("old", None)})
    batch = {A: ("new", None), B: ("new", None)}  # a single one would first be tried without a round
    exchange, clears = writing._exchange, iter(range(writing.ROUNDS - 1))

    def just_cleared(*arguments: Any) -> Any:
        if next(clears, None) is not None:
            other.clear([A[0]])
        return exchange(*arguments)

    monkeypatch.setattr(writing, "_exchange", just_cleared)
    cache.set(batch)
    assert next(clears, None) is None
    assert cache.get([A, B]) == {A: "new", B: "new"}


@pytest.mark.parametrize("face", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize("time_left", [False, True], ids=["own", "with the time left"])
def test_keys_of_several_namespaces_are_read_by_one_command(
    new_cache: Any, client: Any, face: Face, time_left: bool
) -> None:
    """Else a batch that is stored meanwhile would be read by halves."""
    raw = new_cache()
    batch = {((f"n{number % 3}",), str(number)): ({"number": number}, 60) for number in range(20)}
    if time_left:
        raw._store.listen(Unheard())  # as a tier above does
    with face.open(raw) as cache:
        cache.set(batch)
        before = client.info("commandstats")["cmdstat_mget"]["calls"]
        assert cache.get([(("other",), "1"), *batch]) == {key: value for key, (value, _) in batch.items()}
        assert client.info("commandstats")["cmdstat_mget"]["calls"] == before + 1


def test_a_large_cache_is_counted_by_a_sample(new_cache: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitrate.stores.redis.surveying.COUNTED_EXACTLY", 2000)
    cache = new_cache()
    cache.set({((), str(number)): ("value", None) for number in range(10_000)})
    with client.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            pipeline.set(f"another program's {number}", "value")
        pipeline.execute()
    assert cache.stats().entries == pytest.approx(10_000, rel=0.2)


# The circuit breaker


def test_other_caches_have_a_closed_circuit() -> None:
    from hitrate import InMemoryCache

    assert InMemoryCache().stats().breaker == "closed"


def test_nothing_is_sent_before_the_first_call() -> None:
    with RedisCache[Any]("redis://127.0.0.1:1") as cache:
        assert cache.stats().breaker == "closed"
        assert cache
