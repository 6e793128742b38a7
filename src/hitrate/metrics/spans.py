"""Spans of OpenTelemetry: of computations, and of what a cache asks its backend for. A hit has no span.

A computation's span is the current one while it runs, so that what a model or a driver traces comes below it. A call of
the backend gets its span when it has returned, for only then is it known whether it was a hit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Status, StatusCode

from hitrate.base import FullKey
from hitrate.keys import EncodedKey, decode_namespace, decode_text
from hitrate.metrics.figures import legible

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from hitrate.compute.flight import Flight
    from hitrate.compute.leading import Computed, Work
    from hitrate.stores.base import Found, Store

_KEYS_TOLD = 16
"""Keys that one span tells of at most, where they are asked for."""

_Attributes = dict[str, Any]


@dataclass(frozen=True)
class Spans:
    """Makes the spans of one cache; with ``keys`` they tell namespaces and keys, too."""

    tracer: Tracer
    name: str
    keys: bool

    def around(self, work: Work) -> TracedWork:
        """Return work that is done within a span."""
        return TracedWork(work, self)

    def computing(self, flights: Sequence[Flight]) -> Any:
        """Return the context in which a computation is the current span."""
        return self.tracer.start_as_current_span(
            "hitrate.compute",
            attributes=self.attributes(len(flights), (flight.key for flight in flights)),
            record_exception=False,  # its message may hold secrets
            set_status_on_exception=False,
        )

    def attributes(self, count: int, keys: Iterable[FullKey]) -> _Attributes:
        """Return what a span tells of the cache, of how many keys there are, and of the first of them."""
        told: _Attributes = {"cache": self.name}
        if count:
            told["hitrate.keys"] = count
        if self.keys:
            some = list(islice(keys, _KEYS_TOLD))
            told["hitrate.namespaces"] = [legible("/".join(namespace)) for namespace, _ in some]
            told["hitrate.key_names"] = [legible(key) for _, key in some]
        return told


def mark_failed(span: Span, error: BaseException) -> None:
    """Say that what a span is about failed, and by what class of error."""
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))


@dataclass(frozen=True)
class TracedWork:
    """A computation within a span."""

    work: Work
    spans: Spans

    def run(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Do ``Work.run``."""
        with self.spans.computing(flights) as span:
            computed = self.work.run(flights)
            if isinstance(computed, BaseException):
                mark_failed(span, computed)
        return computed

    async def arun(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Do ``Work.arun``."""
        with self.spans.computing(flights) as span:
            computed = await self.work.arun(flights)
            if isinstance(computed, BaseException):
                mark_failed(span, computed)
        return computed


@dataclass(eq=False)
class BackendCall:
    """The context of a call of the backend, which becomes a span when it is left.

    Attributes:
        spans: makes it.
        what: the operation, as the contract of stores calls it.
        keys: what it is about.
        is_hit: whether it found everything that it asked for, and is no span.
        more: attributes besides.
    """

    spans: Spans
    what: str
    keys: Collection[EncodedKey]
    is_hit: bool = False
    more: _Attributes = field(default_factory=dict)

    def __enter__(self) -> BackendCall:
        self._started = time.time_ns()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self.is_hit:
            return
        attributes = self.spans.attributes(len(self.keys), map(_decoded, self.keys)) | self.more
        span = self.spans.tracer.start_span(f"hitrate.{self.what}", start_time=self._started, attributes=attributes)
        if error is not None:
            mark_failed(span, error)
        span.end()

    def found(self, found: Sequence[Found]) -> Sequence[Found]:
        """Note what a read has found, and return it."""
        misses = sum(type(each) is not tuple for each in found)
        self.is_hit = not misses
        self.more["hitrate.misses"] = misses
        return found

    def granted(self, waits: Sequence[float]) -> Sequence[float]:
        """Note what a lease was granted for, and return it."""
        self.more["hitrate.granted"] = sum(not wait for wait in waits)
        return waits


def _traced(
    what: str, *, has_keys: bool = True, note: Callable[[BackendCall, Any], Any] = lambda call, result: result
) -> tuple[Any, Any]:
    """Return the sync and the async method of an operation, each call of which is a span.

    Args:
        what: the operation.
        has_keys: whether its first argument is keys, or a dict by them.
        note: notes in the span what it returned, and returns that.
    """

    def call(self: TracedStore, *arguments: Any) -> Any:
        with BackendCall(self._spans, what, arguments[0] if has_keys else ()) as span:
            return note(span, getattr(self._store, what)(*arguments))

    async def acall(self: TracedStore, *arguments: Any) -> Any:
        with BackendCall(self._spans, what, arguments[0] if has_keys else ()) as span:
            return note(span, await getattr(self._store, f"a{what}")(*arguments))

    return call, acall


class TracedStore:
    """A store whose calls are spans, reads that find everything excepted. All else is the store's own."""

    _store: Store
    _spans: Spans

    def __init__(self, store: Store, spans: Spans) -> None:
        vars(self).update(_store=store, _spans=spans)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._store, name, value)

    get, aget = _traced("get", note=BackendCall.found)
    write, awrite = _traced("write")
    clear, aclear = _traced("clear", has_keys=False)
    clear_under, aclear_under = _traced("clear_under", has_keys=False)
    lease, alease = _traced("lease", note=BackendCall.granted)
    settle, asettle = _traced("settle")
    list_page, alist_page = _traced("list_page", has_keys=False)


def _decoded(key: EncodedKey) -> FullKey:
    return decode_namespace(key[0]), decode_text(key[1])
