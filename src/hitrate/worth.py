"""Eviction by worth: what saves the fewest seconds per byte goes first.

GreedyDual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
Policy", HP Laboratories, 1998) gives an entry the priority ``level + hits * seconds / bytes`` and evicts the lowest;
``level`` is the priority of what was evicted last, so that old worth fades. Here the worth is rounded to a power of
two, as in CAMP (Ghandeharizadeh et al., Middleware 2014): within a class the priorities only grow, so that a FIFO for
each class takes the place of the heap.

A hit sets the visited bit and moves nothing, as with SIEVE. The bit is looked at when the entry's turn has come: then
it counts as two hits, as one bit may stand for many, up to fifteen in all, and the entry queues again.
"""

from __future__ import annotations

from math import log2

HITS_PER_TURN = 2
HITS_AT_MOST = 15
_SECONDS_AT_LEAST, _SECONDS_AT_MOST = 1e-9, 1e9
_MEDIAN_STEP = 1.05


class Median:
    """The median of the seconds that entries took, nearly: each one moves it a step towards itself.

    Attributes:
        seconds: what it is now; 0 as long as none are known.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Move the median towards the seconds that an entry took; 0, not known, moves nothing."""
        if seconds > 0:
            median = self.seconds or seconds
            self.seconds = median * _MEDIAN_STEP if seconds > median else median / _MEDIAN_STEP

    def rank(self, hits: int, seconds: float, size: int) -> int:
        """Return the class of an entry: the power of two nearest to its worth.

        Args:
            hits: how often it is counted as read.
            seconds: how long it took to make; 0 if that is not known, which counts as the median.
            size: its bytes.
        """
        seconds = min(max(seconds or self.seconds or 1.0, _SECONDS_AT_LEAST), _SECONDS_AT_MOST)
        return round(log2(hits * seconds / size))
