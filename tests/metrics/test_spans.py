"""Spans that ``hitrate.metrics.opentelemetry`` makes with a tracer, exported by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hitrate import InMemoryCache, SqliteCache, StoreError, TieredCache
from hitrate.metrics import opentelemetry

KEY, OTHER, THIRD = (("a", "b"), "k"), (("a", "b"), "other"), (("c",), "\ud800")


class Tracing:
    """A tracer, and what it has exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("test")
        self.meters = MeterProvider()

    def watch(self, cache: Any, **options: Any) -> None:
        opentelemetry(cache, name="c", meter_provider=self.meters, tracer=self.tracer, **options)

    def taken(self) -> list[ReadableSpan]:
        spans = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return spans

    def names(self) -> list[str]:
        return [span.name.removeprefix("hitrate.") for span in self.taken()]

    def shutdown(self) -> None:
        self._provider.shutdown()
        self.meters.shutdown()


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    tracing = Tracing()
    yield tracing
    tracing.shutdown()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SqliteCache[Any]]:
    with SqliteCache(tmp_path / "c.db", on_error="raise") as cache:
        yield cache


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_calls_of_the_backend_are_spans_and_hits_are_none(tracing: Tracing, cache: SqliteCache[Any]) -> None:
    tracing.watch(cache)
    cache.set({KEY: (1, None), OTHER: (2, None)})
    assert cache.get([KEY]) == {KEY: 1}
    assert cache.get([KEY, OTHER]) == {KEY: 1, OTHER: 2}
    assert tracing.names() == ["write"]
    cache.get([KEY, THIRD])
    cache.delete([KEY])
    cache.clear([("a",)])
    cache.clear_under(("a",))
    list(cache.entries())
    names = tracing.names()
    assert (names[:4], set(names[4:])) == (["get", "write", "clear", "clear_under"], {"list_page"})


def test_the_async_face_makes_the_same_spans(tracing: Tracing, cache: SqliteCache[Any]) -> None:
    tracing.watch(cache)

    async def use() -> None:
        await cache.aset({KEY: (1, None)})
        await cache.aget([KEY])
        await cache.aget([KEY, OTHER])
        await cache.adelete([KEY])
        await cache.aclear()
        await cache.aclear_under(("a",))
        assert [each async for each in cache.aentries()] == []

    asyncio.run(use())
    names = tracing.names()
    assert (names[:5], set(names[5:])) == (["write", "get", "write", "clear", "clear_under"], {"list_page"})


def test_a_computation_under_a_lease_is_told_step_by_step(tracing: Tracing, cache: SqliteCache[Any]) -> None:
    tracing.watch(cache)

    async def two() -> int:
        return 2

    for _ in range(2):
        assert cache.get_or_compute(KEY, lambda: 1, lease=60) == 1
        assert asyncio.run(cache.aget_or_compute(OTHER, two, lease=60)) == 2
    spans = tracing.taken()
    assert [span.name.removeprefix("hitrate.") for span in spans] == ["get", "lease", "get", "compute", "settle"] * 2
    assert told(spans[0]) == {"cache": "c", "hitrate.keys": 1, "hitrate.misses": 1}
    assert told(spans[1]) == {"cache": "c", "hitrate.keys": 1, "hitrate.granted": 1}


def test_what_is_traced_within_a_computation_is_below_it(tracing: Tracing, cache: SqliteCache[Any]) -> None:
    tracing.watch(cache)

    def compute() -> int:
        with tracing.tracer.start_as_current_span("a model"):
            return 1

    async def acompute() -> int:
        await asyncio.sleep(0)
        return compute()

    with tracing.tracer.start_as_current_span("request"):
        cache.get_or_compute(KEY, compute)
        asyncio.run(cache.aget_or_compute(OTHER, acompute))
    spans = {span.context.span_id: span for span in tracing.taken()}
    parents = [(span.name, spans[span.parent.span_id].name) for span in spans.values() if span.parent]
    assert parents.count(("a model", "hitrate.compute")) == 2
    assert parents.count(("hitrate.compute", "request")) == 2
    assert parents.count(("hitrate.write", "request")) == 2


