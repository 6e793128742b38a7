"""What is written, divided into batches: by bucket, by namespace in each, and a bounded number of entries."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xxhash import xxh3_128_hexdigest

from hitrate.entry import Entry
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.redis.expiry import milliseconds_until
from hitrate.stores.redis.names import Names, ServerNamespace

ENTRIES_AT_ONCE = 250_000
"""Entries in one step of the server at most, and so in a batch that is stored whole or not at all."""


Stored = tuple[bytes, int, bytes, Entry]
"""An entry that is stored: its name, its TTL in milliseconds (0 for ever), its encoded key, the entry."""


@dataclass(slots=True, eq=False)
class Group:
    """What is written of one namespace in one bucket.

    Attributes:
        space: the namespace.
        stored: what is stored.
        removed: the names of what is removed.
        dropped: the names of what has expired before it is stored; it is removed, so that no older value stays, and
            not counted.
        tokens: the tokens it is stored under.
    """

    space: ServerNamespace
    stored: list[Stored] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)
    dropped: list[bytes] = field(default_factory=list)
    tokens: bytes = b""

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
    """What is written at once.

    Attributes:
        bucket: the number of the bucket.
        groups: what is written there, by namespace.
        whole: whether scripts are sent whole, to a server that lacks them.
    """

    bucket: int
    groups: list[Group]
    whole: bool = False

    def without_removals(self) -> Batch:
        """Return what is stored of it, to store it again."""
        for group in self.groups:
            group.removed = []
            group.dropped = []
        return self._replace(groups=[group for group in self.groups if group.stored])


def batches_for(names: Names, changes: Changes, now: float, most: int = ENTRIES_AT_ONCE) -> Iterator[Batch]:
    """Divide changes into batches: by bucket, and so many entries in each at most; now is by the expiries' clock."""
    items: Sequence[tuple[EncodedKey, Entry | None]] = list(changes.items())
    for start in range(0, len(items), most):
        yield from _batches_for(names, items[start : start + most], now)


def _batches_for(names: Names, items: Iterable[tuple[EncodedKey, Entry | None]], now: float) -> Iterator[Batch]:
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
        else:
            group.stored.append((name, ttl, key, entry))
    for number, groups in by_bucket.items():
        yield Batch(number, list(groups.values()))
