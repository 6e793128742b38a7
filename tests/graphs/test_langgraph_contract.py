"""The caches for graphs keep every promise of the contract but one: what cannot be stored is left out, not refused.

What they override is the same for all stores but memory, whose cache has a way of its own for most calls: reads, sets,
what cannot be stored, and so what is counted and logged. In memory all of the contract is tried, on a file that. On a
server and in tiers, where not a line of it differs, what is refused and counted, and what their classes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from langgraph.cache.base import BaseCache
from sample_graphs import one_node

import hitrate
from contracts import BytesThroughOneFace, WholeContract
from hitrate.langgraph import InMemoryCache, RedisCache, SqliteCache, TieredCache
from hitrate.testing import Clock
from hitrate.testing.contract.counters import Counters
from hitrate.testing.contract.expiry import Expiry
from hitrate.testing.contract.failures import Failures
from hitrate.testing.contract.fixtures import A, B, C
from hitrate.testing.contract.lifecycle import Lifecycle
from hitrate.testing.contract.one_store import OneStore
from hitrate.testing.contract.reading import Reading
from hitrate.testing.contract.refusal import Refusal, unserialisable
from hitrate.testing.contract.signatures import Signatures
from hitrate.testing.contract.writing import Writing
from hitrate.testing.faces import Driver


class Graphs:
    ours: type[hitrate.BaseCache[Any]]

    @pytest.mark.parametrize("place", ["first", "last"])
    def test_a_batch_with_an_unserialisable_value(self, cache: Driver, place: str) -> None:
        """A value that cannot be serialised is left out of its batch: its old value goes, the others are stored."""
        cache.set({A: ("old", None), B: ("old", None)})
        good = {A: ("new", None), C: ("new", None)}
        bad = {B: (unserialisable(), None)}
        cache.set({**bad, **good} if place == "first" else {**good, **bad})
        assert cache.get([A, B, C]) == {A: "new", C: "new"}
        assert cache.raw.stats().errors == 1

    def test_the_refusal_of_an_unserialisable_value(self, cache: Driver, caplog: pytest.LogCaptureFixture) -> None:
        """What is left out is logged, once for each type: which type, and where in the value it is."""
        for _ in range(3):
            cache.set({A: (unserialisable(), None)})
        assert cache.get([A]) == {}
        (record,) = caplog.records
        assert "lock" in record.getMessage()
        assert "rows" in record.getMessage()
        assert cache.raw.stats().errors == 3

    def test_is_a_cache_of_both_houses(self, cache: Driver) -> None:
        """It is a LangGraph cache and a hitrate cache, by isinstance too."""
        assert isinstance(cache.raw, BaseCache)
        assert isinstance(cache.raw, hitrate.BaseCache)
        assert isinstance(cache.raw, self.ours)


class GraphContract(Graphs, Signatures, Reading, Writing, Refusal, Expiry, OneStore, Counters, Failures, Lifecycle):
    test_a_hundred_and_thirty_thousand_keys_in_one_call = None


class ShortGraphContract(Graphs, Signatures, Refusal, Counters):
    """What a class for graphs on one more store may break."""


class TestInMemoryCache(BytesThroughOneFace, Graphs, WholeContract):
    # Numbers and forks concern the stores, which are asked elsewhere: here they take seconds and find nothing.
    test_a_hundred_and_thirty_thousand_keys_in_one_call = None
    test_a_fork_while_other_threads_use_the_cache = None

    set_parameter = "keys"
    ours = hitrate.InMemoryCache

    @pytest.fixture
    def make_cache(self, clock: Clock) -> Callable[..., Any]:
        return partial(InMemoryCache, clock=clock)


class TestSqliteCache(GraphContract):
    set_parameter = "mapping"
    ours = hitrate.SqliteCache

    @pytest.fixture
    def make_cache(self, clock: Clock, tmp_path: Path) -> Callable[..., Any]:
        numbers = count()
        return lambda **options: SqliteCache(path=tmp_path / f"{next(numbers)}.db", clock=clock, **options)


class TestRedisCache(ShortGraphContract):
    set_parameter = "pairs"
    ours = hitrate.RedisCache

    @pytest.fixture
    def make_cache(self, clock: Clock, redis_server: str) -> Iterator[Callable[..., Any]]:
        numbers = count()
        url = redis_server
        yield lambda **options: RedisCache(url, prefix=f"{next(numbers)}:", clock=clock, timeout=30.0, **options)
        with redis.Redis.from_url(url) as client:
            client.flushall()


class TestTieredCache(ShortGraphContract):
    set_parameter = "pairs"
    ours = hitrate.TieredCache

    @pytest.fixture
    def make_cache(self, clock: Clock, tmp_path: Path) -> Callable[..., Any]:
        numbers = count()

        def make(serde: Any = None, **options: Any) -> TieredCache[Any]:
            # A limit is the farthest tier's. The near one would evict in an order of its own, and holds nothing then.
            limits = {name: options.pop(name) for name in ("max_bytes", "max_entries") if name in options}
            near = InMemoryCache[Any](serde=serde, clock=clock, max_bytes=1 if limits else None)
            far = SqliteCache[Any](path=tmp_path / f"{next(numbers)}.db", serde=serde, clock=clock, **limits)
            return TieredCache(near, far, clock=clock, **options)

        return make


@pytest.mark.parametrize("kind", [hitrate.InMemoryCache, hitrate.SqliteCache])
def test_a_class_that_knows_nothing_of_graphs_says_what_to_write(kind: Any, tmp_path: Any, caplog: Any) -> None:
    class Cache(kind):  # type: ignore[misc]  # warned of once, so one that no other test has used
        pass

    cache = Cache() if kind is hitrate.InMemoryCache else Cache(path=tmp_path / "cache.db")
    graph = one_node(lambda state: {"items": [state["number"]]}, cache)
    for number in range(3):
        graph.invoke({"number": number})
    (line,) = [each.getMessage() for each in caplog.records]
    assert "from hitrate.langgraph import Cache" in line
    cache.close()
