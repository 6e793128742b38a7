"""The order of a listing: the oldest value first. The times of all rows are gathered in steps before the first is told.

Of each row its number and the time of its creation are kept, 16 bytes; what else is told of it is looked up by its
number when its turn comes. A row that was overwritten since it was gathered comes last, with those like it.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from hitrate.stores.base import Listed

_NOT_KNOWN = float("-inf")  # an older hitrate stored it, so that it is the oldest


class OldestFirst:
    """Numbers of rows, in the order in which these were created.

    Rows of the same time, and those of an unknown one, are in the order of their numbers.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[array[float], array[int]]] = []
        self._ordered: Iterator[tuple[float, int]] | None = None
        self._taken: dict[int, float] = {}
        self._late: list[Listed] = []

    def gather(self, rows: Iterable[tuple[int, float | None]]) -> None:
        """Add rows, given as (number, when it was created); about a thousand, which are sorted here."""
        run = sorted([(_NOT_KNOWN if created is None else created, number) for number, created in rows])
        if run:
            times, numbers = zip(*run, strict=True)
            self._runs.append((array("d", times), array("q", numbers)))

    def take(self, most: int) -> Sequence[int]:
        """Return the numbers of the next rows, after the last were gathered; none when there are no more.

        They are the same until ``told`` is called with them, so that a caller that could not look them up may try
        again.
        """
        if self._ordered is None:
            self._ordered = heapq.merge(*[zip(*run, strict=True) for run in self._runs])
        if not self._taken:
            self._taken = {number: time for time, number in islice(self._ordered, most)}
        return [*self._taken]

    def told(self, found: Iterable[tuple[int, Listed]]) -> list[Listed]:
        """Return what to tell of the rows that were taken; after all others, those that were overwritten meanwhile.

        Args:
            found: for each row that is still there its number and what it holds now, in the order of ``take``.
        """
        taken, self._taken = self._taken, {}
        if not taken:
            return sorted(self._late, key=_created)
        entries: list[Listed] = []
        for number, listed in found:
            (entries if _created(listed) == taken[number] else self._late).append(listed)
        return entries


def _created(listed: Listed) -> float:
    return _NOT_KNOWN if listed.created is None else listed.created
