"""What others put under our names, and what of ours is lost, altered or moved: a miss for that entry, never a value."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from xxhash import xxh3_64_digest

from hitrate import DecodeError, RedisCache
from servers.shared import PATIENT

A, B = ((("foreign",), name) for name in "ab")
VALUE = {"text": "exactly this", "numbers": [1, 2, 3]}


@pytest.fixture
def cache(redis_url: str, new_prefix: Any) -> Iterator[RedisCache[Any]]:
    with RedisCache[Any](redis_url, prefix=new_prefix(), **PATIENT) as cache:
        yield cache


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def names_of(client: Any, cache: RedisCache[Any], kind: bytes) -> list[bytes]:
    """The names of a kind that this cache has on the server: e for entries, n and g for tokens."""
    base = cache._store._names.buckets[0].base
    return sorted(name for name in client.scan_iter(count=1000) if name.startswith(base + kind))


def only_entry(client: Any, cache: RedisCache[Any]) -> bytes:
    (name,) = names_of(client, cache, b"e")
    return name


def test_every_altered_byte_is_an_error_of_that_entry_alone(cache: RedisCache[Any], client: Any) -> None:
    cache.set({A: (VALUE, None)})
    name = only_entry(client, cache)
    cache.set({B: ("untouched", None)})
    right = client.get(name)
    for place in range(len(right)):
        altered = bytearray(right)
        altered[place] ^= 1 << place % 8
        client.set(name, bytes(altered))
        assert cache.get([A, B]) == {B: "untouched"}, f"byte {place} does not matter"
    assert cache.stats().errors == len(right)
    client.set(name, right)
    assert cache.get([A, B]) == {A: VALUE, B: "untouched"}


def test_every_truncation_and_extension_is_an_error(cache: RedisCache[Any], client: Any) -> None:
    cache.set({A: (VALUE, None)})
    name = only_entry(client, cache)
    right = client.get(name)
    wrong = [right[:length] for length in range(len(right))] + [right + b"\0", b"\0" + right, right * 2]
    for each in wrong:
        client.set(name, each)
        assert cache.get([A]) == {}
    assert cache.stats().errors == len(wrong)


def test_random_bytes_are_an_error(cache: RedisCache[Any], client: Any) -> None:
    cache.set({A: (VALUE, None)})
    name = only_entry(client, cache)
    rng = random.Random(1)
    for length in [*range(120), 1000, 100_000]:
        client.set(name, rng.randbytes(length))
        assert cache.get([A]) == {}
    assert cache.stats().errors == 122
    cache.set({A: ("anew", None)})
    assert cache.get([A]) == {A: "anew"}


@pytest.mark.parametrize("face", ["get", "aget"])
def test_on_error_raise_names_the_key(redis_url: str, new_prefix: Any, client: Any, face: str) -> None:
    with RedisCache[Any](redis_url, prefix=new_prefix(), on_error="raise", **PATIENT) as cache:
        cache.set({A: (VALUE, None)})
        client.set(only_entry(client, cache), b"another program's")
        with pytest.raises(DecodeError, match=r"\('foreign',\), key 'a'"):
            cache.get([A]) if face == "get" else asyncio.run(cache.aget([A]))


@pytest.mark.parametrize("kind", ["list", "hash", "set", "stream"])
def test_another_type_under_our_name_is_a_miss_and_is_replaced(cache: RedisCache[Any], client: Any, kind: str) -> None:
    cache.set({A: (VALUE, None), B: ("untouched", None)})
    for name in names_of(client, cache, b"e") + names_of(client, cache, b"n") + names_of(client, cache, b"g"):
        client.delete(name)
        {
            "list": lambda: client.rpush(name, "x"),  # noqa: B023
            "hash": lambda: client.hset(name, "x", "y"),  # noqa: B023
            "set": lambda: client.sadd(name, "x"),  # noqa: B023
            "stream": lambda: client.xadd(name, {"x": "y"}),  # noqa: B023
        }[kind]()
    assert cache.get([A, B]) == {}
    assert cache.delete([A]) == 0
    cache.set({A: ("anew", None), B: ("anew", 60)})
    assert cache.get([A, B]) == {A: "anew", B: "anew"}
    assert cache.stats().entries == 2


def test_an_entry_moved_to_another_key_is_an_error(cache: RedisCache[Any], client: Any) -> None:
    cache.set({A: (VALUE, None)})
    name = only_entry(client, cache)
    right = client.get(name)
    cache.set({B: ("of b", None)})
    (other,) = set(names_of(client, cache, b"e")) - {name}
    client.set(other, right)
    assert cache.get([A, B]) == {A: VALUE}
    assert cache.stats().errors == 1


def test_an_entry_moved_to_another_cache_is_a_miss(redis_url: str, new_prefix: Any, client: Any) -> None:
    one, two = (RedisCache[Any](redis_url, prefix=new_prefix(), **PATIENT) for _ in range(2))
    with one, two:
        one.set({A: ("of one", None)})
        two.set({A: ("of two", None)})
        client.set(only_entry(client, two), client.get(only_entry(client, one)))
        assert two.get([A]) == {}
        assert one.get([A]) == {A: "of one"}


@pytest.mark.parametrize("kind", ["n", "g"])
def test_a_lost_token_makes_misses_and_brings_nothing_back(cache: RedisCache[Any], client: Any, kind: str) -> None:
    cache.set({A: ("old", None), B: ("old", None)})
    for name in names_of(client, cache, kind.encode()):
        client.delete(name)  # as a server does that is out of memory
    assert cache.get([A, B]) == {}
    assert cache.delete([B]) == 0
    cache.set({B: ("new", None)})
    assert cache.get([A, B]) == {B: "new"}
    assert cache.stats().errors == 0


@pytest.mark.parametrize("kind", ["n", "g"])
def test_a_foreign_token_makes_misses_until_the_next_write(cache: RedisCache[Any], client: Any, kind: str) -> None:
    cache.set({A: ("old", None)})
    for name in names_of(client, cache, kind.encode()):
        client.set(name, b"another program's")
    assert cache.get([A]) == {}
    cache.set({A: ("new", None)})
    assert cache.get([A]) == {A: "new"}


def test_a_newer_format_is_left_alone(cache: RedisCache[Any], client: Any) -> None:
    cache.set({A: (VALUE, None)})
    name = only_entry(client, cache)
    newer = bytearray(client.get(name)[8:])
    newer[16] = 2 << 4
    newer[:0] = xxh3_64_digest(bytes(newer))
    client.set(name, bytes(newer))
    assert cache.get([A]) == {}
    assert cache.stats().errors == 1
    assert client.get(name) == newer
