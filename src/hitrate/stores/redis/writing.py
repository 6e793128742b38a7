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

from xxhash import xxh3_128_hexdigest

from hitrate.entry import Entry
from hitrate.failsafe import log
from hitrate.keys import EncodedKey, spelled
from hitrate.stores.base import Changes
from hitrate.stores.redis.names import Bucket, Names, Space, asking_for
from hitrate.stores.redis.scripts import REMOVE
from hitrate.stores.redis.values import pack, size_of
from hitrate.stores.redis.wire import packed, script_call

ENTRIES_AT_ONCE = 250_000
"""Entries in one step of the server at most, and so in a batch that is stored whole or not at all."""

_PARTS_AT_ONCE = 6 * 24

_LONGEST = 10**15
"""Milliseconds that a TTL has at most, beyond which it is for ever: the server would not take much more."""


Stored = tuple[bytes, int, bytes, Entry]
"""An entry that is stored: its name, its TTL in milliseconds (0 for ever), its encoded key, the entry."""


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

    def names(self) -> list[bytes]:
        """Return the names of all entries, in the order in which scripts are given them."""
        return [name for name, _, _, _ in self.stored] + self.removed + self.dropped

    def longest(self) -> int:
        """Return the longest TTL in milliseconds, 0 for ever, -1 if nothing is stored."""
        ttls = {ttl for _, ttl, _, _ in self.stored}
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


def batches_for(
    names: Names, changes: Changes, now: float, largest: float, most: int = ENTRIES_AT_ONCE
) -> Iterator[Batch]:
    """Divide changes into batches: by bucket, and a bounded number of entries in each.

    Args:
        names: the names of the cache.
        changes: what is to be written.
        now: the time in seconds since the epoch, by the clock of the expiries.
        largest: bytes that an entry may take; what is larger is not stored, and leaves no older value behind.
        most: entries in a batch.
    """
    items: Sequence[tuple[EncodedKey, Entry | None]] = list(changes.items())
    for start in range(0, len(items), most):
        yield from _batches_for(names, items[start : start + most], now, largest)


def _batches_for(
    names: Names, items: Iterable[tuple[EncodedKey, Entry | None]], now: float, largest: float
) -> Iterator[Batch]:
    buckets = names.buckets
    one_bucket = len(buckets) == 1
    bases = [f"{bucket.base.decode('latin-1')}e" for bucket in buckets]
    by_bucket: dict[int, dict[bytes, Group]] = {}
    expiry: float | None = None
    ttl = 0
    for (namespace, key), entry in items:
        space = names[namespace]
        digits = xxh3_128_hexdigest(key, space.seed)
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
        if entry[2] != expiry:  # most batches have one
            expiry = entry[2]
            ttl = milliseconds_until(expiry, now)
        if ttl < 0:
            group.dropped.append(name)
        elif largest != math.inf and (size := size_of(name, entry, key)) > largest:
            line = "the value of %s takes %s bytes, more than max_bytes=%s; not stored"
            log.warning(line, spelled(namespace, key), size, largest)
            group.dropped.append(name)
        else:
            group.stored.append((name, ttl, key, entry))
    for number, groups in by_bucket.items():
        yield Batch(number, list(groups.values()))


