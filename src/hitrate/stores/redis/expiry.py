"""Expiry: the server keeps the TTLs. A cache that has a clock of its own, as in tests, expires by that clock too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hitrate.clock import is_replaced, wall_clock
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Found
from hitrate.stores.redis import scripts
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import ScriptCall

LONGEST = 10**15
"""Milliseconds that a TTL has at most, beyond which it is for ever: the server would not take much more."""


class ExpiryClock:
    """The clock that the expiries of a cache are made from: given, or the machine's. A test may replace that."""

    def __init__(self, given: Callable[[], float] | None) -> None:
        self._given = given
        self.now = given or wall_clock

    @property
    def own(self) -> Callable[[], float] | None:
        """What entries expire by, beside the server's clock; None if the two are the same."""
        return wall_clock if self._given is None and is_replaced() else self._given

    def argument(self) -> bytes:
        """Return the time by our own clock as the scripts take it, empty if there is none."""
        own = self.own
        return b"" if own is None else b"%r" % own()


def milliseconds_until(expiry: float | None, now: float) -> int:
    """Return the TTL that the server is given: 0 for ever, -1 for what has expired."""
    if expiry is None:
        return 0
    left = (expiry - now) * 1000
    if left <= 0:
        return -1
    return 0 if left > LONGEST else math.ceil(left)


def expired_in(found: Sequence[Found], now: float) -> list[int]:
    """Return the places of what has expired."""
    return [
        place
        for place, each in enumerate(found)
        if type(each) is tuple and (expiry := each[2]) is not None and expiry <= now
    ]


def remove_expired(op: Operation, keys: Sequence[EncodedKey]) -> Plan[int]:
    """Remove what a read found to have expired by our own clock; return how many entries were removed."""
    by_bucket: dict[int, list[bytes]] = {}
    for key in keys:
        number, name = op.names.entry(key)
        by_bucket.setdefault(number, []).append(name)
    calls = [ScriptCall(number, entries, [op.clock.argument()]) for number, entries in by_bucket.items()]
    return sum((yield from op.call(scripts.EXPIRE, calls)))
