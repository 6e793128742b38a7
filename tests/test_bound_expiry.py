"""Who may write to the store does not make an encrypted entry last longer than it was set to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.serde import EncryptedSerializer, ZstdSerializer
from hitrate.testing import Clock

KEY = (("tokens",), "anna")
OLD, NEW = b"o" * 32, b"n" * 32
TEN_YEARS = 315_360_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", "zstd", "tiers"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Any]:
    serde = EncryptedSerializer(ZstdSerializer() if request.param == "zstd" else None, key=NEW)
    made: Any = SqliteCache(path=tmp_path / "c.db", serde=serde, clock=clock, on_error="raise")
    if request.param == "tiers":
        made = TieredCache(InMemoryCache(serde=serde, clock=clock), made, clock=clock, on_error="raise")
    with made:
        yield made


def far(cache: Any) -> Any:
    return cache.tiers[-1] if isinstance(cache, TieredCache) else cache


def entry_of(cache: Any) -> Any:
    store = far(cache)._store
    encoded = far(cache)._encode_keys([KEY])
    return encoded[0], store.get(encoded)[0]


def put(cache: Any, encoding: str, payload: bytes, expiry: float | None) -> None:
    key, _ = entry_of(cache)
    far(cache)._store.write({key: (encoding, payload, expiry, 0.0)})


def read_every_way(cache: Any) -> list[Any]:
    return [
        cache.get([KEY]).get(KEY),
        cache.get([KEY, (("tokens",), "other")]).get(KEY),
        asyncio.run(cache.aget([KEY])).get(KEY),
        cache.get_or_compute(KEY, lambda: "computed", ttl=0),
    ]


@pytest.mark.parametrize("expiry", [TEN_YEARS, None])
@pytest.mark.parametrize("way", ["set", "aset", "get_or_compute", "stale"])
def test_an_expiry_that_was_put_off_does_not_count(cache: Any, clock: Clock, way: str, expiry: float | None) -> None:
    if way == "set":
        cache.set({KEY: ("token", 60)})
    elif way == "aset":
        asyncio.run(cache.aset({KEY: ("token", 60)}))
    else:
        cache.get_or_compute(KEY, lambda: "token", ttl=60, stale=30 if way == "stale" else 0)
    _, (encoding, payload, stored, _) = entry_of(cache)
    assert stored == clock() + (90 if way == "stale" else 60)
    put(cache, encoding, payload, None if expiry is None else clock() + expiry)
    assert read_every_way(cache) == ["token"] * 4
    clock.advance(59)
    assert read_every_way(cache) == ["token"] * 4
    clock.advance(2 if way != "stale" else 32)
    put(cache, encoding, payload, None if expiry is None else clock() + expiry)
    assert read_every_way(cache) == [None, None, None, "computed"]


def test_what_is_said_of_the_expiry_is_authenticated(cache: Any, clock: Clock) -> None:
    cache.set({KEY: ("token", 60)})
    _, (encoding, payload, _, _) = entry_of(cache)
    inner = encoding.rpartition("~")[2]
    for forged in (inner, f"~expires={clock() + TEN_YEARS!r}~{inner}", f"~fresh={clock() + 60!r}~{inner}"):
        put(cache, forged, payload, clock() + TEN_YEARS)
        if isinstance(cache, TieredCache):
            cache.tiers[0].clear()
        with pytest.raises(Exception, match="another key, or changed"):
            cache.get([KEY])


def test_a_nearer_tier_may_keep_a_copy_for_less(tmp_path: Path, clock: Clock) -> None:
    serde = EncryptedSerializer(key=NEW)
    near, between = InMemoryCache(serde=serde, clock=clock), SqliteCache(path=":memory:", serde=serde, clock=clock)
    far = SqliteCache(path=tmp_path / "c.db", serde=serde, clock=clock)
    with TieredCache(near, between, far, clock=clock, staleness=5, on_error="raise") as cache:
        cache.set({KEY: ("token", 60)})
        for _ in range(3):
            assert cache.get([KEY]) == {KEY: "token"}
            clock.advance(15)


def test_an_entry_without_an_expiry_is_stored_as_before(tmp_path: Path) -> None:
    serde = EncryptedSerializer(key=NEW)
    with SqliteCache(path=tmp_path / "c.db", serde=serde, on_error="raise") as cache:
        cache.set({KEY: ("token", None)})
        assert entry_of(cache)[1][0] == "aesgcm+msgpack"


def test_entries_of_earlier_versions_are_read(tmp_path: Path, clock: Clock) -> None:
    serde = EncryptedSerializer(key=NEW)
    with SqliteCache(path=tmp_path / "c.db", serde=serde, clock=clock, on_error="raise") as cache:
        key, _ = entry_of(cache)
        put(cache, *serde.dumps_bound("token", cache._codec.binding(key)), clock() + 60)
        assert read_every_way(cache) == ["token"] * 4


def test_keys_are_rotated_one_process_after_the_other(tmp_path: Path, clock: Clock) -> None:
    def opened(*keys: bytes) -> Any:
        return SqliteCache(
            path=tmp_path / "c.db", serde=EncryptedSerializer(key=[*keys]), clock=clock, on_error="raise"
        )

    names = [(("tokens",), f"{number}") for number in range(6)]
    with opened(OLD) as before, opened(OLD, NEW) as between, opened(NEW, OLD) as after:
        before.set(dict.fromkeys(names[:2], (1, 60)))
        between.set(dict.fromkeys(names[2:4], (2, 60)))
        after.set(dict.fromkeys(names[4:], (3, None)))
        assert len(between.get(names)) == len(after.get(names)) == 6
        assert between.serde.decrypted_with == (4, 2)
        assert after.serde.decrypted_with == (2, 4)
        clock.advance(61)
        assert len(after.get(names)) == 2
        assert after.serde.decrypted_with == (4, 4)  # none of the old ones was left
    with opened(NEW) as alone:
        assert len(alone.get(names)) == 2
