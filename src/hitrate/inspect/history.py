"""What a cache did over time: its totals, kept at the end of each second, minute and hour for a while.

Each series is a fixed number of buckets, so an inspector that runs for months takes no more room than one of two days.
What happened in a bucket is the difference of its totals and those of the bucket before.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

from hitrate.errors import HitrateError
from hitrate.inspect.counts import Cache, PricedStats, counts_of
from hitrate.langchain.saved import Prices

SPANS = {"minute": (1, 60), "hour": (60, 60), "days": (3600, 48)}
"""For each span that is shown, the seconds of a bucket and how many buckets there are."""

_EVERY = 1.0
_SHARE = 20  # a look at a slow store is followed by a pause of so many times as long


class Figures(NamedTuple):
    """What was counted: until a moment, or in the span of time of a bucket.

    Attributes:
        start: the moment, or when the span began, in seconds since the epoch.
        hits: keys found.
        misses: keys not found.
        seconds_saved: seconds that the hits spared.
        tokens_saved: tokens likewise.
        dollars: what these cost, as far as prices are known.
        evictions: entries that were evicted.
        entries: held at the end.
        bytes: likewise.
    """

    start: float
    hits: int
    misses: int
    seconds_saved: float
    tokens_saved: int
    dollars: float
    evictions: int
    entries: int
    bytes: int


_COUNTED = Figures._fields[1:-2]


class Series:
    """Totals at the ends of the latest buckets, each so many seconds long."""

    def __init__(self, seconds: int, buckets: int) -> None:
        self.seconds = seconds
        self.buckets = buckets
        self._ends: deque[tuple[int, Figures]] = deque(maxlen=buckets + 1)

    def add(self, now: float, totals: Figures) -> None:
        """Note the totals of this moment."""
        number = int(now // self.seconds)
        ends = self._ends
        if ends and number < ends[-1][0]:  # the clock was set back
            ends.clear()
        if len(ends) > 1 and ends[-1][0] == number:
            ends[-1] = number, totals
        else:
            # The first totals stay beside those at the end of their bucket: what follows is counted from them.
            ends.append((number if ends else number - 1, totals))

    def told(self, now: float) -> list[Figures]:
        """Return the buckets until this moment for which there are totals, the oldest first."""
        first = int(now // self.seconds) - self.buckets
        ends = list(self._ends)
        return [
            _between(number * self.seconds, before, after)
            for (_, before), (number, after) in pairwise(ends)
            if number > first
        ]


def _between(start: float, before: Figures, after: Figures) -> Figures:
    # Totals that have fallen began anew, as on a server that was emptied.
    counted = {name: max(0, getattr(after, name) - getattr(before, name)) for name in _COUNTED}
    return after._replace(start=start, **counted)


class History:
    """Samples a cache, without keeping it alive, in a thread that ends with it."""

    def __init__(self, cache: Cache, prices: Prices, clock: Callable[[], float]) -> None:
        self._cache = weakref.ref(cache)
        self._prices = prices
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.series = {name: Series(*sizes) for name, sizes in SPANS.items()}

    def start(self) -> None:
        """See to it that samples are taken. The thread is not there in a process that was forked off."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                run = threading.Thread(target=_run, args=(weakref.ref(self),), name="hitrate-history", daemon=True)
                run.start()
                self._thread = run

    def sample(self) -> bool:
        """Note the totals of now; tell whether the cache is still there."""
        cache = self._cache()
        if cache is None or cache._closed:
            return False
        with suppress(HitrateError):  # a gap, as long as the store cannot be asked
            self.note(counts_of(cache, self._prices))
        return not cache._closed

    def note(self, counts: PricedStats) -> None:
        """Note totals."""
        stats = counts.stats
        tokens = sum(sum(each.values()) for each in stats.tokens_saved.values())
        now = self._clock()
        totals = Figures(
            now,
            stats.hits,
            stats.misses,
            stats.seconds_saved,
            tokens,
            counts.dollars or 0.0,
            stats.evictions,
            stats.entries,
            stats.bytes,
        )
        for series in self.series.values():
            series.add(now, totals)


def _run(history_ref: Any) -> None:
    while True:
        history = history_ref()
        if history is None:
            return
        began = time.monotonic()
        if not history.sample():
            return
        del history
        time.sleep(max(_EVERY, _SHARE * (time.monotonic() - began)))
