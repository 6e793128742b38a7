"""What is common to all ways of holding entries: writing in rounds, leases, clearing."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hitrate.clock import is_replaced, wall_clock
from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.redis.leasing import LEASES_AT_ONCE, lease_call, milliseconds_of, note_leases
from hitrate.stores.redis.names import Bucket, Names, digest_of
from hitrate.stores.redis.reading import parts_of
from hitrate.stores.redis.register import PAGE, Register
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.servers import Servers, Steps
from hitrate.stores.redis.wire import Request, ScriptCall, command, packed, refuse_error
from hitrate.stores.redis.writing import Batch, batches_for

_ROUNDS = 10


class Holding(ABC):
    """How entries are held on the server.

    Args:
        servers: where the server is.
        names: the names of the cache.
        clock: the cache's own clock; None if the server alone decides what has expired.
        sweep: called when there is something to sweep.

    Attributes:
        evictions: entries removed for room by this process.
        expirations: expired entries removed by this process.
    """

    def __init__(
        self, servers: Servers, names: Names, clock: Callable[[], float] | None, sweep: Callable[[], None]
    ) -> None:
        self._servers = servers
        self._names = names
        self._given_clock = clock
        self._sweep = sweep
        self._register = Register(servers, names)
        self.evictions = 0
        self.expirations = 0

    def write(self, changes: Changes) -> Steps[int]:
        """Apply changes; return how many keys were removed."""
        batches = list(batches_for(self._names, changes, (self._clock or wall_clock)(), self._largest()))
        removed = 0
        for _ in range(_ROUNDS):
            counted, batches = yield from self._write(batches)
            removed += counted
            if not batches:
                return removed
        raise StoreError("the cache was cleared again and again while this was written")

    def _largest(self) -> float:
        """Return the bytes that an entry may take."""
        return math.inf

    @abstractmethod
    def _write(self, batches: Sequence[Batch]) -> Steps[tuple[int, list[Batch]]]:
        """Write batches; return how many entries were removed, and what is to be written again under other tokens."""

    @abstractmethod
    def note_expired(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        """Take away what a read found to have expired by a clock of our own."""

    @abstractmethod
    def note_hits(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        """Note what was read."""

    @abstractmethod
    def usage(self) -> Steps[tuple[int, int]]:
        """Return how many entries there are, and how many bytes they take."""

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Steps[list[float]]:
        """Take leases; return for each key 0.0, or the seconds until another's ends."""
        parts = list(parts_of(self._names, keys))
        life = milliseconds_of(seconds)
        script, index = self._leasing()
        calls = [lease_call(self._names.buckets[part.bucket], part, index, token, life) for part in parts]
        left = [0.0] * len(keys)
        entered: list[int] = []
        for part, result in zip(parts, (yield from self._call(script, calls)), strict=True):
            entered += note_leases(part, result, left)
        if entered:
            yield from self._register.entered(entered)
        return left

    @abstractmethod
    def _leasing(self) -> tuple[Script, list[bytes]]:
        """Return the script that takes leases, and the names of the bookkeeping that it needs."""

    def settle(self, results: Changes, token: bytes) -> Steps[list[EncodedKey]]:
        """Store what was computed under leases; return the keys that were no longer leased to the token."""
        now = (self._clock or wall_clock)()
        batches = list(batches_for(self._names, results, now, self._largest(), LEASES_AT_ONCE))
        lost: set[bytes] = set()
        for _ in range(_ROUNDS):
            names, batches = yield from self._settle(batches, token)
            lost.update(names)
            if not batches:
                return [key for key in results if self._entry_name(key)[1] in lost] if lost else []
        raise StoreError("the cache was cleared again and again while this was written")

    @abstractmethod
    def _settle(self, batches: Sequence[Batch], token: bytes) -> Steps[tuple[list[bytes], list[Batch]]]:
        """Store batches; return the names of what was not leased, and what is to be stored again under other tokens."""

    # Clearing: the tokens are taken away, and what carries them is of the past at once. The sweeper removes it. Only
    # its mark may be refused, by a server that is out of memory.

    def clear(self, namespaces: Sequence[bytes] | None) -> Steps[None]:
        """Clear namespaces, or all for None."""
        if namespaces is None:
            yield from self._clear_buckets(range(len(self._names.buckets)))
            self._sweep()
        else:
            names = {digest_of(name): name for name in namespaces}
            yield from self._clear_namespaces(
                [
                    (number, {bucket.namespace(digest): name for digest, name in names.items()})
                    for number, bucket in enumerate(self._names.buckets)
                ]
            )
            yield from self._mark()

    def clear_under(self, prefix: bytes) -> Steps[None]:
        """Clear the namespaces whose encoding begins with a prefix, a page of the register after the other."""
        after: dict[int, bytes | None] = dict.fromkeys(range(len(self._names.buckets)))
        cleared = False
        while after:
            pages = yield from self._register.pages(prefix, after)
            after = {number: page[-1] for number, page in pages.items() if page and len(page) == PAGE}
            lost = [number for number, page in pages.items() if page is None]
            if lost:
                log.warning("Redis lost which namespaces there are: more is cleared than what is under the prefix")
                yield from self._clear_buckets(lost)
            tokens = [
                (number, {self._names.buckets[number].namespace(digest_of(name)): name for name in page})
                for number, page in pages.items()
                if page
            ]
            if tokens:
                yield from self._clear_namespaces(tokens)
            cleared = cleared or bool(lost or tokens)
        if cleared:
            yield from self._mark()

    def _clear_buckets(self, numbers: Iterable[int]) -> Steps[None]:
        """Clear all that is in some buckets, and leave a mark there."""
        requests = []
        mark = _new_mark()
        for number in numbers:
            bucket = self._names.buckets[number]
            names = [bucket.everything, bucket.register, *self._index(bucket)]
            marking = command(b"SET", bucket.sweeping, mark)
            requests.append(Request(number, packed([b"UNLINK", *names]) + marking, 2))
        for replies in (yield from self._servers.replies(requests)):
            refuse_error(replies[0])

    def _clear_namespaces(self, tokens: Sequence[tuple[int, dict[bytes, bytes]]]) -> Steps[None]:
        """Clear namespaces.

        Args:
            tokens: numbers of buckets, each with the names of tokens and the encodings of their namespaces.
        """
        calls = []
        script = self._clearing()
        for number, names in tokens:
            bucket = self._names.buckets[number]
            items = list(names.items())
            for start in range(0, len(items), PAGE):
                page = items[start : start + PAGE]
                keys = [bucket.register, *self._index(bucket), *(token for token, _ in page)]
                calls.append(ScriptCall(number, keys, [name for _, name in page]))
        yield from self._call(script, calls)

    @abstractmethod
    def _clearing(self) -> Script:
        """Return the script that clears namespaces."""

    def _index(self, bucket: Bucket) -> list[bytes]:
        """Return the names of the bookkeeping in a bucket."""
        return []

    def _mark(self) -> Steps[None]:
        """Leave marks that there is something to sweep, and have it swept."""
        mark = _new_mark()
        yield from self._servers.replies(
            [
                Request(number, command(b"SET", bucket.sweeping, mark))
                for number, bucket in enumerate(self._names.buckets)
            ]
        )
        self._sweep()

    def _call(self, script: Script, calls: Sequence[ScriptCall]) -> Steps[list[Any]]:
        """Call a script for each bucket; return its results."""
        return self._servers.call(script, calls)

    @property
    def _clock(self) -> Callable[[], float] | None:
        return wall_clock if self._given_clock is None and is_replaced() else self._given_clock

    def _clock_argument(self) -> bytes:
        """Return the time by our own clock as the scripts take it."""
        return b"" if self._clock is None else b"%r" % self._clock()

    def _entry_name(self, key: EncodedKey) -> tuple[int, bytes]:
        """Return the number of a key's bucket and its name on the server."""
        digits = self._names[key[0]].digits(key[1])
        number = self._names.bucket_of(digits)
        return number, self._names.buckets[number].entry(digits)


def _new_mark() -> bytes:
    return os.urandom(8).hex().encode()
