"""Clearing: tokens are removed, so that entries written under them are misses; housekeeping removes these later.

A server that is out of memory clears, too. It may refuse nothing but the mark that says that there is something to
sweep.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from hitrate.failsafe import log
from hitrate.plans import Plan
from hitrate.stores.redis import scripts
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.names import digest_of
from hitrate.stores.redis.register import PAGE
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import ScriptCall, command, refuse_error


def clear(op: Operation, namespaces: Sequence[bytes] | None) -> Plan[None]:
    """Clear namespaces, or all for None."""
    if namespaces is None:
        yield from _clear_buckets(op, range(len(op.names.buckets)))
        op.sweep()
    else:
        names = {digest_of(name): name for name in namespaces}
        yield from _clear_namespaces(
            op,
            [
                (number, {bucket.namespace(digest): name for digest, name in names.items()})
                for number, bucket in enumerate(op.names.buckets)
            ],
        )
        yield from _mark(op)


def clear_under(op: Operation, prefix: bytes) -> Plan[None]:
    """Clear the namespaces whose encoding begins with a prefix, a page of the register after the other."""
    after: dict[int, bytes | None] = dict.fromkeys(range(len(op.names.buckets)))
    cleared = False
    while after:
        pages = yield from op.register.pages(op, prefix, after)
        after = {number: page[-1] for number, page in pages.items() if page and len(page) == PAGE}
        lost = [number for number, page in pages.items() if page is None]
        if lost:
            log.warning("Redis lost which namespaces there are: more is cleared than what is under the prefix")
            yield from _clear_buckets(op, lost)
        tokens = [
            (number, {op.names.buckets[number].namespace(digest_of(name)): name for name in page})
            for number, page in pages.items()
            if page
        ]
        if tokens:
            yield from _clear_namespaces(op, tokens)
        cleared = cleared or bool(lost or tokens)
    if cleared:
        yield from _mark(op)


def _clear_buckets(op: Operation, numbers: Iterable[int]) -> Plan[None]:
    """Clear all that is in some buckets, and leave a mark there."""
    requests = []
    mark = _new_mark()
    for number in numbers:
        bucket = op.names.buckets[number]
        names = [bucket.everything, bucket.register, *bucket.books]
        marking = command(b"SET", bucket.sweeping, mark)
        requests.append(Request(command(b"UNLINK", *names) + marking, 2, bucket=number))
    for replies in (yield from op.replies(requests)):
        refuse_error(replies[0])


def _clear_namespaces(op: Operation, tokens: Sequence[tuple[int, dict[bytes, bytes]]]) -> Plan[None]:
    """Clear namespaces: for numbers of buckets, their tokens there, each with the encoding of its namespace."""
    calls = []
    for number, names in tokens:
        bucket = op.names.buckets[number]
        items = list(names.items())
        for start in range(0, len(items), PAGE):
            page = items[start : start + PAGE]
            keys = [bucket.register, *(token for token, _ in page)]
            calls.append(ScriptCall(number, keys, [name for _, name in page]))
    yield from op.call(scripts.CLEAR, calls)


def _mark(op: Operation) -> Plan[None]:
    """Leave marks that there is something to sweep, and have it swept."""
    mark = _new_mark()
    yield from op.replies(
        [
            Request(command(b"SET", bucket.sweeping, mark), bucket=number)
            for number, bucket in enumerate(op.names.buckets)
        ]
    )
    op.sweep()


def _new_mark() -> bytes:
    return os.urandom(8).hex().encode()
