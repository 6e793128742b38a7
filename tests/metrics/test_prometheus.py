"""``hitrate.metrics.prometheus``, read back by Prometheus's own parser."""

from __future__ import annotations

import gc
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hitrate import InMemoryCache, RedisCache, SqliteCache, TieredCache
from hitrate.metrics import prometheus
from hitrate.testing import Clock

Samples = dict[tuple[str, ...], float]
KEY, OTHER = (("a",), "k"), (("a",), "other")


def samples(text: str) -> Samples:
    """By name and the values of the labels, in the order of the labels' names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(registry: CollectorRegistry) -> Samples:
    return samples(generate_latest(registry).decode())


def test_what_a_cache_did_is_told() -> None:
    registry, cache = CollectorRegistry(), InMemoryCache(max_bytes=1_000_000)
    prometheus(cache, name="answers", registry=registry)
    cache.set({KEY: (1, None)})
    cache.get([KEY])
    cache.get([KEY, OTHER])
    cache.delete([KEY])
    cache.set({OTHER: (2, None)})
    told = scraped(registry)
    assert told["hitrate_lookups_total", "answers", "hit", ""] == 2
    assert told["hitrate_lookups_total", "answers", "miss", ""] == 1
    assert told["hitrate_sets_total", "answers"] == 2
    assert told["hitrate_deletes_total", "answers"] == 1
    assert told["hitrate_entries", "answers"] == 1
    assert told["hitrate_bytes", "answers"] == cache.stats().bytes
    assert told["hitrate_limit_bytes", "answers"] == 1_000_000
    assert ("hitrate_limit_entries", "answers") not in told
    assert told["hitrate_breaker_state", "answers"] == 0


def test_evictions_expirations_and_limits_of_a_file_are_told(tmp_path: Path) -> None:
    registry, clock = CollectorRegistry(), Clock()
    with SqliteCache(tmp_path / "c.db", max_entries=10, clock=clock) as cache:
        prometheus(cache, name="file", registry=registry)
        cache.set({(("a",), str(i)): (i, None) for i in range(10)})
        cache.set({(("a",), str(i)): (i, None) for i in range(10, 15)})
        told = scraped(registry)
        assert told["hitrate_evictions_total", "file"] == cache.stats().evictions > 0
        assert told["hitrate_limit_entries", "file"] == 10


def test_seconds_saved_and_tokens_are_told() -> None:
    registry, clock = CollectorRegistry(), Clock()
    cache = InMemoryCache(clock=clock)
    prometheus(cache, name="c", registry=registry)
    cache.get([KEY])
    clock.advance(3)
    cache.set({KEY: (1, None)})
    cache.get([KEY])
    cache._counters.ledger.account(("a",), "some-model").hit(1.0, 10, 20, 0.0)
    told = scraped(registry)
    assert told["hitrate_seconds_saved_total", "c"] == 3
    assert told["hitrate_tokens_saved_total", "c", "input", "some-model"] == 10
    assert told["hitrate_tokens_saved_total", "c", "output", "some-model"] == 20


def test_computations_are_a_histogram_and_hits_are_not_in_it() -> None:
    registry, clock = CollectorRegistry(), Clock()
    cache = InMemoryCache(clock=clock)
    prometheus(cache, name="c", registry=registry)
    for _ in range(3):
        cache.get_or_compute(KEY, lambda: clock.advance(2.0))
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute(OTHER, lambda: 1 // 0)
    told = scraped(registry)
    assert told["hitrate_compute_seconds_count", "c"] == 2
    assert told["hitrate_compute_seconds_sum", "c"] == 2
    assert told["hitrate_compute_seconds_bucket", "c", "1.0"] == 1
    assert told["hitrate_compute_seconds_bucket", "c", "2.5"] == 2


def test_hits_of_a_tiered_cache_are_told_by_tier(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with TieredCache(InMemoryCache(), SqliteCache(tmp_path / "c.db")) as cache:
        prometheus(cache, name="t", registry=registry)
        cache.tiers[1].set({KEY: (1, None)})
        cache.get([KEY])
        cache.get([KEY])
        cache.get([OTHER])
        told = scraped(registry)
    assert told["hitrate_lookups_total", "t", "hit", "far"] == 1
    assert told["hitrate_lookups_total", "t", "hit", "near"] == 1
    assert told["hitrate_lookups_total", "t", "miss", ""] == 1


def test_several_caches_share_a_registry_and_a_name_is_given_once() -> None:
    registry, one, two = CollectorRegistry(), InMemoryCache(), InMemoryCache()
    prometheus(one, name="one", registry=registry)
    with pytest.raises(ValueError, match="'one'"):
        prometheus(two, name="one", registry=registry)
    prometheus(two, name="two", registry=registry)
    text = generate_latest(registry).decode()
    assert text.count("# TYPE hitrate_entries ") == 1
    assert {key[1] for key in samples(text) if key[0] == "hitrate_entries"} == {"one", "two"}


def test_a_cache_that_is_closed_or_gone_is_told_of_no_more() -> None:
    registry, one, two = CollectorRegistry(), InMemoryCache(), InMemoryCache()
    prometheus(one, name="one", registry=registry)
    prometheus(two, name="two", registry=registry)
    one.close()
    del two
    gc.collect()
    assert scraped(registry) == {}
    again = InMemoryCache()
    prometheus(again, name="one", registry=registry)
    assert ("hitrate_entries", "one") in scraped(registry)


def test_while_a_server_is_down_only_what_it_holds_is_missing() -> None:
    registry = CollectorRegistry()
    with RedisCache("redis://127.0.0.1:1") as cache:
        prometheus(cache, name="c", registry=registry)
        cache.get([KEY])
        told = scraped(registry)
    assert told["hitrate_lookups_total", "c", "miss", ""] == 1
    assert told["hitrate_errors_total", "c"] == 1
    assert ("hitrate_entries", "c") not in told


def test_names_that_no_text_can_hold_do_not_fail_the_scrape() -> None:
    registry = CollectorRegistry()
    cache: InMemoryCache[int] = InMemoryCache()
    prometheus(cache, name="c\udc80", registry=registry)
    cache.set({KEY: (1, None)})
    cache.get([KEY])
    cache._counters.ledger.account(("a",), "model\ud83d").hit(1.0, 10, 20, 0.0)
    told = scraped(registry)
    assert told["hitrate_sets_total", "c\\udc80"] == 1
    assert told["hitrate_tokens_saved_total", "c\\udc80", "input", "model\\ud83d"] == 10


@pytest.mark.parametrize("registry", [5, object(), "registry"])
def test_what_is_no_registry_is_refused(registry: object) -> None:
    with pytest.raises(TypeError, match="registry is an object with register and collect"):
        prometheus(InMemoryCache(), name="c", registry=registry)  # type: ignore[arg-type]


@pytest.mark.parametrize(("cache", "name"), [(object(), "c"), ({}, "c"), (InMemoryCache(), ""), (InMemoryCache(), 1)])
def test_what_is_no_cache_or_no_name_is_refused(cache: object, name: object) -> None:
    with pytest.raises(TypeError):
        prometheus(cache, name=name, registry=CollectorRegistry())  # type: ignore[arg-type]


_WORKER = """
import sys
from prometheus_client import CollectorRegistry, start_http_server
from hitrate import SqliteCache
from hitrate.metrics import prometheus
registry = CollectorRegistry()
with SqliteCache("shared.db") as cache:
    prometheus(cache, name="shared", registry=registry)
    for i in range(int(sys.argv[1])):
        cache.get([(("a",), str(i))])
    server, thread = start_http_server(0, "127.0.0.1", registry)
    print(server.server_port, flush=True)
    sys.stdin.read()
