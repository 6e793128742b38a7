"""``hitrate.metrics.opentelemetry``, read by the SDK."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hitrate import InMemoryCache, SqliteCache
from hitrate.metrics import opentelemetry
from hitrate.testing import Clock

KEY, OTHER = (("a",), "k"), (("a",), "other")


class Telemetry:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def told(self) -> dict[tuple[str, ...], object]:
        data = self.reader.get_metrics_data()
        return {
            (metric.name, *(str(point.attributes[name]) for name in sorted(point.attributes))): point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }

    def values(self) -> dict[tuple[str, ...], float]:
        return {key: point.value for key, point in self.told().items() if hasattr(point, "value")}


def test_what_a_cache_did_is_told_at_each_collection() -> None:
    telemetry, cache = Telemetry(), InMemoryCache(max_entries=10)
    opentelemetry(cache, name="answers", meter_provider=telemetry.provider)
    for times in (1, 2):
        cache.set({KEY: (1, None)})
        cache.get([KEY, OTHER])
        told = telemetry.values()
        assert told["hitrate.lookups", "answers", "hit", ""] == times
        assert told["hitrate.lookups", "answers", "miss", ""] == times
        assert told["hitrate.sets", "answers"] == times
        assert told["hitrate.entries", "answers"] == 1
        assert told["hitrate.limit_entries", "answers"] == 10
    telemetry.provider.shutdown()


def test_a_collection_asks_a_backend_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = Telemetry()
    with SqliteCache(tmp_path / "c.db") as cache:
        opentelemetry(cache, name="c", meter_provider=telemetry.provider)
        asked = []
        usage = cache._store.usage
        monkeypatch.setattr(cache._store, "usage", lambda: asked.append(1) or usage())
        telemetry.values()
        telemetry.values()
    assert len(asked) == 2
    telemetry.provider.shutdown()


def test_computations_are_a_histogram_and_hits_are_not_in_it() -> None:
    telemetry, clock = Telemetry(), Clock()
    cache = InMemoryCache(clock=clock)
    opentelemetry(cache, name="c", meter_provider=telemetry.provider)
    for _ in range(2):
        cache.get_or_compute(KEY, lambda: clock.advance(2.0))
    point = telemetry.told()["hitrate.compute_seconds", "c", "value"]
    assert (point.count, point.sum) == (1, 2.0)  # type: ignore[attr-defined]
    telemetry.provider.shutdown()


def test_a_computation_is_a_span_below_its_callers_and_a_hit_is_none() -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = tracers.get_tracer("test")
    telemetry, cache = Telemetry(), InMemoryCache()
    opentelemetry(cache, name="c", meter_provider=telemetry.provider, tracer=tracer)

    async def value() -> int:
        return 1

    with tracer.start_as_current_span("request"):
        for _ in range(2):
            cache.get_or_compute(KEY, lambda: 1)
            asyncio.run(cache.aget_or_compute(OTHER, value))
        with pytest.raises(ZeroDivisionError):
            cache.get_or_compute((("a",), "bad"), lambda: 1 // 0)
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["hitrate.compute"] * 3 + ["request"]
    assert {span.parent.span_id for span in spans[:3] if span.parent} == {spans[3].context.span_id}
    assert [span.status.is_ok for span in spans[:3]] == [True, True, False]
    assert [dict(span.attributes or {}) for span in spans[:3]] == [{"cache": "c", "hitrate.keys": 1}] * 3
    telemetry.provider.shutdown()
    tracers.shutdown()


def test_a_name_is_given_once_and_a_closed_cache_is_told_of_no_more() -> None:
    telemetry, one, two = Telemetry(), InMemoryCache(), InMemoryCache()
    opentelemetry(one, name="c", meter_provider=telemetry.provider)
    with pytest.raises(ValueError, match="'c'"):
        opentelemetry(two, name="c", meter_provider=telemetry.provider)
    one.close()
    assert telemetry.values() == {}
    opentelemetry(two, name="c", meter_provider=telemetry.provider)
    assert telemetry.values()["hitrate.entries", "c"] == 0
    telemetry.provider.shutdown()


@pytest.mark.parametrize("other", [5, object(), MeterProvider().get_meter("m")])
def test_what_is_no_provider_or_no_tracer_is_refused_and_fails_no_call(other: object) -> None:
    cache: InMemoryCache[int] = InMemoryCache()
    with pytest.raises(TypeError, match="meter_provider is an object with get_meter"):
        opentelemetry(cache, name="c", meter_provider=other)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tracer is an object with start_span and start_as_current_span"):
        opentelemetry(cache, name="c", meter_provider=MeterProvider(), tracer=other)  # type: ignore[arg-type]
    assert cache.get_or_compute((("a",), "k"), lambda: 1) == 1


def test_namespaces_are_told_apart_where_that_is_asked_for() -> None:
    telemetry = Telemetry()
    caches = [InMemoryCache(), InMemoryCache()]
    opentelemetry(caches[0], name="answers", meter_provider=telemetry.provider, namespaces=True)
    opentelemetry(caches[1], name="quiet", meter_provider=telemetry.provider)
    for cache in caches:
        cache.set({KEY: (1, None)})
        cache.get([KEY, OTHER])
    told = {key: value for key, value in telemetry.values().items() if key[0].startswith("hitrate.namespace")}
    assert told == {
        ("hitrate.namespace_lookups", "answers", '["a"]', "hit"): 1,
        ("hitrate.namespace_lookups", "answers", '["a"]', "miss"): 1,
        ("hitrate.namespace_sets", "answers", '["a"]'): 1,
        ("hitrate.namespace_seconds_saved", "answers", '["a"]'): 0,
    }
    telemetry.provider.shutdown()
