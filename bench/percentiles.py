"""Percentiles of the times of calls."""

from __future__ import annotations

from collections.abc import Sequence

PERCENTILES = (0, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 100)
"""Those that a curve is drawn through."""


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the least of the sorted numbers that at least so many percent of them do not exceed."""
    # Rounded, since 99.9 / 100 * 1000 is a little more than 999.
    rank = -(-round(percent * len(ordered), 6) // 100)
    return ordered[max(0, int(rank) - 1)]