"""


def test_each_of_several_processes_is_scraped_at_a_port_of_its_own(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(misses)],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for misses in (2, 3)
    ]
    told = 0.0
    for worker in workers:
        assert worker.stdout is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{int(worker.stdout.readline())}/metrics") as page:
            told += samples(page.read().decode())["hitrate_lookups_total", "shared", "miss", ""]
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    assert told == 5


def test_namespaces_are_told_apart_where_that_is_asked_for() -> None:
    registry = CollectorRegistry()
    clock = Clock()
    cache, quiet = InMemoryCache(clock=clock), InMemoryCache()
    prometheus(cache, name="answers", registry=registry, namespaces=True)
    prometheus(quiet, name="quiet", registry=registry)
    for each in (cache, quiet):
        each.get([KEY])
        clock.advance(3)
        each.set({KEY: (1, None), (("\ud800", ""), "k"): (2, None)})
        each.get([KEY, KEY, OTHER])
    told = {key: value for key, value in scraped(registry).items() if "namespace" in key[0] and "created" not in key[0]}
    strange = '["\\ud800", ""]'
    assert told == {
        ("hitrate_namespace_lookups_total", "answers", '["a"]', "hit"): 2,
        ("hitrate_namespace_lookups_total", "answers", '["a"]', "miss"): 2,
        ("hitrate_namespace_lookups_total", "answers", strange, "hit"): 0,
        ("hitrate_namespace_lookups_total", "answers", strange, "miss"): 0,
        ("hitrate_namespace_sets_total", "answers", '["a"]'): 1,
        ("hitrate_namespace_sets_total", "answers", strange): 1,
        ("hitrate_namespace_seconds_saved_total", "answers", '["a"]'): 6,
        ("hitrate_namespace_seconds_saved_total", "answers", strange): 0,
    }
    with pytest.raises(TypeError, match="namespaces is True or False"):
        prometheus(cache, name="other", registry=registry, namespaces=1)  # type: ignore[arg-type]


def test_no_more_than_200_namespaces_are_told_apart_and_none_changes_its_place() -> None:
    registry, cache = CollectorRegistry(), InMemoryCache()
    prometheus(cache, name="answers", registry=registry, namespaces=True)
    for count in (150, 400, 400):
        cache.set({((f"n{number}",), "k"): (number, None) for number in range(count)})
        sets = {key[2]: value for key, value in scraped(registry).items() if key[0] == "hitrate_namespace_sets_total"}
    assert len(sets) == 201
    assert sum(sets.values()) == 950
    assert sets['["n0"]'] == 3
    assert sets["others"] == 400
