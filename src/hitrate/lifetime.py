"""Counters that outlive the process: what a cache counted is added to those in its backend every few seconds.

One thread adds the counts of all caches of the process; closing a cache, or the end of the program, adds the rest. No
hit waits for it. A cache that is unreferenced and was not closed is kept alive until the thread has added its counts,
since its finaliser must not wait for a backend; a cache in a reference cycle is not kept. Counts that a backend did not
take are added with the next step. A process that is killed loses the counts of the last seconds.
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
    """The counts of one cache, and how much of them was added to those in its backend.

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
        """Begin to add what is counted from now on."""
        _told_of.add(self)
        self._has_begun = True
        _start_thread()

    def outlive(self, cache: OpenCache[Any]) -> None:
        """Have the thread add the rest soon, of a cache that is unreferenced and was not closed.

        A finaliser calls this, so nothing is waited for. A cache that the collector finds in a reference cycle is given
        up: objects that its store needs may be finalised already.
        """
        if self._has_begun and self._cache() is cache:
            self._cache = lambda: cache
            _collected.append(self)
            _stopped.set()
            _start_thread()

    def tell_last(self) -> None:
        """Add the rest of the counts of a collected cache, and drop the cache."""
        try:
            self.tell()
        finally:
            self._cache = _nobody

    def tell(self) -> None:
        """Add to the counters in the backend what was not added yet."""
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
        """Return what was not added to the counters in the backend yet."""
        cache = self._cache()
        amounts = {} if cache is None else amounts_of(cache)
        told = self._told
        return {key: amount - told.get(key, 0) for key, amount in amounts.items() if amount != told.get(key, 0)}

    def read(self) -> dict[tuple[bytes, str], float]:
        """Return the counters in the backend, with what was not added yet; the latter alone if the backend keeps none.

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
        """Add the rest, as the cache is closed."""
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
        except Exception as error:  # nobody is left who could be told; or another thread was faster
            log.debug("counters of a cache that was collected were not told to its backend: %r", error)
    for lifetime in list(_told_of):
        try:
            lifetime.tell()
        except Exception as error:  # the next step adds it
            log.debug("counters were not told to a backend: %r", error)


_thread = Background("hitrate-counters", _run)


def _start_thread() -> None:
    _thread.try_to_start("counters are added later")


def _after_fork_in_child() -> None:
    _collected.clear()  # the parent adds their counts
    _thread.after_fork_in_child()


atexit.register(_tell_all)
forking.at_fork(forking.Turn.STORES, after_in_child=_after_fork_in_child)
