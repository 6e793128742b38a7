"""Leases on the server: a name for each, beside that of its entry, that lives as long as the lease.

A lease carries the tokens under which it was taken, as entries do: a clear ends it by taking them away. Who settles
stores only what is still its own.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Changes
from hitrate.stores.redis import scripts
from hitrate.stores.redis.batches import Batch, batches_for
from hitrate.stores.redis.format import pack
from hitrate.stores.redis.names import Bucket
from hitrate.stores.redis.operation import Operation
from hitrate.stores.redis.reading import Part, parts_of
from hitrate.stores.redis.wire import ScriptCall, script_call
from hitrate.stores.redis.writing import ROUNDS

_LEASES_AT_ONCE = 5_000
"""Leases that one step of the server settles."""

_LONGEST = 10**15


def lease(op: Operation, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[list[float]]:
    """Take leases; return for each key 0.0, or the seconds until another's ends."""
    if not keys:
        return []
    parts = list(parts_of(op.names, keys))
    life = math.ceil(min(max(seconds * 1000, 1), _LONGEST))
    calls = [_lease_call(op.names.buckets[part.bucket], part, token, life) for part in parts]
    left = [0.0] * len(keys)
    yield from op.register.tidy(op)  # before: a caller that is cancelled after the leases were granted would keep them
    for part, result in zip(parts, (yield from op.call(scripts.LEASE, calls)), strict=True):
        op.register.entered(_note_leases(part, result, left))
    return left


def settle(op: Operation, results: Changes, token: bytes) -> Plan[list[EncodedKey]]:
    """Store what was computed under leases; return the keys that were no longer leased to the token."""
    if not results:
        return []
    batches = list(batches_for(op.names, results, op.clock.now(), _LEASES_AT_ONCE))
    lost: set[bytes] = set()
    for _ in range(ROUNDS):
        names, batches = yield from _settle(op, batches, token)
        lost.update(names)
        if not batches:
            return [key for key in results if op.names.entry(key)[1] in lost] if lost else []
    raise StoreError("the cache was cleared again and again while this was written")


def _settle(op: Operation, batches: Sequence[Batch], token: bytes) -> Plan[tuple[list[bytes], list[Batch]]]:
    """Store batches; return the names of what was not leased, and what is to be stored again under other tokens."""
    calls = []
    for batch in batches:
        for group in batch.groups:
            known = group.space.known[batch.bucket]
            group.tokens = b"" if known is None else known[0]
        bucket = op.names.buckets[batch.bucket]
        keys, arguments = _settle_arguments(bucket, batch)
        calls.append(ScriptCall(batch.bucket, [bucket.everything, *keys], [token, *arguments]))
    lost: list[bytes] = []
    again = []
    for batch, result in zip(batches, (yield from op.call(scripts.SETTLE, calls)), strict=True):
        outdated = []
        for group, each in zip(batch.groups, result, strict=True):
            if isinstance(each, bytes):  # the current tokens
                group.space.known[batch.bucket] = each, 0.0
                outdated.append(group)
            elif each:
                names = group.names()
                lost += [names[place - 1] for place in each]
        if outdated:
            again.append(batch._replace(groups=outdated))
    return lost, again


def _lease_call(bucket: Bucket, part: Part, token: bytes, life: int) -> ScriptCall:
    """Return the call that takes the leases of a part.

    Args:
        bucket: its bucket.
        part: the keys.
        token: of the holder.
        life: milliseconds.
    """
    keys = [bucket.everything, bucket.register]
    arguments = [os.urandom(8 * (1 + len(part.spaces))), token, b"%d" % life]
    for space, digits in zip(part.spaces, part.digits, strict=True):
        known = space.known[part.bucket]
        keys.append(space.tokens[part.bucket])
        keys += [bucket.lease(each.encode()) for each in digits]
        arguments += (space.name, b"" if known is None else known[0], b"%d" % len(digits))
    return ScriptCall(part.bucket, keys, arguments, [partial(_ending, bucket, part, token)])


def _ending(bucket: Bucket, part: Part, token: bytes) -> bytes:
    """Return the command that ends the leases of a part, whole: nobody would hear that the script is not known."""
    keys, arguments = [bucket.everything], [token]
    for space, digits in zip(part.spaces, part.digits, strict=True):
        keys.append(space.tokens[part.bucket])
        for each in digits:
            name = bucket.entry(each)
            keys += (name, bucket.lease(name))
        arguments += (b"", b"%d" % len(digits), b"-1", *(b"-3", b"") * len(digits))
    return script_call(scripts.SETTLE, keys, arguments, whole=True)


def _note_leases(part: Part, result: Sequence[Any], left: list[float]) -> list[int]:
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


def _settle_arguments(bucket: Bucket, batch: Batch) -> tuple[list[bytes], list[bytes]]:
    """Return the names and the arguments of a batch for the script that settles, under the tokens of its groups."""
    keys: list[bytes] = []
    arguments: list[bytes] = []
    for group in batch.groups:
        space = group.space
        keys.append(space.tokens[batch.bucket])
        for name in group.names():
            keys += (name, bucket.lease(name))
        arguments += (group.tokens, b"%d" % len(group.names()), b"%d" % group.longest())
        for _, ttl, key, entry in group.stored:
            arguments += (b"%d" % ttl, b"".join(pack(entry, group.tokens, space.digest, key)))
        arguments += (b"-3", b"") * len(group.removed)
        arguments += (b"-2", b"") * len(group.dropped)
    return keys, arguments
