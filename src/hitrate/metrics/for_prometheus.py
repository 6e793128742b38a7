"""Figures for Prometheus: one collector in each registry, for all caches that it tells of."""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from hitrate.metrics.figures import COMPUTE, METRICS, NAMESPACES, SECONDS, WatchedCache, refuse_other

try:
    from prometheus_client import REGISTRY
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "hitrate.metrics.prometheus needs prometheus_client, which is not installed: "
        "pip install '.[prometheus]' in hitrate's folder"
    ) from error

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

    from hitrate.compute.cache import ComputingCache


def prometheus(
    cache: ComputingCache[Any], *, name: str, registry: CollectorRegistry | None = None, namespaces: bool = False
) -> None:
    """Have Prometheus told what a cache does: ``hitrate_lookups_total`` and others, labelled with its name.

    The figures are read when the registry is collected, which asks the cache's backend how much it holds; a hit costs
    nothing more. A cache that is closed is told of no more. The figures are those of this process.

    Args:
        cache: any cache of hitrate.
        name: the label ``cache``.
        registry: where they are collected; Prometheus's default registry if not given.
        namespaces: whether lookups, sets and seconds saved are told by namespace, too, as in
            ``hitrate_namespace_lookups_total``, with the namespace as a JSON array in the label ``namespace``. The
            first 200 are told apart.

    Raises:
        TypeError: that is no cache, no name, or no registry.
        ValueError: another cache of that name is in the registry.
        ModuleNotFoundError: prometheus_client is not installed (the extra ``prometheus``).
    """
    watched = _Computations(cache, name, namespaces=namespaces)
    registry = REGISTRY if registry is None else registry
    refuse_other("registry", registry, ("register", "collect"))
    with _lock:
        collector = _collectors.get(registry)
        if collector is None:
            collector = _Collector()
            registry.register(collector)
            _collectors[registry] = collector
        collector.add(watched)
    cache._observers = (*cache._observers, watched.observe)


_lock = threading.Lock()
_collectors: weakref.WeakKeyDictionary[CollectorRegistry, _Collector] = weakref.WeakKeyDictionary()


class _Computations(WatchedCache):
    """A cache, and how long its computations took."""

    def __init__(self, cache: ComputingCache[Any], name: str, *, namespaces: bool) -> None:
        super().__init__(cache, name, namespaces=namespaces)
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, seconds: float, failed: bool) -> None:
        with self._lock:
            self._counts[bisect_left(SECONDS, seconds)] += 1
            self._sum += seconds

    def histogram(self) -> tuple[list[tuple[str, float]], float]:
        """Return the buckets as Prometheus has them, each with those before it, and the sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        ends = [*map(str, SECONDS), "+Inf"]
        return list(zip(ends, map(float, accumulate(counts)), strict=True)), total


class _Collector:
    """Collects the figures of the caches of one registry."""

    def __init__(self) -> None:
        self._watched: dict[str, _Computations] = {}

    def add(self, watched: _Computations) -> None:
        """Tell of a cache, too; raise a ValueError if there is one of that name."""
        there = self._watched.get(watched.name)
        if there is not None and not there.gone:
            raise ValueError(f"a cache named {watched.name!r} is in this registry already; give each a name of its own")
        self._watched = {**self._watched, watched.name: watched}

    def describe(self) -> list[Metric]:
        """Return nothing, so that no backend is asked when the collector is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        families: dict[str, Any] = {}
        for metric in (*METRICS, *NAMESPACES):
            family = CounterMetricFamily if metric.total else GaugeMetricFamily
            families[metric.name] = family(f"hitrate_{metric.name}", metric.help, labels=["cache", *metric.labels])
        computed = HistogramMetricFamily(f"hitrate_{COMPUTE.name}", COMPUTE.help, labels=["cache"])
        for name, watched in self._watched.items():
            if watched.gone:
                continue
            for metric_name, labels, value in watched.figures():
                families[metric_name].add_metric([name, *labels.values()], value)
            buckets, total = watched.histogram()
            computed.add_metric([name], buckets=buckets, sum_value=total)
        asked_for = {metric.name for metric in NAMESPACES}
        yield from (each for name, each in families.items() if each.samples or name not in asked_for)
        yield computed
