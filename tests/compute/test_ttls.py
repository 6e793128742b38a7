"""A TTL is a number of seconds, of NumPy's too, or a timedelta, wherever one is taken."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.callers import KEY, Gated, run
from compute.conftest import MAKERS
from hitrate import InMemoryCache, SqliteCache, TieredCache, cached
from hitrate.testing import Clock

SPANS: dict[str, Any] = {
    "int": 10,
    "float": 10.0,
    "timedelta": timedelta(seconds=10),
    "int64": np.int64(10),
    "float32": np.float32(10),
    "float64": np.float64(10),
    "timedelta64": np.timedelta64(10, "s"),
}
span = pytest.mark.parametrize("ttl", SPANS.values(), ids=SPANS)


@span
def test_set_and_aset(any_cache: Any, clock: Clock, ttl: Any) -> None:
    other = (("other",), "key")
    any_cache.set({KEY: ("value", ttl)})
    run(any_cache.aset({other: (["value"], ttl)}))
    clock.advance(9.5)
    assert any_cache.get([KEY, other]) == {KEY: "value", other: ["value"]}
    clock.advance(0.5)
    assert any_cache.get([KEY, other]) == {}


@span
@pytest.mark.parametrize("kind", MAKERS)
def test_a_default(path: Path, clock: Clock, kind: str, ttl: Any) -> None:
    with MAKERS[kind](path, clock=clock, default_ttl=ttl) as cache:
        cache.set({KEY: ("value", None)})
        clock.advance(9.5)
        assert cache.get([KEY]) == {KEY: "value"}
        clock.advance(0.5)
        assert cache.get([KEY]) == {}


@span
def test_computing(cache: Any, clock: Clock, ttl: Any) -> None:
    gate = Gated(is_open=True)

    async def later() -> Any:
        return gate()

    def many(keys: Any) -> Any:
        return {key: gate() for key in keys}

    f = cached(cache, ttl=ttl, lease=ttl)(lambda: gate())
    of_a_key = [(("of a key",), name) for name in "abc"]
    calls: list[Any] = [
        f,
        lambda: cache.get_or_compute(of_a_key[0], gate, ttl, lease=ttl),
        lambda: run(cache.aget_or_compute(of_a_key[1], later, ttl, lease=ttl)),
        lambda: cache.get_or_compute_many(of_a_key[2:], many, ttl, lease=ttl),
    ]
    for call in calls:
        call(), call()
    assert gate.runs == len(calls)
    clock.advance(10)
    for call in calls:
        call()
    assert gate.runs == 2 * len(calls)


@span
def test_errors_and_what_is_stale(cache: Any, clock: Clock, ttl: Any) -> None:
    gate = Gated(is_open=True)

    @cached(cache, cache_errors=ValueError, error_ttl=ttl)
    def fails() -> None:
        gate()
        raise ValueError("no")

    for runs in (1, 1, 2):
        if runs == 2:
            clock.advance(10)
        with pytest.raises(ValueError, match="no"):
            fails()
        assert gate.runs == runs
    old = cached(cache, ttl=1, stale=ttl)(lambda: [1])
    assert old() == [1]
    clock.advance(11)
    assert old.get() is None


@span
def test_staleness(path: Path, ttl: Any) -> None:
    with TieredCache(InMemoryCache(), SqliteCache(path=path), staleness=ttl) as cache:
        assert cache._store._tiers.staleness == 10.0
        assert type(cache._store._tiers.staleness) is float


@span
def test_a_policy_of_a_graph(memory: Any, clock: Clock, ttl: Any) -> None:
    from langgraph.graph import START, StateGraph
    from langgraph.types import CachePolicy

    import hitrate.langgraph

    gate = Gated(lambda: None, is_open=True)

    def node(state: dict[str, Any]) -> dict[str, Any]:
        gate()
        return {"a": 1}

    builder: Any = StateGraph(dict)
    builder.add_node("node", node, cache_policy=CachePolicy(ttl=ttl))
    builder.add_edge(START, "node")
    graph = builder.compile(cache=hitrate.langgraph.InMemoryCache(clock=clock))
    for _ in range(2):
        graph.invoke({"q": 1})
    assert gate.runs == 1
    clock.advance(10)
    graph.invoke({"q": 1})
    assert gate.runs == 2


@pytest.mark.parametrize("wrong", ["10", True, 1j, [10], np.True_, float("nan"), np.float32("nan")], ids=repr)
def test_what_is_no_span_of_time_is_refused_everywhere(memory: Any, path: Path, wrong: Any) -> None:
    calls: dict[str, Any] = {
        "set": lambda: memory.set({KEY: (1, wrong)}),
        "aset": lambda: run(memory.aset({KEY: (1, wrong)})),
        "get_or_compute": lambda: memory.get_or_compute(KEY, lambda: 1, wrong),
        "default_ttl": lambda: InMemoryCache(default_ttl=wrong),
        **{
            name: lambda name=name: cached(memory, **{name: wrong})(lambda: 1)
            for name in ("ttl", "lease", "stale", "early")
        },
        "error_ttl": lambda: cached(memory, cache_errors=ValueError, error_ttl=wrong)(lambda: 1),
    }
    for name, call in calls.items():
        with pytest.raises((TypeError, ValueError)):
            pytest.fail(f"{name} took {wrong!r}: {call()!r}")
    with InMemoryCache() as near, SqliteCache(path=path) as far, pytest.raises((TypeError, ValueError)):
        TieredCache(near, far, staleness=wrong)
    assert memory.get([KEY]) == {}


def test_early_is_no_span_of_time(memory: Any) -> None:
    with pytest.raises(TypeError, match="early is a number"):
        cached(memory, early=timedelta(seconds=1))  # type: ignore[arg-type]
    assert cached(memory, early=np.float32(1))(lambda: [1])() == [1]  # type: ignore[arg-type]
