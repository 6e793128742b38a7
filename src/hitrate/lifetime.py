"""Counters that outlive the process: what a cache counted is added to those in its backend every few seconds.

One thread does it for all caches of the process, and closing a cache and the end of the program do the rest; no hit
waits for it. A cache that nobody has any more and that was not closed lives on until the thread has told what it
counted, for a finaliser may not wait for a backend; one in a circle of references does not. What a backend did not take
is added with the next step, since a step adds everything that was not added yet. Of a process that is killed the last
seconds are lost.
"""

from __future__ import annotations

import atexit
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hitrate import forking
from hitrate.base import Namespace
from hitrate.errors import ClosedError, StoreError
from hitrate.exclusive import Signal
from hitrate.failsafe import log
from hitrate.keys import decode_namespace
from hitrate.stats import COUNTED, NamespaceStats
from hitrate.stores.background import Background
from hitrate.stores.base import Amounts
from hitrate.stores.lifetime import REST

if TYPE_CHECKING:
    from hitrate.open_cache import OpenCache

SECONDS_BETWEEN_STEPS = 10.0

_TOKENS = "tokens"


class Lifetime:
    """What one cache counted, and how much of it its backend was told.

    Args:
        cache: the cache; it is not kept alive by this.
    """

    def __init__(self, cache: OpenCache[Any]) -> None:
        self._cache: Callable[[], OpenCache[Any] | None] = weakref.ref(cache)
        self._told: dict[tuple[bytes, str], float] = {}
        self._telling = threading.Lock()
        self._is_logged = False
        self._has_begun = False
        forking.begin_anew(self, forking.Turn.CACHES)

    def begin(self) -> None:
        """Have what is counted be told from now on."""
        _told_of.add(self)
        self._has_begun = True
        _start_thread()

    def outlive(self, cache: OpenCache[Any]) -> None:
        """Have the thread tell the rest soon: nobody has the cache any more, and it was not closed.

        A finaliser asks, so nothing is waited for. One that is found in a circle by the collector is let go of: what
        its store stands on may have been given up already, as weak references to it have.
        """
        if self._has_begun and self._cache() is cache:
            self._cache = lambda: cache
            _collected.append(self)
            _stopped.set()
            _start_thread()

    def tell_last(self) -> None:
        """Tell the rest, and let the collected cache go."""
        try:
            self.tell()
        finally:
            self._cache = _nobody

    def tell(self) -> None:
        """Add to the backend's counters what they were not told yet."""
        cache = self._cache()
        if cache is None or cache._store.breaker != "closed" or not self._telling.acquire(blocking=False):
            return
        try:
            owed = self.owed()
            if owed:
                if cache._store.add_counts(owed):
                    self._note_told(owed)
                else:  # its backend keeps no counters: they are those of this process
                    self._has_begun = False
                    _told_of.discard(self)
        except (StoreError, ClosedError) as error:
            level = log.debug if self._is_logged else log.info
            self._is_logged = True
            level("%s: counters that outlive the process were not told to the backend: %s", type(cache).__name__, error)
        finally:
            self._telling.release()

    def _note_told(self, owed: Amounts) -> None:
        for key, amount in owed.items():
            self._told[key] = self._told.get(key, 0) + amount

    def owed(self) -> dict[tuple[bytes, str], float]:
        """Return what the backend was not told yet."""
        cache = self._cache()
        amounts = {} if cache is None else amounts_of(cache)
        told = self._told
        return {key: amount - told.get(key, 0) for key, amount in amounts.items() if amount != told.get(key, 0)}

    def read(self) -> dict[tuple[bytes, str], float]:
        """Return the backend's counters and what they were not told yet; without a backend that keeps any, the latter.

        Raises:
            StoreError: the backend failed.
        """
        cache = self._cache()
        kept = None if cache is None else cache._store.read_counts()
        counts = {key: amount for key, amount in (kept or {}).items() if math.isfinite(amount)}
        for key, amount in self.owed().items():
            counts[key] = counts.get(key, 0) + amount
        return counts

    def end(self) -> None:
        """Tell the rest; the cache is being closed."""
        if self._has_begun:
            self._has_begun = False
            _told_of.discard(self)
            self.tell()

    def after_fork_in_child(self) -> None:
        """Leave to the parent what was counted before the fork."""
        self._telling = threading.Lock()
        self._told = {}
        cache = self._cache()
        if cache is not None and self._has_begun:
            self._note_told(amounts_of(cache))
            self.begin()


