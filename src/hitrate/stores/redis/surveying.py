"""Looking through a server for what is this cache's, in short steps and without patterns: to count it, to clean up.

A server tells of no entry that it lets expire or evicts, so nothing keeps a count. The entries are looked at instead:
all of them in a small database, a sample of a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hitrate.errors import StoreError
from hitrate.stores.redis.format import HEADER_LENGTH, OVERHEAD, expiry_in, namespace_in, tokens_in
from hitrate.stores.redis.names import Names
from hitrate.stores.redis.nodes import Node, Send
from hitrate.stores.redis.servers import Servers, Steps
from hitrate.stores.redis.wire import command, is_error, packed, refuse_error

COUNTED_EXACTLY = 20_000
"""Keys of a database that are looked at for a count; beyond, the count is an estimate from that many."""

_STEP = 250


class Seen(NamedTuple):
    """An entry that was looked at.

    Attributes:
        bucket: the number of its bucket.
        name: its name.
        token: the name of the token of its namespace.
        size: the bytes it takes.
        is_current: whether it is of now, and not of before a clear.
        expiry: seconds since the epoch by its writer's clock, inf for never.
        beginning: the first bytes of its value.
    """

    bucket: int
    name: bytes
    token: bytes
    size: int
    is_current: bool
    expiry: float
    beginning: bytes


class Step(NamedTuple):
    """What one step of looking through a server brought.

    Attributes:
        cursor: where the next step begins; b"0" if this was the last.
        keys: how many keys of the database were passed.
        seen: the entries of this cache among them.
    """

    cursor: bytes
    keys: int
    seen: list[Seen]


def look(node: Node, cursor: bytes, names: Names, beginning: int = HEADER_LENGTH) -> Steps[Step]:
    """Look at the next keys of a server.

    Args:
        node: the server.
        cursor: where the step before ended.
        names: those of the cache.
        beginning: how many bytes of each value to read.

    Raises:
        StoreError: the server did not answer, or refused.
    """
    cursor, keys = (yield from ask(node, command(b"SCAN", cursor, b"COUNT", b"%d" % _STEP), 1, _STEP))[0]
    own = [(bucket, name) for name in dict.fromkeys(keys) if (bucket := names.bucket_of_entry(name)) is not None]
    return Step(cursor, len(keys), (yield from _look_at(node, names, own, beginning)) if own else [])


def _look_at(node: Node, names: Names, own: Sequence[tuple[int, bytes]], beginning: int) -> Steps[list[Seen]]:
    """Look at entries, given as the number of the bucket and the name; return those that are there."""
    last = b"%d" % (beginning - 1)
    asked = b"".join([command(b"GETRANGE", name, b"0", last) + command(b"STRLEN", name) for _, name in own])
    replies = yield from ask(node, asked, 2 * len(own), 2 * len(own))
    known = []
    for (bucket, name), header, length in zip(own, replies[::2], replies[1::2], strict=True):
        digest = namespace_in(header) if isinstance(header, bytes) else None
        if digest is not None:  # still there, and ours
            known.append((bucket, name, names.buckets[bucket].namespace(digest), header, length))
    by_bucket: dict[int, dict[bytes, None]] = {}
    for bucket, _, token, _, _ in known:
        by_bucket.setdefault(bucket, {names.buckets[bucket].everything: None})[token] = None
    if not by_bucket:
        return []
    asked = b"".join([packed([b"MGET", *tokens]) for tokens in by_bucket.values()])
    replies = yield from ask(node, asked, len(by_bucket), len(known))
    current: dict[bytes, bytes | None] = {}
    for tokens, values in zip(by_bucket.values(), replies, strict=True):
        if not is_error(values):  # else the bucket has moved to another node
            current.update(zip(tokens, values, strict=True))
    return [
        Seen(
            bucket,
            name,
            token,
            len(name) + length + OVERHEAD,
            tokens_in(header) == (current[names.buckets[bucket].everything] or b"") + (current[token] or b""),
            expiry_in(header),
            header,
        )
        for bucket, name, token, header, length in known
        if names.buckets[bucket].everything in current
    ]


class Count(NamedTuple):
    """How many entries a cache has, and how many bytes they take."""

    entries: int
    bytes: int


def count(servers: Servers, names: Names, clock: Callable[[], float] | None) -> Steps[Count]:
    """Count the entries of a cache.

    Args:
        servers: where they are.
        names: which are its own.
        clock: what they expire by; None if by the server alone.

    Raises:
        StoreError: a server did not answer, or refused.
    """
    entries = size = 0.0
    for node in (yield from servers.locate()):
        cursor, passed = b"0", 0
        sizes: dict[bytes, int] = {}  # a key may be passed twice
        now = clock() if clock is not None else 0.0
        while True:
            cursor, keys, seen = yield from look(node, cursor, names)
            passed += keys
            sizes |= {each.name: each.size for each in seen if each.is_current and each.expiry > now}
            if cursor == b"0":
                share = 1.0
                break
            if passed >= COUNTED_EXACTLY:
                share = max(1.0, (yield from ask(node, command(b"DBSIZE"), 1, 1))[0] / passed)
                break
        entries += len(sizes) * share
        size += sum(sizes.values()) * share
    return Count(round(entries), round(size))


def ask(node: Node, asked: bytes, replies: int, work: int) -> Steps[list[Any]]:
    """Return a server's replies to commands.

    Raises:
        StoreError: it did not answer, or refused the only command.
    """
    (answer,) = yield [Send(node, asked, replies, work)]
    if isinstance(answer, StoreError):
        raise answer
    if replies == 1:
        refuse_error(answer[0])
    return answer