def test_what_fails_is_told_by_its_class_alone(
    tracing: Tracing, cache: SqliteCache[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise StoreError("secret")

    monkeypatch.setattr(cache._store, "get", fail)
    tracing.watch(cache)
    with pytest.raises(StoreError):
        cache.get([KEY])
    monkeypatch.undo()
    with pytest.raises(ValueError, match="secret"):
        cache.get_or_compute(KEY, lambda: int("secret"))
    read, computed = (span for span in tracing.taken() if not span.status.is_unset)
    assert (read.name, read.status.description) == ("hitrate.get", "StoreError")
    assert (computed.name, computed.status.description, len(computed.events)) == ("hitrate.compute", "ValueError", 0)


@pytest.mark.parametrize("asked", [False, True])
def test_keys_and_namespaces_are_told_only_if_asked_for(tracing: Tracing, cache: SqliteCache[Any], asked: bool) -> None:
    tracing.watch(cache, span_keys=asked)
    cache.set({KEY: (1, None), THIRD: (2, None)})
    cache.get_or_compute(OTHER, lambda: 1)
    cache.set({(("n",), f"k{i}"): (i, None) for i in range(100)})
    wrote, _, computed, _, many = tracing.taken()
    if not asked:
        assert (told(wrote), told(computed)) == ({"cache": "c", "hitrate.keys": 2}, {"cache": "c", "hitrate.keys": 1})
        return
    assert told(wrote)["hitrate.namespaces"] == ("a/b", "c")
    assert told(wrote)["hitrate.key_names"] == ("k", "\\ud800")
    assert told(computed)["hitrate.key_names"] == ("other",)
    assert (told(many)["hitrate.keys"], len(told(many)["hitrate.key_names"])) == (100, 16)


def test_a_cache_in_memory_has_spans_of_computations_alone(tracing: Tracing) -> None:
    cache = InMemoryCache()
    tracing.watch(cache)
    cache.set({KEY: (1, None)})
    cache.get([KEY, OTHER])
    cache.get_or_compute(OTHER, lambda: 1)
    assert tracing.names() == ["compute"]


def test_tiers_are_one_backend(tracing: Tracing, tmp_path: Path) -> None:
    with TieredCache(InMemoryCache(), SqliteCache(tmp_path / "c.db")) as cache:
        tracing.watch(cache)
        cache.get_or_compute(KEY, lambda: 1, lease=60)
        assert cache.get([KEY]) == {KEY: 1}
        assert asyncio.run(cache.aget([KEY])) == {KEY: 1}
    assert tracing.names() == ["get", "lease", "get", "compute", "settle"]


def test_a_cache_that_withholds_is_traced_and_serves_again(
    tracing: Tracing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise StoreError("full")

    cache = SqliteCache(tmp_path / "c.db")
    cache.set({KEY: (1, None)})
    store = cache._store
    monkeypatch.setattr(store, "clear", fail)
    cache.clear()
    assert cache._store is not store
    tracing.watch(cache)
    monkeypatch.undo()
    cache.clear()
    cache.set({KEY: (2, None)})
    assert cache.get([KEY]) == {KEY: 2}
    assert "write" in tracing.names()
    cache.close()


def test_the_store_behind_spans_tells_events_what_it_evicted(tracing: Tracing, tmp_path: Path) -> None:
    told: list[Any] = []
    with SqliteCache[Any](tmp_path / "c.db", max_entries=1) as cache:
        tracing.watch(cache)
        cache.events = told.append
        cache.set({KEY: (1, None)})
        cache.set({OTHER: (2, None)})
        cache.get([KEY])
    assert (told[-1].result, told[-1].why) == ("miss", "evicted")
