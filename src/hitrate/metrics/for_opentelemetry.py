"""Figures for OpenTelemetry: observable instruments, and a histogram and spans of computations. Only its API is used.

There is no convention for caches, so the names are our own: ``hitrate.lookups`` and so on, as those for Prometheus.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from hitrate.metrics.figures import COMPUTE, METRICS, NAMESPACES, SECONDS, Figure, Metric, WatchedCache, refuse_other

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "hitrate.metrics.opentelemetry needs opentelemetry-api, which is not installed: "
        "pip install '.[opentelemetry]' in hitrate's folder"
    ) from error

from hitrate.metrics.spans import Spans, TracedStore
from hitrate.stores.memory import MemoryStore

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from hitrate.compute.cache import ComputingCache


def opentelemetry(
    cache: ComputingCache[Any],
    *,
    name: str,
    meter_provider: MeterProvider | None = None,
    tracer: Tracer | None = None,
    span_keys: bool = False,
    namespaces: bool = False,
) -> None:
    """Have OpenTelemetry told what a cache does: ``hitrate.lookups`` and others, with its name as ``cache``.

    The figures are read when a reader of the provider collects, which asks the cache's backend how much it holds; a hit
    costs nothing more. A cache that is closed is told of no more. The figures are those of this process.

    Args:
        cache: any cache of hitrate.
        name: the attribute ``cache``.
        meter_provider: who makes the instruments; the global one if not given.
        tracer: makes a span ``hitrate.compute`` for each computation, within which it runs, and spans of what the cache
            asks its backend for: ``hitrate.get`` unless everything was found, ``hitrate.write``, ``hitrate.lease``,
            ``hitrate.settle``, ``hitrate.clear`` and others. A hit is none. None for no spans.
        span_keys: whether spans have the attributes ``hitrate.namespaces`` and ``hitrate.key_names``, of up to 16 keys.
        namespaces: whether lookups, sets and seconds saved are told by namespace, too, as in
            ``hitrate.namespace_lookups``, with the namespace as a JSON array in the attribute ``namespace``. The first
            200 are told apart.

    Raises:
        TypeError: that is no cache, no name, no provider, or no tracer.
        ValueError: another cache of that name tells this provider.
        ModuleNotFoundError: opentelemetry-api is not installed (the extra ``opentelemetry``).
    """
    watched = WatchedCache(cache, name, namespaces=namespaces)
    provider = get_meter_provider() if meter_provider is None else meter_provider
    refuse_other("meter_provider", provider, ("get_meter",))
    if tracer is not None:
        refuse_other("tracer", tracer, ("start_span", "start_as_current_span"))
    instruments = _instruments.get(provider)
    if instruments is None:
        instruments = _instruments[provider] = _Instruments(provider)
    instruments.add(watched)
    attributes = {"cache": watched.name}

    def observe(seconds: float, failed: bool) -> None:
        instruments.computed.record(seconds, {**attributes, "result": "error" if failed else "value"})

    cache._observers = (*cache._observers, observe)
    if tracer is not None:
        spans = Spans(tracer, watched.name, keys=span_keys)
        cache._around = (*cache._around, spans.around)
        if not isinstance(cache._open_store(), MemoryStore):  # memory is read by other methods, in no time
            cache._exchange_within(lambda store: TracedStore(store, spans))


class _Instruments:
    """The instruments of one provider, for all caches that tell it."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("hitrate")
        self._watched: dict[str, WatchedCache] = {}
        self._lock = threading.Lock()
        self._reading: list[Figure] = []
        self._waiting: dict[str, bool] = {}
        for metric in (*METRICS, *NAMESPACES):
            make = meter.create_observable_counter if metric.total else meter.create_observable_up_down_counter
            make(
                f"hitrate.{metric.name}",
                callbacks=[partial(self.observed, metric)],
                unit=metric.unit,
                description=metric.help,
            )
        self.computed = meter.create_histogram(
            f"hitrate.{COMPUTE.name}",
            unit=COMPUTE.unit,
            description=COMPUTE.help,
            explicit_bucket_boundaries_advisory=SECONDS,
        )

    def add(self, watched: WatchedCache) -> None:
        """Tell of a cache, too."""
        there = self._watched.get(watched.name)
        if there is not None and not there.gone:
            raise ValueError(f"a cache named {watched.name!r} tells this provider already; give each a name of its own")
        self._watched = {**self._watched, watched.name: watched}

    def observed(self, metric: Metric, options: CallbackOptions) -> Iterable[Observation]:
        """Return what a metric is now, of each cache; an instrument calls this."""
        with self._lock:
            if not self._waiting.pop(metric.name, False):
                self._read()
                del self._waiting[metric.name]
            reading = self._reading
        return [Observation(value, attributes) for name, attributes, value in reading if name == metric.name]

    def _read(self) -> None:
        """Read all caches once for all metrics.

        Each metric is answered once from this reading; the first that is asked for again has all caches read anew.
        """
        self._reading = [
            (metric, {"cache": name, **labels}, value)
            for name, watched in self._watched.items()
            for metric, labels, value in watched.figures()
        ]
        self._waiting = {metric.name: True for metric in (*METRICS, *NAMESPACES)}


_instruments: weakref.WeakKeyDictionary[MeterProvider, _Instruments] = weakref.WeakKeyDictionary()
