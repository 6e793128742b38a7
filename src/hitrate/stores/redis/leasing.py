"""Leases on the server: a name for each, beside that of its entry, that lives as long as the lease.

A lease carries the tokens under which it was taken, as entries do, and so ends with a clear, too. A caller that settles
stores only the results whose leases are still its own.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Changes
from hitrate.stores.redis import scripts
from hitrate.stores.redis.batches import Batch, batches_for
from hitrate.stores.redis.expiry import LONGEST
from hitrate.stores.redis.format import pack
from hitrate.stores.redis.names import Names
from hitrate.stores.redis.reading import BucketKeys, steps_of
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import ScriptCall, script_call
from hitrate.stores.redis.writing import ROUNDS

_LEASES_AT_ONCE = 5_000
"""Leases that one step of the server settles."""


def lease(op: Operation, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[list[float]]:
    """Take leases; return for each key 0.0, or the seconds until another's ends."""
    if not keys:
        return []
    steps = steps_of(op.names, keys)
    life = math.ceil(min(max(seconds * 1000, 1), LONGEST))
    calls = [_lease_call(op, parts, token, life) for parts in steps]
    left: dict[EncodedKey, float] = {}
    yield from op.register.tidy(op)  # before: a caller that is cancelled after the leases were granted would keep them
    for parts, result in zip(steps, (yield from op.call(scripts.LEASE, calls)), strict=True):
        replies = iter(result)
        for bucket, space, _, its_keys in parts:
            tokens, token_left = next(replies), next(replies)
            if space.known_tokens(bucket) != tokens:
                op.register.entered([bucket])
            space.note(bucket, tokens, token_left)
            left |= {key: next(replies) / 1000 for key in its_keys}
    return [left[key] for key in keys]


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
    for batch in batches:
        for group in batch.groups:
            group.tokens = group.space.known_tokens(batch.bucket)
    calls = [_settle_call(op.names, batch, token) for batch in batches]
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


def _lease_call(op: Operation, parts: Sequence[BucketKeys], token: bytes, life: int) -> ScriptCall:
    """Return the call that takes the leases of parts of one bucket, for so many milliseconds."""
    number = parts[0].bucket
    bucket = op.names.buckets[number]
    names = [bucket.everything, bucket.register]
    arguments = [os.urandom(8 * (1 + len(parts))), token, b"%d" % life]
    for _, space, _, keys in parts:
        names += (space.tokens[number], *(bucket.lease(space.digits(key).encode()) for _, key in keys))
        arguments += (space.name, space.known_tokens(number), b"%d" % len(keys))
    own = [key for part in parts for key in part.keys]
    return ScriptCall(number, names, arguments, [partial(_ending, op.names, own, token)])


def _ending(names: Names, keys: Sequence[EncodedKey], token: bytes) -> bytes:
    """Return the command that ends the leases of keys of one bucket.

    The script is sent whole: nobody reads the reply that says that the server does not know it.
    """
    (batch,) = batches_for(names, dict.fromkeys(keys), 0.0)
    call = _settle_call(names, batch, token)
    return script_call(scripts.SETTLE, call.keys, call.arguments, whole=True)


def _settle_call(names: Names, batch: Batch, token: bytes) -> ScriptCall:
    """Return the call that settles a batch under the tokens of its groups."""
    bucket = names.buckets[batch.bucket]
    keys, arguments = [bucket.everything], [token]
    for group in batch.groups:
        keys.append(group.space.tokens[batch.bucket])
        for name in group.names():
            keys += (name, bucket.lease(name))
        arguments += (group.tokens, b"%d" % len(group.names()), b"%d" % group.longest())
        for _, ttl, key, entry in group.stored:
            arguments += (b"%d" % ttl, b"".join(pack(entry, group.tokens, group.space.digest, key)))
        arguments += (b"-3", b"") * len(group.removed)
        arguments += (b"-2", b"") * len(group.dropped)
    return ScriptCall(batch.bucket, keys, arguments)