def amounts_of(cache: OpenCache[Any]) -> dict[tuple[bytes, str], float]:
    """Return what a cache counted, as stores keep it."""
    amounts: dict[tuple[bytes, str], float] = {}
    by_name = cache._counts_by_name()
    evicted = 0
    for namespace, counts in by_name.items():
        name = REST if namespace is None else cache._encoded_name(namespace)
        for counter in COUNTED:
            if amount := getattr(counts, counter):
                amounts[name, counter] = amount
        evicted += counts.evictions
    for namespace, models in cache._counters.ledger.tokens_by_namespace().items():
        for model, tokens in models.items():
            for kind, amount in tokens.items():
                if amount:
                    amounts[cache._encoded_name(cache._name_of(namespace)), f"{_TOKENS}:{kind}:{model}"] = amount
    evictions, expirations = cache._store.removals()
    rest = {"evictions": evictions - evicted, "expirations": expirations, "errors": cache._counters.errors}
    for counter, amount in rest.items():
        if amount:
            amounts[REST, counter] = amounts.get((REST, counter), 0) + amount
    return amounts


def by_namespace(amounts: Amounts) -> dict[Namespace | None, NamespaceStats]:
    """Return amounts as what was done in each namespace; those of names that are none with the rest."""
    sums: dict[Namespace | None, dict[str, float]] = {}
    for (name, counter), amount in amounts.items():
        of_name = sums.setdefault(_namespace(name), {})
        of_name[counter] = of_name.get(counter, 0) + amount
    found = {namespace: _as_stats(counters) for namespace, counters in sums.items()}
    return {namespace: told for namespace, told in found.items() if told != NamespaceStats()}


def _as_stats(counters: Mapping[str, float]) -> NamespaceStats:
    counted: dict[str, Any] = {each: int(counters.get(each, 0)) for each in COUNTED}
    counted["seconds_saved"] = counters.get("seconds_saved", 0.0)
    return NamespaceStats(**counted, tokens_saved=tokens_in(counters.items()))


def tokens_in(counters: Any) -> dict[str, dict[str, int]]:
    """Return by model the tokens among some counters."""
    tokens: dict[str, dict[str, int]] = {}
    for counter, amount in counters:
        what, _, rest = counter.partition(":")
        kind, _, model = rest.partition(":")
        if what == _TOKENS and kind in ("input", "output"):
            of_model = tokens.setdefault(model, {"input": 0, "output": 0})
            of_model[kind] += int(amount)
    return tokens


def totals_of(amounts: Amounts) -> dict[str, Any]:
    """Return amounts of all namespaces together, as the fields of ``CacheStats``."""
    names = (*COUNTED, "expirations", "errors")
    sums: dict[str, Any] = dict.fromkeys(names, 0)
    for (_, counter), amount in amounts.items():
        if counter in sums:
            sums[counter] += amount
    totals = {name: float(amount) if name == "seconds_saved" else int(amount) for name, amount in sums.items()}
    return {**totals, "tokens_saved": tokens_in((counter, amount) for (_, counter), amount in amounts.items())}


def _namespace(name: bytes) -> Namespace | None:
    try:
        return decode_namespace(name)
    except (ValueError, IndexError):  # the name under which the rest is summed, or one written by hand
        return None


# The thread

_told_of: weakref.WeakSet[Lifetime] = weakref.WeakSet()
_collected: deque[Lifetime] = deque()
"""Those whose cache was collected unclosed."""
_stopped = Signal()


def _nobody() -> None:
    return None


def _run() -> None:
    while True:
        _stopped.wait(SECONDS_BETWEEN_STEPS)
        _stopped.clear()
        _tell_all()
        if _thread.ended(lambda: _told_of or _collected):
            return


def _tell_all() -> None:
    while _collected:
        try:
            _collected.popleft().tell_last()
        except Exception as error:  # nobody is left to tell it; or another thread was faster
            log.debug("counters of a cache that was collected were not told to its backend: %r", error)
    for lifetime in list(_told_of):
        try:
            lifetime.tell()
        except Exception as error:  # the next step adds it
            log.debug("counters were not told to a backend: %r", error)


_thread = Background("hitrate-counters", _run)


def _start_thread() -> None:
    try:
        _thread.start()
    except RuntimeError as error:  # the system has no thread to spare, or the interpreter is about to exit
        log.debug("counters are told later: %s", error)


def _after_fork_in_child() -> None:
    _collected.clear()  # they are the parent's to tell
    _thread.after_fork_in_child()


atexit.register(_tell_all)
forking.at_fork(forking.Turn.STORES, after_in_child=_after_fork_in_child)
