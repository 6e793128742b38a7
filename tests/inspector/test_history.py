"""What happened over time, in a bounded number of buckets."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from hitrate import InMemoryCache
from hitrate.inspect.history import SPANS, Figures, History, Series
from hitrate.testing import Clock
from inspector.conftest import client_of


def totals(hits: int = 0, misses: int = 0, size: int = 0) -> Figures:
    return Figures(0.0, hits, misses, float(hits), 10 * hits, 0.0, 0, 0, size)


def test_a_bucket_tells_what_happened_in_it() -> None:
    series = Series(60, 3)
    for now, hits in ((0, 5), (30, 7), (61, 8), (119, 10)):
        series.add(now, totals(hits))
    assert [(bucket.start, bucket.hits) for bucket in series.told(119)] == [(0, 2), (60, 3)]
    series.add(300, totals(11))
    assert [(bucket.start, bucket.hits) for bucket in series.told(300)] == [(300, 1)]


def test_only_so_many_buckets_are_kept() -> None:
    series = Series(1, 60)
    for now in range(10_000):
        series.add(now, totals(hits=3 * now))
    told = series.told(9_999)
    assert len(told) == 60
    assert {bucket.hits for bucket in told} == {3}
    assert told[-1].start == 9_999


def test_totals_that_began_anew_and_a_clock_that_was_set_back_tell_nothing_false() -> None:
    series = Series(1, 60)
    series.add(10, totals(100))
    series.add(11, totals(3))
    assert [bucket.hits for bucket in series.told(11)] == [0]
    series.add(5, totals(4))
    series.add(6, totals(6))
    assert [(bucket.start, bucket.hits) for bucket in series.told(6)] == [(6, 2)]


def test_the_charts_show_what_a_program_does() -> None:
    clock = Clock()
    with InMemoryCache[Any]() as cache:
        client = client_of(cache, clock=clock)
        client.get("/")
        cache.set({(("a",), "k"): (1, None)})
        cache.get([(("a",), "k"), (("a",), "none")])
        clock.advance(1)
        page = client.get("/overview.json").json()
        assert sum(bucket["hits"] for bucket in page["history"]) == 1
        assert sum(bucket["misses"] for bucket in page["history"]) == 1
        text = client.get("/?span=hour").text
        assert "Hit ratio <strong>50.0 %</strong>" in text
        assert text.count("<rect") >= 3


@pytest.mark.parametrize("span", SPANS)
def test_each_span_can_be_chosen(span: str) -> None:
    with InMemoryCache[Any]() as cache:
        assert client_of(cache).get(f"/overview.json?span={span}").json()["bucket_seconds"] == SPANS[span][0]


def test_it_samples_by_itself_and_ends_with_the_cache() -> None:
    cache = InMemoryCache[Any]()
    clock = Clock()
    history = History(cache, {}, clock)
    sampled = threading.Event()
    note = history.note
    history.note = lambda counts: (note(counts), sampled.set())[0]  # type: ignore[method-assign]
    history.start()
    assert sampled.wait(30)
    thread = history._thread
    assert thread is not None
    cache.close()
    thread.join(30)
    assert not thread.is_alive()


def test_it_keeps_neither_the_cache_nor_itself_alive() -> None:
    cache = InMemoryCache[Any]()
    history = History(cache, {}, Clock())
    del cache
    gc.collect()
    assert not history.sample()
