"""Calls of one event loop that go together: several readers' keys are one read, and each gets its share.

How they gather differs with what serves them: a server in one command (``redis/gathering.py``), statements under way on
connections (``postgres/gathering.py``), or a thread (``sqlite/worker.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

from hitrate.errors import HitrateError

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


def own_copy(error: Exception) -> Exception:
    """Return the error that one of several callers is to be given: an error that all raise gathers all tracebacks."""
    if not isinstance(error, HitrateError):
        return error
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    return own
