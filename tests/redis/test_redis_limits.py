"""Limits on Redis are the server's: what the options say, what a full server does, and what older limits left there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hitrate
import hitrate.langgraph
from hitrate import RedisCache, StoreError
from hitrate.testing.faces import ASYNC, SYNC, Face
from servers.shared import PATIENT
from servers.valkey import Server, running

MEGABYTE = 1 << 20
VALUE = "x" * 10_000
NAMESPACE = ("full",)
KEYS: list[Any] = [(NAMESPACE, str(number)) for number in range(2000)]
"""With such values some twenty megabytes."""


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
def face(request: pytest.FixtureRequest) -> Face:
    found: Face = request.param
    return found


@pytest.fixture
def small() -> Iterator[Server]:
    """A server with room for a part of that."""
    with running(maxmemory="10mb") as server:
        yield server


@pytest.fixture
def policy(small: Server) -> Callable[[str], None]:
    """A function that sets how the server makes room."""

    def set_policy(name: str) -> None:
        with small.client() as client:
            client.config_set("maxmemory-policy", name)

    return set_policy


def fill(cache: Any) -> None:
    """Store all of it, in the order of the keys."""
    for start in range(0, len(KEYS), 100):
        cache.set(dict.fromkeys(KEYS[start : start + 100], (VALUE, None)))


@pytest.mark.parametrize("name", ["max_bytes", "max_entries"])
@pytest.mark.parametrize("limit", [1, 10**9, 0, -1, "many", True])
def test_a_limit_is_refused_with_what_to_set_on_the_server(name: str, limit: Any) -> None:
    cache: Any
    for cache in (RedisCache, hitrate.langgraph.RedisCache):
        with pytest.raises(ValueError, match=rf"{name}=.*`maxmemory`.*`maxmemory-policy` to allkeys-lru"):
            cache("redis://127.0.0.1:1", **{name: limit})
    with pytest.raises(ValueError, match="`maxmemory`"):
        hitrate.open("redis://127.0.0.1:1", **{name: limit})


def test_a_limit_in_a_url_is_refused_too() -> None:
    for where in (
        "redis://127.0.0.1:1?max_bytes=5",
        "rediss://h?max_entries=5",
        "unix:///s?max_bytes=5",
        "valkey://h?max_bytes=5",
        "memory:+redis://h?max_entries=5",
    ):
        for package in (hitrate, hitrate.langgraph):
            with pytest.raises(ValueError, match="`maxmemory`"):
                package.open(where)
    with pytest.raises(ValueError, match="give the limit to the other tiers"):
        hitrate.open("memory:+redis://127.0.0.1:1", max_bytes=MEGABYTE)


def test_no_limit_may_be_said() -> None:
    for cache in (
        RedisCache[Any]("redis://127.0.0.1:1", max_bytes=None, max_entries=None),
        hitrate.langgraph.RedisCache[Any]("redis://127.0.0.1:1", max_bytes=None),
        hitrate.open("redis://127.0.0.1:1?max_bytes=none"),
        hitrate.open("memory:?max_bytes=1000+redis://127.0.0.1:1"),
    ):
        cache.close()


@pytest.mark.parametrize("name", ["allkeys-lru", "allkeys-lfu"])
def test_a_server_that_evicts_any_key_only_forgets(
    small: Server, policy: Callable[[str], None], face: Face, name: str
) -> None:
    policy(name)
    with RedisCache[Any](small.unix_url, **PATIENT) as opened, face.open(opened) as cache:
        fill(cache)
        found = cache.get(KEYS)
        assert len(found) < len(KEYS), "some have gone"
        assert set(found.values()) <= {VALUE}
        cache.set({KEYS[0]: ("new", None)})
        assert cache.get(KEYS[:1]) == {KEYS[0]: "new"}
        assert cache.raw.stats().errors == 0
        cache.clear([NAMESPACE])
        assert cache.get(KEYS) == {}


def test_a_server_that_evicts_what_has_a_ttl_keeps_what_has_none(
    small: Server, policy: Callable[[str], None], face: Face
) -> None:
    policy("volatile-lru")
    with RedisCache[Any](small.unix_url, **PATIENT, default_ttl=3600) as opened, face.open(opened) as cache:
        kept: Any = (("kept",), "for ever")
        with RedisCache[Any](small.unix_url, **PATIENT) as other:
            other.set({kept: (VALUE, None)})
        fill(cache)
        # The token of a namespace has a TTL if all its entries have: if the server evicts that, all of them are misses.
        assert len(cache.get(KEYS)) < len(KEYS)
        assert cache.get([kept]) == {kept: VALUE}
        assert cache.raw.stats().errors == 0


@pytest.mark.parametrize("name", ["noeviction", "volatile-lru"])
def test_a_server_that_makes_no_room_drops_writes_and_says_what_to_set(
    small: Server, policy: Callable[[str], None], face: Face, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    policy(name)  # nothing here has a TTL, so that no policy of the volatile ones finds anything to evict
    with (
        RedisCache[Any](small.unix_url, **PATIENT) as opened,
        face.open(opened) as cache,
        caplog.at_level(logging.WARNING, "hitrate"),
    ):
        fill(cache)
        found = cache.get(KEYS)
        assert 0 < len(found) < len(KEYS)
        assert list(found) == KEYS[: len(found)], "what was stored before it was full stays"
        assert cache.raw.stats().errors > 0
        assert cache.raw.stats().breaker == "closed"
        assert cache.raw.get_or_compute(KEYS[-1], lambda: "computed") == "computed"
        cache.clear([NAMESPACE])
        assert cache.get(KEYS) == {}
    told = [record.getMessage() for record in caplog.records if "OOM" in record.getMessage()]
    assert told
    assert all("raise its maxmemory, or set maxmemory-policy to one that evicts" in line for line in told)


def test_a_full_server_raises_where_that_is_asked_for(small: Server, policy: Callable[[str], None], face: Face) -> None:
    policy("noeviction")
    with RedisCache[Any](small.unix_url, **PATIENT, on_error="raise") as opened, face.open(opened) as cache:
        cache.set({KEYS[0]: (VALUE, None)})
        with pytest.raises(StoreError, match="maxmemory"):
            fill(cache)
        assert cache.get(KEYS[:1]) == {KEYS[0]: VALUE}


def test_what_a_cache_with_limits_left_is_read_and_goes_with_a_clear(small: Server, policy: Any) -> None:
    policy("noeviction")
    opened = RedisCache[Any](small.unix_url, prefix="p:", on_error="raise", **PATIENT)
    with opened as cache, small.client() as client:
        cache.set(dict.fromkeys(KEYS[:10], ("value", None)))
        # Beside the entries, which lay there as they do now, it kept its books.
        books = {kind: f"p:{{0000}}{kind}{'0' * 32}" for kind in "ioxvt"}
        entries = [name for name in client.scan_iter() if b"}e" in name]
        client.hset(books["i"], mapping=dict.fromkeys(entries, b"\0" * 24))
        client.zadd(books["o"], {name: place for place, name in enumerate(entries)})
        client.zadd(books["x"], dict.fromkeys(entries, 1.0))
        client.sadd(books["v"], *entries)
        client.hset(books["t"], mapping={"entries": 10, "bytes": 1000, "token": client.get(f"p:{{0000}}g{'0' * 32}")})
        assert cache.get(KEYS[:10]) == dict.fromkeys(KEYS[:10], "value")
        assert cache.stats().entries == 10
        cache.set({KEYS[0]: ("new", None)})
        assert cache.get(KEYS[:1]) == {KEYS[0]: "new"}
        cache.clear()
        assert client.exists(*books.values()) == 0
