"""What a listing tells of an entry."""

from __future__ import annotations

from typing import NamedTuple

from hitrate.base import Namespace


class EntryInfo(NamedTuple):
    """An entry as ``cache.entries()`` lists it. Its value was not decoded, and need not be one that can be.

    Attributes:
        namespace: its namespace.
        key: its key in that namespace.
        bytes: what it counts as in ``stats().bytes``: key, payload and overhead.
        created: when this value was stored, in seconds since the epoch, on SQLite in whole ones; None where the cache
            does not keep it (in memory, on Redis), or it was stored by a hitrate that did not.
        expires: when it is gone, in seconds since the epoch; None for never. A value with ``stale=`` stops being fresh
            before that, and is listed until it is gone.
        seconds: the seconds that the value took to make, 0.0 if they are not known.
    """

    namespace: Namespace
    key: str
    bytes: int
    created: float | None
    expires: float | None
    seconds: float
