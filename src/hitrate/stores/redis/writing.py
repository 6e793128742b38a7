"""Writes: entries are stored under the tokens that this process last saw, and the same round trip brings the current
ones. Should they differ, a clear came between, and the entries are stored again under those.

So a write takes plain commands and no script. A token is random and never comes back once it is gone: if it is current
after the entries were stored, it was so when they were.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hitrate.entry import Entry
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.redis.names import Bucket, Names, Space, digits_of
from hitrate.stores.redis.scripts import REMOVE
from hitrate.stores.redis.values import pack, size_of
from hitrate.stores.redis.wire import packed, script_call

ENTRIES_AT_ONCE = 100_000
"""Entries in one step of the server at most, and so in a batch that is stored whole or not at all."""

_LONGEST = 10**15
"""Milliseconds that a TTL has at most, beyond which it is for ever: the server would not take much more."""


class Stored(NamedTuple):
    """An entry that is stored.

    Attributes:
        name: its name on the server.
        ttl: milliseconds, 0 for ever.
        key: its encoded key.
        entry: the entry.
    """

    name: bytes
    ttl: int
    key: bytes
    entry: Entry


class Group:
    """What is written of one namespace in one bucket.

    Attributes:
        space: the namespace.
        stored: what is stored.
        removed: the names of what is removed.
        dropped: the names of what is removed and not counted: it cannot be stored, and no older value is to stay.
        tokens: the tokens it is stored under.
    """

    __slots__ = ("dropped", "removed", "space", "stored", "tokens")

    def __init__(self, space: Space) -> None:
        self.space = space
        self.stored: list[Stored] = []
        self.removed: list[bytes] = []
        self.dropped: list[bytes] = []
        self.tokens = b""

    def longest(self) -> int:
        """Return the longest TTL in milliseconds, 0 for ever, -1 if nothing is stored."""
        ttls = [each.ttl for each in self.stored]
        return (0 if 0 in ttls else max(ttls)) if ttls else -1

    def take_known_tokens(self, bucket: int) -> bool:
        """Take the tokens that this process last saw; tell whether there are any, and they live long enough."""
        known = self.space.known[bucket]
        if known is None:
            return False
        self.tokens, until = known
        if until == math.inf:
            return True
        longest = self.longest()
        return longest != 0 and time.monotonic() + longest / 1000 < until


class Batch(NamedTuple):
    """What is written in one bucket at once.

    Attributes:
        bucket: the number of the bucket.
        groups: by namespace.
    """

    bucket: int
    groups: list[Group]

    def without_removals(self) -> Batch:
        """Return what is stored of it, to store it again."""
        for group in self.groups:
            group.removed = []
            group.dropped = []
        return self._replace(groups=[group for group in self.groups if group.stored])


def milliseconds_until(expiry: float | None, now: float) -> int:
    """Return the TTL that the server is given: 0 for ever, -1 for what has expired."""
    if expiry is None:
        return 0
    left = (expiry - now) * 1000
    if left <= 0:
        return -1
    return 0 if left > _LONGEST else math.ceil(left)


def batches_for(names: Names, changes: Changes, now: float, largest: float) -> Iterator[Batch]:
    """Divide changes into batches: by bucket, and a bounded number of entries in each.

    Args:
        names: the names of the cache.
        changes: what is to be written.
        now: the time in seconds since the epoch, by the clock of the expiries.
        largest: bytes that an entry may take; what is larger is not stored, and leaves no older value behind.
    """
    items: Sequence[tuple[EncodedKey, Entry | None]] = list(changes.items())
    for start in range(0, len(items), ENTRIES_AT_ONCE):
        yield from _batches_for(names, items[start : start + ENTRIES_AT_ONCE], now, largest)


def _batches_for(
    names: Names, items: Iterable[tuple[EncodedKey, Entry | None]], now: float, largest: float
) -> Iterator[Batch]:
    buckets = names.buckets
    one_bucket = len(buckets) == 1
    bases = [f"{bucket.base.decode('latin-1')}e" for bucket in buckets]
    by_bucket: dict[int, dict[bytes, Group]] = {}
    for (namespace, key), entry in items:
        space = names[namespace]
        digits = digits_of(space, key)
        number = 0 if one_bucket else names.bucket_of(digits)
        name = (bases[number] + digits).encode("latin-1")
        groups = by_bucket.get(number)
        if groups is None:
            groups = by_bucket[number] = {}
        group = groups.get(namespace)
        if group is None:
            group = groups[namespace] = Group(space)
        if entry is None:
            group.removed.append(name)
            continue
        ttl = milliseconds_until(entry[2], now)
        if ttl < 0:
            group.dropped.append(name)
        elif largest != math.inf and (size := size_of(name, entry, key)) > largest:
            log.warning("the value of key %r takes %s bytes, more than max_bytes=%s; not stored", key, size, largest)
            group.dropped.append(name)
        else:
            group.stored.append(Stored(name, ttl, key, entry))
    for number, groups in by_bucket.items():
        yield Batch(number, list(groups.values()))


class Commands(NamedTuple):
    """The commands that write a batch.

    Attributes:
        packed: as they go over the wire.
        replies: how many replies come back.
        counts_removals: whether the last but one result is the number of removed entries.
    """

    packed: bytes
    replies: int
    counts_removals: bool


def commands_for(bucket: Bucket, batch: Batch, clock: bytes, *, whole: bool) -> Commands:
    """Return the commands that write a batch and then ask for the mark to sweep and the current tokens.

    Args:
        bucket: the bucket.
        batch: what is to be written, under the tokens of its groups.
        clock: the time by a clock of our own; empty if there is none.
        whole: whether a script is sent whole, to a server that lacks it.
    """
    number = batch.bucket
    for_ever: list[bytes] = []
    writes: list[bytes] = []
    dropped: list[bytes] = []
    removed: list[bytes] = []
    counts: list[bytes] = []
    asked = [b"MGET", bucket.sweeping, bucket.everything]
    for group in batch.groups:
        tokens, digest = group.tokens, group.space.digest
        for name, ttl, key, entry in group.stored:
            value = pack(entry, tokens, digest, key)
            if ttl:
                life = b"%d" % ttl
                writes.append(
                    b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%b\r\n"
                    % (len(name), name, len(value), value, len(life), life)
                )
            else:
                for_ever.append(b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, len(value), value))
        asked.append(group.space.tokens[number])
        dropped += group.dropped
        if group.removed:
            removed.append(group.space.tokens[number])
            removed += group.removed
            counts.append(b"%d" % len(group.removed))
    if len(for_ever) == 1:
        writes.append(b"*3\r\n$3\r\nSET\r\n%b" % for_ever[0])
    elif for_ever:
        writes.append(b"*%d\r\n$4\r\nMSET\r\n%b" % (1 + 2 * len(for_ever), b"".join(for_ever)))
    if dropped:
        writes.append(packed([b"UNLINK", *dropped]))
    if removed:
        writes.append(script_call(REMOVE, [bucket.everything, *removed], [clock, *counts], whole=whole))
    if len(writes) > 1:
        writes = [_MULTI, *writes, packed(asked), _EXEC]
    else:
        writes.append(packed(asked))
    return Commands(b"".join(writes), len(writes), bool(removed))


_MULTI = packed([b"MULTI"])
_EXEC = packed([b"EXEC"])


def bounded_arguments(batch: Batch) -> tuple[list[bytes], list[bytes]]:
    """Return the names and the arguments of a batch for the script that writes to a bounded cache."""
    keys: list[bytes] = []
    arguments: list[bytes] = []
    for group in batch.groups:
        keys.append(group.space.tokens[batch.bucket])
        count = len(group.stored) + len(group.removed) + len(group.dropped)
        arguments += (group.tokens, b"%d" % count, b"%d" % group.longest())
        for name, ttl, key, entry in group.stored:
            keys.append(name)
            arguments += (b"%d" % ttl, pack(entry, group.tokens, group.space.digest, key))
        for names, how in ((group.removed, b"-1"), (group.dropped, b"-2")):
            for name in names:
                keys.append(name)
                arguments += (how, b"")
    return keys, arguments
