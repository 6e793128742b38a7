"""``cache_info`` of cached functions, and what a cache did by namespace."""

from __future__ import annotations

import asyncio
import functools
import gc
from pathlib import Path
from typing import Any

import pytest

import hitrate
from hitrate import (
    CacheInfo,
    ComputingCache,
    InMemoryCache,
    NamespaceStats,
    SqliteCache,
    Store,
    TieredCache,
    cached,
    stats,
)
from hitrate.stores.memory import MemoryStore
from hitrate.testing import Clock

A, B = ("a",), ("b", "é\ud800")


def opened(kind: str, tmp_path: Path, **options: Any) -> Any:
    if kind == "memory":
        return InMemoryCache(**options)
    far: SqliteCache[Any] = SqliteCache(path=tmp_path / "c.db", **options)
    if kind == "sqlite":
        return far
    if kind == "tiers":
        return TieredCache(InMemoryCache(serde=far.serde, **options), far, **options)
    assert kind == "tiers without memory"
    return TieredCache(SqliteCache(path=tmp_path / "near.db", serde=far.serde, **options), far, **options)


KINDS = ["memory", "sqlite", "tiers", "tiers without memory"]


@pytest.fixture(params=KINDS)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with opened(request.param, tmp_path) as cache:
        yield cache


def hits(cache: Any) -> dict[Any, int]:
    return {name: each.hits for name, each in cache.stats(by="namespace").items() if each.hits}


# cache_info


def test_a_cached_function_tells_what_lru_cache_tells(cache: Any) -> None:
    def square(number: int) -> int:
        return number * number

    ours, theirs = cached(cache, version=1)(square), functools.lru_cache(maxsize=None)(square)
    assert ours.cache_info() == theirs.cache_info() == (0, 0, None, 0)
    for number in (1, 2, 1, 1, 3, 2, 1, 1, 1, 1):
        assert ours(number) == theirs(number)
    assert tuple(ours.cache_info()) == tuple(theirs.cache_info())
    assert ours.cache_info()._fields == theirs.cache_info()._fields
    assert isinstance(ours.cache_info(), CacheInfo)


class Unlisted(MemoryStore):
    list_page = Store.list_page


def test_what_a_store_holds_of_a_function_is_not_known_where_it_does_not_list_it() -> None:
    with ComputingCache[int](Unlisted(max_bytes=None, max_entries=None, clock=Clock())) as cache:
        square = cached(cache)(abs)
        assert square(-2) == square(-2) == 2
        assert square.cache_info() == (1, 1, None, None)


def test_each_function_counts_its_own_calls_though_they_share_a_namespace() -> None:
    cache: InMemoryCache[Any] = InMemoryCache(max_entries=100)
    one, other = (cached(cache, namespace=A, version=1)(function) for function in (lambda x: x, lambda x, y="": x + y))
    for _ in range(20):
        one("text")
    other("text")
    other(x="text", y="s")
    assert one.cache_info()[:3] == (19, 1, 100)
    assert other.cache_info()[:3] == (0, 2, 100)
    assert cache.stats(by="namespace")[(*A, "version:1")].hits == cache.stats().hits == 19


def test_coroutine_functions_methods_and_options(cache: Any) -> None:
    clock = Clock()

    @cached(cache, stale=10, ttl=100, namespace=("later",))
    async def later(number: int) -> int:
        return number

    async def calls() -> None:
        for _ in range(3):
            await later(1)

    asyncio.run(calls())
    assert later.cache_info() == (2, 1, None, 1)

    class Service:
        @cached(cache, ignore="self", namespace=("service",))
        def ask(self, number: int) -> int:
            return number

    service = Service()
    for _ in range(4):
        service.ask(1)
    assert service.ask.cache_info() == Service.ask.cache_info() == (3, 1, None, 1)
    assert clock() > 0


def test_it_goes_on_after_a_clear_and_other_calls_do_not_count(cache: Any) -> None:
    @cached(cache, namespace=("f",))
    def function(number: int) -> int:
        return number

    function(1)
    function.get(1)
    function.refresh(1)
    function.clear()
    assert function.cache_info() == (0, 1, None, 0)


def test_it_counts_no_expired_entries() -> None:
    clock = Clock()
    cache: InMemoryCache[Any] = InMemoryCache(clock=clock)
    function = cached(cache, ttl=10, namespace=("f",))(lambda x: x)
    function(1)
    clock.advance(20)
    assert function.cache_info().currsize == 0


def test_a_function_has_its_own_attributes_of_that_name() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    function = cached(cache, namespace=("f",))(functools.lru_cache(lambda x: x))
    function(1)
    assert isinstance(function.cache_info(), CacheInfo)


# By namespace


