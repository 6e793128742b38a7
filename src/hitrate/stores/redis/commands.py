"""The commands of a write as they go over the wire: plain ones, and no script unless something is removed.

After them the same round trip asks for the mark to sweep and for the current tokens.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from hitrate.entry import Entry
from hitrate.stores.redis.batches import Batch
from hitrate.stores.redis.expiry import milliseconds_until
from hitrate.stores.redis.format import pack
from hitrate.stores.redis.names import Bucket, ServerNamespace, asking_for
from hitrate.stores.redis.scripts import REMOVE
from hitrate.stores.redis.wire import command, script_call

_PARTS_AT_ONCE = 6 * 24
_MULTI = command(b"MULTI")
_EXEC = command(b"EXEC")


class WriteCommands:
    """The commands that write a batch and then ask for the mark to sweep and the current tokens.

    Iterating packs them part by part.

    Args:
        bucket: the bucket.
        batch: what is to be written, under the tokens of its groups.
        clock: the time by a clock of our own; empty if there is none.
        msetex: whether entries of one TTL are stored by one command, which servers have from Valkey 9.1 and Redis 8.4
            on, in the place of a transaction of a command for each.

    Attributes:
        replies: how many replies come back: of one command and of the question, or of a transaction.
        work: how many entries are written.
    """

    def __init__(self, bucket: Bucket, batch: Batch, clock: bytes, *, msetex: bool) -> None:
        self._bucket = bucket
        self._batch = batch
        self._clock = clock
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
            yield command(b"UNLINK", *(name for group in groups for name in group.dropped))
        if self._removes:
            keys, counts = [self._bucket.everything], [self._clock]
            for group in groups:
                if group.removed:
                    keys.append(group.space.tokens[self._batch.bucket])
                    for name in group.removed:
                        keys += (name, self._bucket.lease(name))
                    counts.append(b"%d" % len(group.removed))
            yield script_call(REMOVE, keys, counts, whole=self._batch.whole)

    def _question(self) -> bytes:
        spaces = [group.space for group in self._batch.groups]
        if len(spaces) == 1:
            return spaces[0].asking(self._bucket, self._batch.bucket)
        return asking_for(self._bucket, self._batch.bucket, spaces)


def write_one(
    bucket: Bucket, space: ServerNamespace, key: bytes, entry: Entry, known: tuple[bytes, float], now: float
) -> bytes | None:
    """Return the commands that write one entry in the only bucket under the tokens known; None if it takes more."""
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
