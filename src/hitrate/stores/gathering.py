"""Calls of one event loop that go together: several readers' keys are one read, and each gets its share.

What is the same for all stores is here. How calls are gathered depends on what answers them: one command to a server
(``redis/gathering.py``), as many statements at once as there are connections (``postgres/gathering.py``), or a thread
(``sqlite/worker.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from hitrate.errors import HitrateError

T = TypeVar("T")


def shares(found: Sequence[T], wanted: Sequence[Sequence[object]]) -> list[Sequence[T]]:
    """Return each reader's share of what was found for the keys of all, one after the other.

    Args:
        found: what was found, in the order of the keys.
        wanted: the keys that each reader asked for.
    """
    ends = accumulate(map(len, wanted))
    return [found[end - len(keys) : end] for keys, end in zip(wanted, ends, strict=True)]


def own_copy(error: Exception) -> Exception:
    """Return a copy of an error for one of several callers: an error that all of them raise gathers all tracebacks."""
    if not isinstance(error, HitrateError):
        return error
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    return own
