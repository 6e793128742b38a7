"""The figures of a cache, by the names under which metrics tell of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from json import dumps
from typing import Any, NamedTuple

from hitrate.compute.cache import ComputingCache
from hitrate.errors import ClosedError, StoreError
from hitrate.stats import NamespaceStats
from hitrate.stores.base import Usage

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Where the buckets of computations end: from a query of a database to an agent's long answer."""

BREAKER = {"closed": 0, "half-open": 1, "open": 2}


class Metric(NamedTuple):
    """A metric.

    Attributes:
        name: without the prefix and without a suffix, words joined by ``_``.
        help: what it counts.
        total: whether it only grows.
        unit: in the notation of UCUM, as OpenTelemetry has it.
        labels: beside the cache's name.
    """

    name: str
    help: str
    total: bool = True
    unit: str = "{entry}"
    labels: tuple[str, ...] = ()


METRICS = [
    Metric(
        "lookups",
        "Keys asked for, by what came of it, and of a tiered cache by where hits were.",
        unit="{lookup}",
        labels=("result", "tier"),
    ),
    Metric("sets", "Entries stored."),
    Metric("deletes", "Entries deleted by their key."),
    Metric("evictions", "Entries removed to stay within the limits."),
    Metric("expirations", "Entries removed because their TTL had passed."),
    Metric("errors", "Reads and writes that failed.", unit="{error}"),
    Metric("seconds_saved", "Seconds that hits spared.", unit="s"),
    Metric("tokens_saved", "Tokens of models that hits spared.", unit="{token}", labels=("model", "kind")),
    Metric("entries", "Entries held.", total=False),
    Metric("bytes", "Bytes held: keys, payloads and a fixed overhead an entry.", total=False, unit="By"),
    Metric("limit_entries", "Entries held at most; missing for no limit.", total=False),
    Metric("limit_bytes", "Bytes held at most; missing for no limit.", total=False, unit="By"),
    Metric("breaker_state", "Of the circuit breaker: 0 closed, 1 half-open, 2 open.", total=False, unit="1"),
]

COMPUTE = Metric("compute_seconds", "Seconds that computations took.", unit="s")

NAMESPACES = [
    Metric(
        "namespace_lookups",
        "Keys asked for in a namespace, by what came of it.",
        unit="{lookup}",
        labels=("namespace", "result"),
    ),
    Metric("namespace_sets", "Entries stored in a namespace.", labels=("namespace",)),
    Metric("namespace_seconds_saved", "Seconds that hits in a namespace spared.", unit="s", labels=("namespace",)),
]
"""What is told of each namespace where a program asks for it."""

_NAMESPACES_AT_MOST = 200
_OTHERS = "others"

Figure = tuple[str, dict[str, str], float]
"""The name of a metric, its labels beside the cache's name, and its value."""


class WatchedCache:
    """A cache that metrics tell of, which they do not keep alive.

    Args:
        cache: the cache.
        name: what its figures are labelled with.
        namespaces: whether the namespaces are told apart, which then are labels.
    """

    def __init__(self, cache: ComputingCache[Any], name: str, *, namespaces: bool = False) -> None:
        if not isinstance(cache, ComputingCache):
            raise TypeError(f"cache is a cache of hitrate, not one of type {type(cache).__name__}")
        if not isinstance(name, str) or not name:
            raise TypeError(f"name is a str that is not empty, not {name!r}")
        if not isinstance(namespaces, bool):
            raise TypeError(f"namespaces is True or False, not {namespaces!r}")
        self.name = legible(name)
        self._tells_namespaces = namespaces
        self._told_apart: set[str] = set()  # the namespaces that have a label of their own
        self._cache = weakref.ref(cache)

    @property
    def gone(self) -> bool:
        """Whether the cache was closed or is there no more."""
        cache = self._cache()
        return cache is None or cache._closed

    def figures(self) -> Iterator[Figure]:
        """Yield the figures; none for a cache that is gone, and not what it holds if its store cannot tell."""
        cache = self._cache()
        if cache is None:
            return
        usage = None
        try:
            store = cache._open_store()
            with suppress(StoreError):
                usage = store.usage()
        except ClosedError:
            return
        stats = cache._stats_with(usage or Usage(0, 0, 0, 0))
        for tier, hits in cache._hits_by_tier(stats).items():
            yield "lookups", {"result": "hit", "tier": tier}, hits
        yield "lookups", {"result": "miss", "tier": ""}, stats.misses
        for name in ("sets", "deletes", "errors", "seconds_saved"):
            yield name, {}, getattr(stats, name)
        for model, tokens in stats.tokens_saved.items():
            for kind, count in tokens.items():
                yield "tokens_saved", {"model": legible(model), "kind": kind}, count
        yield "breaker_state", {}, BREAKER[stats.breaker]
        if usage is not None:
            yield "evictions", {}, usage.evictions
            yield "expirations", {}, usage.expirations
            yield "entries", {}, usage.entries
            yield "bytes", {}, usage.bytes
        for name, limit in zip(("limit_entries", "limit_bytes"), store.limits, strict=True):
            if limit is not None:
                yield name, {}, limit
        if self._tells_namespaces:
            yield from self._figures_of_namespaces(cache)

    def _figures_of_namespaces(self, cache: ComputingCache[Any]) -> Iterator[Figure]:
        """Yield what was done in each namespace: the first 200 by their names, as JSON, and all others together."""
        by_label: dict[str, list[NamespaceStats]] = {}
        for namespace, did in cache.stats(by="namespace").items():
            label = _OTHERS if namespace is None else dumps(list(namespace))  # ASCII: a part may have a lone surrogate
            if label not in self._told_apart:
                if len(self._told_apart) < _NAMESPACES_AT_MOST:
                    self._told_apart.add(label)
                else:
                    label = _OTHERS
            by_label.setdefault(label, []).append(did)
        for label, all_did in by_label.items():
            yield "namespace_lookups", {"namespace": label, "result": "hit"}, sum(did.hits for did in all_did)
            yield "namespace_lookups", {"namespace": label, "result": "miss"}, sum(did.misses for did in all_did)
            yield "namespace_sets", {"namespace": label}, sum(did.sets for did in all_did)
            yield "namespace_seconds_saved", {"namespace": label}, sum(did.seconds_saved for did in all_did)


def legible(text: str) -> str:
    """Return text that every exporter can write: a lone surrogate is escaped."""
    return text.encode(errors="backslashreplace").decode()


def refuse_other(name: str, given: Any, methods: Sequence[str]) -> None:
    """Raise a TypeError for what lacks the methods: it would fail in the middle of a program's call."""
    if not all(callable(getattr(given, method, None)) for method in methods):
        raise TypeError(f"{name} is an object with {' and '.join(methods)}, not one of type {type(given).__name__}")
