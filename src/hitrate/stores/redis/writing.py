"""Writes: one script for a bucket takes the current tokens and stores under them, in one step of the server."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hitrate.entry import Entry
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.redis.names import Names, digits_of
from hitrate.stores.redis.values import TOKENS_LENGTH, OVERHEAD, pack

ENTRIES_AT_ONCE = 250_000
"""Entries in one script at most, and so in a batch that is stored whole or not at all: a server takes a million arguments."""

_LONGEST = 10**15
"""Milliseconds that a TTL has at most, beyond which it is for ever: the server would not take much more."""

FOR_EVER = b"0"
REMOVED = b"-1"
REMOVED_UNCOUNTED = b"-2"


def size_of(name: bytes, value: bytes) -> int:
    """Return the bytes that an entry is counted as, from its value without its tokens."""
    return len(name) + TOKENS_LENGTH + len(value) + OVERHEAD


class ScriptCall(NamedTuple):
    """A call of a script.

    Attributes:
        bucket: the number of the bucket whose names it uses.
        keys: the names.
        arguments: the arguments.
    """

    bucket: int
    keys: list[bytes]
    arguments: list[bytes]


def milliseconds_until(expiry: float | None, now: float) -> int:
    """Return the TTL that the server is given: 0 for ever, -1 for what has expired."""
    if expiry is None:
        return 0
    left = (expiry - now) * 1000
    if left <= 0:
        return -1
    return 0 if left > _LONGEST else math.ceil(left)


def calls_for(names: Names, changes: Changes, now: float, largest: float = math.inf) -> Iterator[ScriptCall]:
    """Turn changes into calls of a script: by bucket, and a bounded number of entries in each.

    The arguments begin with the new tokens; what the script needs beyond that is put in by the caller.

    Args:
        names: the names of the cache.
        changes: what is to be written.
        now: the time in seconds since the epoch, by the clock of the expiries.
        largest: bytes that an entry may take; what is larger is not stored, and leaves no older value behind.
    """
    if len(changes) <= ENTRIES_AT_ONCE:
        yield from _calls_for(names, changes.items(), now, largest)
        return
    items = list(changes.items())
    for start in range(0, len(items), ENTRIES_AT_ONCE):
        yield from _calls_for(names, items[start : start + ENTRIES_AT_ONCE], now, largest)


class _Group:
    """What is written of one namespace in one bucket."""

    __slots__ = ("arguments", "entries", "longest")

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.arguments: list[bytes] = []
        self.longest = -1


def _calls_for(
    names: Names, items: Iterable[tuple[EncodedKey, Entry | None]], now: float, largest: float
) -> Iterator[ScriptCall]:
    buckets = names.buckets
    one_bucket = len(buckets) == 1
    calls: dict[int, dict[bytes, _Group]] = {}
    for (name, key), entry in items:
        space = names[name]
        digits = digits_of(space, key)
        number = 0 if one_bucket else names.bucket_of(digits)
        group = calls.setdefault(number, {}).get(name)
        if group is None:
            group = calls[number][name] = _Group()
        group.entries.append(buckets[number].entry(digits))
        if entry is None:
            group.arguments += (REMOVED, b"")
            continue
        ttl = milliseconds_until(entry[2], now)
        if ttl < 0:
            group.arguments += (REMOVED_UNCOUNTED, b"")
            continue
        value = pack(entry, space.digest, key)
        size = size_of(group.entries[-1], value)
        if size > largest:
            log.warning("the value of key %r takes %s bytes, more than max_bytes=%s; not stored", key, size, largest)
            group.arguments += (REMOVED_UNCOUNTED, b"")
            continue
        if group.longest < 0 or (ttl and group.longest):
            group.longest = max(group.longest, ttl)
        elif not ttl:
            group.longest = 0
        group.arguments += (b"%d" % ttl, value)
    for number, groups in calls.items():
        bucket = buckets[number]
        keys = [bucket.everything, bucket.sweeping]
        arguments = [os.urandom(8 * (1 + len(groups)))]
        for name, group in groups.items():
            keys.append(names[name].tokens[number])
            keys += group.entries
            arguments += (b"%d" % len(group.entries), b"%d" % group.longest)
            arguments += group.arguments
        yield ScriptCall(number, keys, arguments)
