"""Listing a server that others use too, that has lost a part, or holds what somebody else wrote."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from hitrate import RedisCache
from servers.shared import PATIENT

KEYS = [((f"n{number % 3}", "x"), str(number)) for number in range(600)]


def keys_of(cache: RedisCache[Any], under: tuple[str, ...] = ()) -> list[Any]:
    return [(info.namespace, info.key) for info in cache.entries(under)]


def test_another_process_lists_what_this_one_stored(redis_url: str, new_prefix: Callable[[], str]) -> None:
    prefix = new_prefix()
    with (
        RedisCache[Any](redis_url, prefix=prefix, on_error="raise", **PATIENT) as cache,
        RedisCache[Any](redis_url, prefix=prefix, on_error="raise", **PATIENT) as other,
        RedisCache[Any](redis_url, prefix=f"{prefix}x", on_error="raise", **PATIENT) as neighbour,
    ):
        cache.set(dict.fromkeys(KEYS, ("value", None)))
        neighbour.set({(("n0", "x"), "neighbour"): (1, None)})
        assert sorted(keys_of(other)) == sorted(KEYS)
        assert sorted(keys_of(other, ("n1",))) == sorted(KEYS[1::3])
        assert keys_of(neighbour) == [(("n0", "x"), "neighbour")]
        neighbour.clear()


def test_it_asks_for_no_pattern(redis_url: str, new_prefix: Callable[[], str]) -> None:
    client = redis.Redis.from_url(redis_url)
    with RedisCache[Any](redis_url, prefix=new_prefix(), **PATIENT) as cache:
        cache.set(dict.fromkeys(KEYS, ("value", None)))
        before = client.info("commandstats").get("cmdstat_keys", {}).get("calls", 0)
        assert len(keys_of(cache)) == len(KEYS)
        assert client.info("commandstats").get("cmdstat_keys", {}).get("calls", 0) == before
    client.close()


def test_a_register_that_was_lost_is_told(
    redis_url: str, new_prefix: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    prefix = new_prefix()
    client = redis.Redis.from_url(redis_url)
    with (
        RedisCache[Any](redis_url, prefix=prefix, **PATIENT) as cache,
        RedisCache[Any](redis_url, prefix=prefix, **PATIENT) as other,
    ):
        cache.set({KEYS[0]: ("value", None)})
        client.delete(f"{prefix}{{0000}}r{'0' * 32}")
        with caplog.at_level(logging.WARNING, logger="hitrate"):
            assert keys_of(cache) == [KEYS[0]], "this process used the namespace"
            assert keys_of(other) == []
        assert "lost which namespaces there are" in caplog.text
    client.close()


@pytest.mark.parametrize("cut", [0, 10, 60, 61, 63])
def test_values_that_somebody_else_wrote_cost_no_other(redis_url: str, new_prefix: Callable[[], str], cut: int) -> None:
    prefix = new_prefix()
    client = redis.Redis.from_url(redis_url)
    with RedisCache[Any](redis_url, prefix=prefix, on_error="raise", **PATIENT) as cache:
        cache.set({(("n",), "k" * 300): ("value", None), (("n",), "b"): ("value", None)})
        for name in client.scan_iter(count=1000):
            if name.startswith(prefix.encode() + b"{0000}e") and client.strlen(name) > 300:
                value = client.get(name)
                client.set(name, value[:cut])
                client.set(name[:-1] + b"!", b"\xff" * 200)
                client.set(name[:-1] + b"?", value[:41] + b"\xff\xff\xff\xff" + value[45:])
                client.rpush(name[:-1] + b"~", "a list")
        assert keys_of(cache) == [(("n",), "b")]
    client.close()


def test_what_a_clear_left_behind_is_not_listed(redis_url: str, new_prefix: Callable[[], str]) -> None:
    with RedisCache[Any](redis_url, prefix=new_prefix(), on_error="raise", **PATIENT) as cache:
        cache.set(dict.fromkeys(KEYS, ("value", None)))
        cache.clear([("n1", "x")])
        assert sorted(keys_of(cache)) == sorted([*KEYS[0::3], *KEYS[2::3]])
        cache.set({KEYS[1]: ("value", None)})
        assert keys_of(cache, ("n1",)) == [KEYS[1]]
        cache.clear()
        assert keys_of(cache) == []
