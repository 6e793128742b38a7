"""Leases on the server: a name for each, beside that of its entry, that lives as long as the lease.

A lease carries the tokens under which it was taken, as entries do: a clear ends it by taking them away. Who settles
stores only what is still its own.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import Any

from hitrate.stores.redis.names import Bucket
from hitrate.stores.redis.reading import Part
from hitrate.stores.redis.wire import ScriptCall

LEASES_AT_ONCE = 5_000
"""Leases that one step of the server settles."""

_LONGEST = 10**15


def milliseconds_of(seconds: float) -> int:
    """Return how long a lease lasts, as the server is told."""
    return math.ceil(min(max(seconds * 1000, 1), _LONGEST))


def lease_call(bucket: Bucket, part: Part, index: Sequence[bytes], token: bytes, life: int) -> ScriptCall:
    """Return the call that takes the leases of a part.

    Args:
        bucket: its bucket.
        part: the keys.
        index: the names of the bookkeeping that the script needs.
        token: of the holder.
        life: milliseconds.
    """
    keys = [bucket.everything, bucket.register, *index]
    arguments = [os.urandom(8 * (1 + len(part.spaces))), token, b"%d" % life]
    for space, digits in zip(part.spaces, part.digits, strict=True):
        known = space.known[part.bucket]
        keys.append(space.tokens[part.bucket])
        keys += [bucket.lease(each.encode()) for each in digits]
        arguments += (space.name, b"" if known is None else known[0], b"%d" % len(digits))
    return ScriptCall(part.bucket, keys, arguments)


def note_leases(part: Part, result: Sequence[Any], left: list[float]) -> list[int]:
    """Note what a call returned.

    Args:
        part: the keys that it took leases of.
        result: what it returned.
        left: for each key that was asked for the seconds until it is free; changed in place.

    Returns:
        For each namespace whose tokens were not known the number of the bucket.
    """
    now = time.monotonic()
    entered = []
    at = 0
    for space, places in zip(part.spaces, part.places, strict=True):
        tokens, token_left = result[at : at + 2]
        known = space.known[part.bucket]
        if known is None or known[0] != tokens:
            entered.append(part.bucket)
        space.known[part.bucket] = tokens, now + token_left / 1000 if token_left >= 0 else math.inf
        at += 2
        for place, milliseconds in zip(places, result[at : at + len(places)], strict=True):
            left[place] = milliseconds / 1000
        at += len(places)
    return entered
