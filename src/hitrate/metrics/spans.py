"""Spans of OpenTelemetry: of computations, and of what a cache asks its backend for. A hit is none.

A computation's span is the current one while it runs, so that what a model or a driver traces comes below it. A call of
the backend gets its span when it has returned, for only then is it known whether it was a hit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
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


class Spans:
    """Makes the spans of one cache.

    Args:
        tracer: makes them.
        name: the attribute ``cache``.
        keys: whether spans tell namespaces and keys, too.
    """

    def __init__(self, tracer: Tracer, name: str, *, keys: bool) -> None:
        self._tracer = tracer
        self._name = name
        self._keys = keys

    def around(self, work: Work) -> TracedWork:
        """Return work that is done within a span."""
        return TracedWork(work, self)

    def computing(self, flights: Sequence[Flight]) -> Any:
        """Return the context in which a computation is the current span."""
        return self._tracer.start_as_current_span(
            "hitrate.compute",
            attributes=self._attributes(len(flights), (flight.key for flight in flights)),
            record_exception=False,  # its message may hold secrets
            set_status_on_exception=False,
        )

    def call(self, what: str, keys: Collection[EncodedKey] = ()) -> BackendCall:
        """Return the context of a call of the backend.

        Args:
            what: the operation, as the contract of stores calls it.
            keys: what it is about.
        """
        return BackendCall(self, what, keys)

    def make(self, call: BackendCall, started: int, failed: BaseException | None) -> None:
        """Make the span of a call that has returned or failed.

        Args:
            call: the call.
            started: when, in nanoseconds since the epoch.
            failed: what it raised.
        """
        attributes = self._attributes(len(call.keys), map(_decoded, call.keys)) | call.more
        span = self._tracer.start_span(f"hitrate.{call.what}", start_time=started, attributes=attributes)
        if failed is not None:
            mark_failed(span, failed)
        span.end()

    def _attributes(self, count: int, keys: Iterable[FullKey]) -> _Attributes:
        told: _Attributes = {"cache": self._name}
        if count:
            told["hitrate.keys"] = count
        if self._keys:
            some = list(islice(keys, _KEYS_TOLD))
            told["hitrate.namespaces"] = [legible("/".join(namespace)) for namespace, _ in some]
            told["hitrate.key_names"] = [legible(key) for _, key in some]
        return told


def mark_failed(span: Span, error: BaseException) -> None:
    """Say that what a span is about failed, and by what class of error."""
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))


class TracedWork:
    """A computation within a span."""

    def __init__(self, work: Work, spans: Spans) -> None:
        self._work = work
        self._spans = spans

    def run(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Do ``Work.run``."""
        with self._spans.computing(flights) as span:
            computed = self._work.run(flights)
            if isinstance(computed, BaseException):
                mark_failed(span, computed)
        return computed

    async def arun(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Do ``Work.arun``."""
        with self._spans.computing(flights) as span:
            computed = await self._work.arun(flights)
            if isinstance(computed, BaseException):
                mark_failed(span, computed)
        return computed


class BackendCall:
    """The context of a call of the backend, which becomes a span when it is left.

    Attributes:
        what: the operation.
        keys: what it is about.
        is_hit: whether it found everything that it asked for, and is no span.
        more: attributes besides.
    """

    def __init__(self, spans: Spans, what: str, keys: Collection[EncodedKey]) -> None:
        self._spans = spans
        self.what = what
        self.keys = keys
        self.is_hit = False
        self.more: _Attributes = {}

    def __enter__(self) -> BackendCall:
        self._started = time.time_ns()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if not self.is_hit:
            self._spans.make(self, self._started, error)

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
        with self._spans.call(what, arguments[0] if has_keys else ()) as span:
            return note(span, getattr(self._store, what)(*arguments))

    async def acall(self: TracedStore, *arguments: Any) -> Any:
        with self._spans.call(what, arguments[0] if has_keys else ()) as span:
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
