"""Looks through a server for the entries of this cache, in short steps and without patterns: to count, list or sweep.

A server tells of no entry that it lets expire or evicts, so nothing keeps a count. The entries are looked at instead:
all of them in a small database, a sample of a large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hitrate.plans import Plan
from hitrate.stores.redis.format import HEADER_LENGTH, OVERHEAD, Header, header_of
from hitrate.stores.redis.nodes import Node
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import command, is_error

COUNTED_EXACTLY = 20_000
"""Keys of a database that are looked at for a count; beyond, the count is an estimate from that many."""

_STEP = 250


class SurveyedEntry(NamedTuple):
    """An entry that was looked at.

    Attributes:
        bucket: the number of its bucket.
        name: its name.
        token: the name of the token of its namespace.
        size: the bytes it takes.
        is_current: whether it is of now, and not of before a clear.
        header: of its value.
        beginning: the first bytes of its value.
    """

    bucket: int
    name: bytes
    token: bytes
    size: int
    is_current: bool
    header: Header
    beginning: bytes


def look(
    op: Operation, node: Node, cursor: bytes, beginning: int = HEADER_LENGTH
) -> Plan[tuple[bytes, int, list[SurveyedEntry]]]:
    """Look at the next keys of a server, from where the step before ended, and at the beginnings of their values.

    Returns:
        Where the next step begins, b"0" if this was the last; how many keys of the database were passed; and the
        entries of this cache among them.
    """
    cursor, keys = (yield from op.ask(node, command(b"SCAN", cursor, b"COUNT", b"%d" % _STEP), 1, _STEP))[0]
    own = [(bucket, name) for name in dict.fromkeys(keys) if (bucket := op.names.bucket_of_entry(name)) is not None]
    return cursor, len(keys), (yield from _look_at(op, node, own, beginning)) if own else []


def _look_at(op: Operation, node: Node, own: Sequence[tuple[int, bytes]], beginning: int) -> Plan[list[SurveyedEntry]]:
    """Look at entries, given as the number of the bucket and the name; return those that are there."""
    last = b"%d" % (beginning - 1)
    asked = b"".join([command(b"GETRANGE", name, b"0", last) + command(b"STRLEN", name) for _, name in own])
    replies = yield from op.ask(node, asked, 2 * len(own), 2 * len(own))
    known = []
    by_bucket: dict[int, dict[bytes, None]] = {}
    for (number, name), value, length in zip(own, replies[::2], replies[1::2], strict=True):
        header = header_of(value)
        if header is not None:  # still there, and ours
            bucket = op.names.buckets[number]
            token = bucket.namespace(header.namespace)
            by_bucket.setdefault(number, {bucket.everything: None})[token] = None
            known.append((number, name, bucket.everything, token, length, header, value))
    if not by_bucket:
        return []
    asked = b"".join([command(b"MGET", *tokens) for tokens in by_bucket.values()])
    replies = yield from op.ask(node, asked, len(by_bucket), len(known))
    current: dict[bytes, bytes | None] = {}
    for tokens, values in zip(by_bucket.values(), replies, strict=True):
        if not is_error(values):  # else the bucket has moved to another node
            current.update(zip(tokens, values, strict=True))
    return [
        SurveyedEntry(
            number,
            name,
            token,
            len(name) + length + OVERHEAD,
            header.tokens == (current[everything] or b"") + (current[token] or b""),
            header,
            value,
        )
        for number, name, everything, token, length, header, value in known
        if everything in current
    ]


def count(op: Operation) -> Plan[tuple[int, int]]:
    """Return how many entries a cache has, and how many bytes they take."""
    clock = op.clock.own
    entries = size = 0.0
    for node in (yield from op.servers.locate(op)):
        cursor, passed = b"0", 0
        sizes: dict[bytes, int] = {}  # a key may be passed twice
        now = clock() if clock is not None else 0.0
        while True:
            cursor, keys, seen = yield from look(op, node, cursor)
            passed += keys
            sizes |= {each.name: each.size for each in seen if each.is_current and each.header.expiry > now}
            if cursor == b"0":
                share = 1.0
                break
            if passed >= COUNTED_EXACTLY:
                share = max(1.0, (yield from op.ask(node, command(b"DBSIZE"), 1, 1))[0] / passed)
                break
        entries += len(sizes) * share
        size += sum(sizes.values()) * share
    return round(entries), round(size)