class WriteCommands:
    """The commands that write a batch and then ask for the mark to sweep and the current tokens.

    Iterating packs them part by part.

    Args:
        bucket: the bucket.
        batch: what is to be written, under the tokens of its groups.
        clock: the time by a clock of our own; empty if there is none.
        whole: whether a script is sent whole, to a server that lacks it.
        msetex: whether entries of one TTL are stored by one command, which servers have from Valkey 9.1 and Redis 8.4
            on, in the place of a transaction of a command for each.

    Attributes:
        replies: how many replies come back: of one command and of the question, or of a transaction.
        work: how many entries are written.
    """

    def __init__(self, bucket: Bucket, batch: Batch, clock: bytes, *, whole: bool, msetex: bool) -> None:
        self._bucket = bucket
        self._batch = batch
        self._clock = clock
        self._whole = whole
        groups = batch.groups
        ttls = [ttl for group in groups for _, ttl, _, _ in group.stored]
        self._shared_ttl = ttls[0] if msetex and len(ttls) > 1 and ttls.count(ttls[0]) == len(ttls) else 0
        self._together = ttls.count(self._shared_ttl)  # stored by one command
        self._removes = any(group.removed for group in groups)
        self._drops = any(group.dropped for group in groups)
        commands = len(ttls) - self._together + (self._together > 0) + self._removes + self._drops
        self.replies = 2 if commands == 1 else commands + 3
        self.work = len(ttls) + sum(len(group.removed) for group in groups)

    def __iter__(self) -> Iterator[bytes]:
        parts: list[bytes] = [] if self.replies == 2 else [_MULTI]
        together, shared_ttl = self._together, self._shared_ttl
        if shared_ttl:
            count = b"%d" % together
            parts.append(b"*%d\r\n$6\r\nMSETEX\r\n$%d\r\n%b\r\n" % (4 + 2 * together, len(count), count))
        elif together == 1:
            parts.append(b"*3\r\n$3\r\nSET\r\n")
        elif together:
            parts.append(b"*%d\r\n$4\r\nMSET\r\n" % (1 + 2 * together))
        name_head = b"$%d\r\n" % (len(self._bucket.base) + 33)
        for group in self._batch.groups:
            tokens, digest = group.tokens, group.space.digest
            for name, ttl, key, entry in group.stored:
                if ttl == shared_ttl:
                    checksum, checked = pack(entry, tokens, digest, key)
                    parts += (name_head, name, b"\r\n$%d\r\n" % (8 + len(checked)), checksum, checked, b"\r\n")
                    if len(parts) > _PARTS_AT_ONCE:
                        yield b"".join(parts)
                        parts = []
        if shared_ttl:
            life = b"%d" % shared_ttl
            parts.append(b"$2\r\nPX\r\n$%d\r\n%b\r\n" % (len(life), life))
        for group in self._batch.groups:
            tokens, digest = group.tokens, group.space.digest
            for name, ttl, key, entry in group.stored:
                if ttl != shared_ttl:
                    life = b"%d" % ttl
                    checksum, checked = pack(entry, tokens, digest, key)
                    named = b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b" % (len(name), name, 8 + len(checked), checksum)
                    parts += (named, checked, b"\r\n$2\r\nPX\r\n$%d\r\n%b\r\n" % (len(life), life))
                    if len(parts) > _PARTS_AT_ONCE:
                        yield b"".join(parts)
                        parts = []
        parts += self._removals()
        parts.append(self._question())
        if self.replies > 2:
            parts.append(_EXEC)
        yield b"".join(parts)

    def _removals(self) -> Iterator[bytes]:
        groups = self._batch.groups
        if self._drops:
            yield packed([b"UNLINK", *(name for group in groups for name in group.dropped)])
        if self._removes:
            keys, counts = [self._bucket.everything], [self._clock]
            for group in groups:
                if group.removed:
                    keys.append(group.space.tokens[self._batch.bucket])
                    for name in group.removed:
                        keys += (name, self._bucket.lease(name))
                    counts.append(b"%d" % len(group.removed))
            yield script_call(REMOVE, keys, counts, whole=self._whole)

    def _question(self) -> bytes:
        spaces = [group.space for group in self._batch.groups]
        if len(spaces) == 1:
            return spaces[0].asking(self._bucket, self._batch.bucket)
        return asking_for(self._bucket, self._batch.bucket, spaces)


def write_one(
    bucket: Bucket, space: Space, key: bytes, entry: Entry, known: tuple[bytes, float], now: float
) -> bytes | None:
    """Return the commands that write one entry in the only bucket; None if it takes more than that.

    Args:
        bucket: the bucket.
        space: the namespace.
        key: the encoded key.
        entry: the entry.
        known: the tokens that this process last saw, and until when they live.
        now: the time in seconds since the epoch, by the clock of the expiry.
    """
    tokens, until = known
    ttl = 0 if entry[2] is None else milliseconds_until(entry[2], now)
    if ttl < 0 or (until != math.inf and (ttl == 0 or time.monotonic() + ttl / 1000 >= until)):
        return None
    digits = space.digits(key).encode()
    checksum, checked = pack(entry, tokens, space.digest, key)
    name_length, length = len(bucket.base) + 33, 8 + len(checked)
    life = b"" if ttl == 0 else b"$2\r\nPX\r\n$%d\r\n%d\r\n" % (len(str(ttl)), ttl)
    head = b"*%d\r\n$3\r\nSET\r\n$%d\r\n%be%b\r\n$%d\r\n" % (5 if ttl else 3, name_length, bucket.base, digits, length)
    return b"".join((head, checksum, checked, b"\r\n", life, space.asking(bucket, 0)))


_MULTI = packed([b"MULTI"])
_EXEC = packed([b"EXEC"])


def script_arguments(bucket: Bucket, batch: Batch, *, settles: bool) -> tuple[list[bytes], list[bytes]]:
    """Return the names and the arguments of a batch for a script that writes it.

    Args:
        bucket: the bucket.
        batch: what is to be written, under the tokens of its groups.
        settles: whether it is stored under leases, and what would be removed stays as it is.
    """
    keys: list[bytes] = []
    arguments: list[bytes] = []
    for group in batch.groups:
        space = group.space
        keys.append(space.tokens[batch.bucket])
        entries = group.names()
        leases = len(entries) if settles else len(group.removed)
        counts = (len(entries), len(entries) + leases, group.longest())
        arguments += (space.name, group.tokens, *(b"%d" % count for count in counts))
        for name, ttl, key, entry in group.stored:
            keys += (name, bucket.lease(name)) if settles else (name,)
            arguments += (b"%d" % ttl, b"".join(pack(entry, group.tokens, space.digest, key)))
        for name in group.removed:
            keys += (name, bucket.lease(name))
            arguments += (b"-3" if settles else b"-1", b"")
        for name in group.dropped:
            keys += (name, bucket.lease(name)) if settles else (name,)
            arguments += (b"-2", b"")
    return keys, arguments
