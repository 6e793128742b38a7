"""Several readers' keys as one read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def shares(found: Sequence[T], wanted: Sequence[Sequence[object]]) -> list[Sequence[T]]:
    """Return each reader's share of what was found for the keys of all, one after the other.

    Args:
        found: what was found, in the order of the keys.
        wanted: the keys that each reader asked for.
    """
    results = []
    start = 0
    for keys in wanted:
        results.append(found[start : start + len(keys)])
        start += len(keys)
    return results