def test_reads_and_writes_are_counted_where_they_are_made(cache: Any) -> None:
    cache.set({(A, "k"): (1, None), (B, "k"): (2, None), (B, "l"): (3, None)})
    for _ in range(3):
        cache.get([(A, "k")])
    cache.get([(A, "k"), (B, "k"), (B, "m"), (B, "l"), (("c",), "k")])
    asyncio.run(cache.aget([(B, "k")]))
    cache.delete([(B, "k"), (B, "no")])
    asyncio.run(cache.aset({(A, "k"): (1, 0)}))
    asyncio.run(cache.aset({(A, "k"): (1, None)}))
    assert cache.stats(by="namespace") == {
        A: NamespaceStats(hits=4, sets=2, deletes=1),
        B: NamespaceStats(hits=3, misses=1, sets=2, deletes=1),
        ("c",): NamespaceStats(misses=1),
    }


def test_the_sum_over_namespaces_is_the_whole(cache: Any) -> None:
    for number in range(50):
        key = ((str(number % 7),), str(number % 20))
        if cache.get([key]):
            cache.delete([key])
        else:
            cache.set({key: ("x" * number, None)})
        cache.get([key, (A, "k")])
        cache.get_or_compute((A, str(number % 3)), lambda: 1)
    whole, parts = cache.stats(), cache.stats(by="namespace").values()
    for name in ("hits", "misses", "sets", "deletes"):
        assert sum(getattr(each, name) for each in parts) == getattr(whole, name), name


def test_computed_values_and_the_seconds_that_hits_save(tmp_path: Path) -> None:
    for kind in KINDS:
        clock = Clock()
        (tmp_path / kind).mkdir()
        with opened(kind, tmp_path / kind, clock=clock) as cache:
            cache.get([(A, "k")])
            clock.advance(2)
            cache.set({(A, "k"): ("v", None)})
            for _ in range(4):
                cache.get([(A, "k")])
            told = cache.stats(by="namespace")[A]
            assert (told.hits, told.seconds_saved) == (4, 8.0), kind
            assert told.hit_rate == 0.8


def test_hits_of_the_short_way_outlive_their_function() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    function = cached(cache, namespace=A)(lambda x: x)
    for _ in range(10):
        function("x")
    before = cache.stats()
    assert hits(cache) == {A: 9}
    del function
    gc.collect()
    assert hits(cache) == {A: 9}
    assert cache.stats() == before
    assert not cache._counters._own


def test_a_graphs_cache_and_cached_functions_are_counted(cache: Any) -> None:
    function = cached(cache, namespace=A, stale=5, ttl=10)(lambda x: x)
    other = cached(cache, namespace=B)(lambda x, y=1: x)
    for _ in range(3):
        function(1)
        other(1, y=2)
        other(1, 2)
    assert hits(cache) == {A: 2, B: 5}


def test_evictions_of_memory_are_those_of_a_namespace() -> None:
    cache: InMemoryCache[Any] = InMemoryCache(max_entries=10)
    cache.set({(A, str(i)): (i, None) for i in range(10)})
    cache.set({(B, str(i)): (i, None) for i in range(8)})
    told = cache.stats(by="namespace")
    assert sum(each.evictions for each in told.values()) == cache.stats().evictions > 0
    assert told[A].evictions > 0


def test_tokens_are_told_by_namespace_and_model() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    cache._counters.ledger.account(A, "model").hit(1.0, 10, 20, 0.0)
    assert cache.stats(by="namespace") == {A: NamespaceStats(tokens_saved={"model": {"input": 10, "output": 20}})}


def test_namespaces_beyond_the_bound_are_counted_together(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "COUNTED_NAMESPACES", 2)
    for number in range(5):
        cache.set({((str(number),), "k"): (1, None)})
        cache.get([((str(number),), "k")])
    told = cache.stats(by="namespace")
    assert told == {
        ("0",): NamespaceStats(hits=1, sets=1),
        ("1",): NamespaceStats(hits=1, sets=1),
        None: NamespaceStats(hits=3, sets=3),
    }
    assert cache.stats().hits == 5


def test_what_a_near_tier_did_before_is_not_the_tiers() -> None:
    near: InMemoryCache[Any] = InMemoryCache()
    near.set({(A, "k"): (1, None)})
    near.get([(A, "k")])
    with TieredCache(near, InMemoryCache(serde=near.serde)) as cache:
        assert cache.stats(by="namespace") == {}
        cache.set({(A, "k"): (1, None)})
        cache.get([(A, "k")])
        assert cache.stats(by="namespace") == {A: NamespaceStats(hits=1, sets=1)}


def test_on_servers(url: str) -> None:
    with hitrate.open(url) as cache:
        cache.set({(A, "k"): (1, None), (B, "k"): (1, None)})
        cache.get([(A, "k"), (B, "k"), (B, "l")])
        cache.delete([(A, "k"), (B, "k")])
        assert cache.stats(by="namespace") == {
            A: NamespaceStats(hits=1, sets=1),
            B: NamespaceStats(hits=1, misses=1, sets=1),
            None: NamespaceStats(deletes=2),
        }


def test_misuse() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    with pytest.raises(ValueError, match="namespace"):
        cache.stats(by="key")  # type: ignore[call-overload]
    function = cached(cache)(len)
    cache.close()
    for call in (function.cache_info, lambda: cache.stats(by="namespace")):
        with pytest.raises(hitrate.ClosedError):
            call()
