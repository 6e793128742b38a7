"""What is done differently by a cache without limits and one with them: writing, clearing, counting.

Without limits nothing is counted on the server, and a write is plain commands. Entries are stored under the tokens that
this process last saw, and the same round trip brings the current ones. Should they differ, a clear came between, and
the entries are stored again under those. A token is random and never comes back once it is gone: if it is current after
the entries were stored, it was so when they were.

With limits a script keeps the books: what there is, in which order it came, when it expires, what was read.
"""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes
from hitrate.stores.redis import scripts
from hitrate.stores.redis.names import Bucket, Names, digest_of
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.servers import Servers, Steps, any_error
from hitrate.stores.redis.surveying import count
from hitrate.stores.redis.wire import Request, ScriptCall, command, is_error, packed, refuse_error
from hitrate.stores.redis.writing import Batch, Group, WriteCommands, batches_for, bounded_arguments

_ROUNDS = 10
_NAMES_AT_ONCE = 5_000
_SEEN_AT_ONCE = 1_000
_SEEN_AT_MOST = 10_000
_NO_LIMIT = 1 << 53


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
        self._clock = clock
        self._sweep = sweep
        self.evictions = 0
        self.expirations = 0

    def write(self, changes: Changes) -> Steps[int]:
        """Apply changes; return how many keys were removed."""
        batches = list(batches_for(self._names, changes, (self._clock or time.time)(), self._largest()))
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

    def clear(self, namespaces: Sequence[bytes] | None) -> Steps[None]:
        """Take the tokens away: what carries them is of the past at once. The sweeper removes it from the server."""
        # The mark alone may be refused, by a server that is out of memory.
        mark = os.urandom(8).hex().encode()
        if namespaces is None:
            requests = [
                Request(
                    number, packed([b"UNLINK", *self._all_tokens(bucket)]) + command(b"SET", bucket.sweeping, mark), 2
                )
                for number, bucket in enumerate(self._names.buckets)
            ]
        else:
            digests = list(dict.fromkeys(map(digest_of, namespaces)))
            tokens = [
                (number, [bucket.namespace(digest) for digest in digests[start : start + _NAMES_AT_ONCE]])
                for number, bucket in enumerate(self._names.buckets)
                for start in range(0, len(digests), _NAMES_AT_ONCE)
            ]
            yield from self._remove_tokens(tokens)
            requests = [Request(number, _marking(bucket, mark)) for number, bucket in enumerate(self._names.buckets)]
        for replies in (yield from self._servers.replies(requests)):
            if namespaces is None:
                refuse_error(replies[0])
        self._sweep()

    def _all_tokens(self, bucket: Bucket) -> list[bytes]:
        """Return the names of what a clear of everything takes away in a bucket."""
        return [bucket.everything]

    @abstractmethod
    def _remove_tokens(self, tokens: Sequence[tuple[int, list[bytes]]]) -> Steps[None]:
        """Take away the tokens of namespaces, given with the number of their bucket."""

    def _clock_argument(self) -> bytes:
        """Return the time by our own clock as the scripts take it."""
        return b"" if self._clock is None else b"%r" % self._clock()

    def _entry_name(self, key: EncodedKey) -> tuple[int, bytes]:
        """Return the number of a key's bucket and its name on the server."""
        digits = self._names[key[0]].digits(key[1])
        number = self._names.bucket_of(digits)
        return number, self._names.buckets[number].entry(digits)


def _marking(bucket: Bucket, mark: bytes) -> bytes:
    return command(b"SET", bucket.sweeping, mark)


class Unbounded(Holding):
    """Entries are held without limits."""

    def _write(self, batches: Sequence[Batch]) -> Steps[tuple[int, list[Batch]]]:
        unknown = [
            (batch, [group for group in batch.groups if group.stored and not group.take_known_tokens(batch.bucket)])
            for batch in batches
        ]
        if any(groups for _, groups in unknown):
            yield from self._keep_tokens([(batch, groups) for batch, groups in unknown if groups])
        results = yield from self._exchange(batches, whole=False)
        lacking = [place for place, result in enumerate(results) if any_error([result], "NOSCRIPT")]
        if lacking:  # the server was started anew, or is another
            again = yield from self._exchange([batches[place] for place in lacking], whole=True)
            for place, result in zip(lacking, again, strict=True):
                results[place] = result
        removed = 0
        stale = []
        for batch, result in zip(batches, results, strict=True):
            for each in result:
                refuse_error(each)
            sweeping, everything, *tokens = result[-1]
            if sweeping is not None:
                self._sweep()
            if any(group.removed for group in batch.groups):
                removed += result[-2]
            outdated = [
                group
                for group, token in zip(batch.groups, tokens, strict=True)
                if group.stored and group.tokens != (everything or b"") + (token or b"")
            ]
            for group in outdated:
                group.space.known[batch.bucket] = None
            if outdated:
                stale.append(batch.without_removals())
        return removed, stale

    def _keep_tokens(self, wanted: Sequence[tuple[Batch, list[Group]]]) -> Steps[None]:
        """Ask for the current tokens of namespaces, which are made if they are not there."""
        calls = []
        for batch, groups in wanted:
            everything = self._names.buckets[batch.bucket].everything
            calls.append(
                ScriptCall(
                    batch.bucket,
                    [everything, *(group.space.tokens[batch.bucket] for group in groups)],
                    [os.urandom(8 * (1 + len(groups))), *(b"%d" % group.longest() for group in groups)],
                )
            )
        results = yield from self._servers.call(scripts.KEEP, calls)
        now = time.monotonic()
        for (batch, groups), (everything, *kept) in zip(wanted, results, strict=True):
            for group, token, left in zip(groups, kept[::2], kept[1::2], strict=True):
                group.tokens = everything + token
                group.space.known[batch.bucket] = group.tokens, now + left / 1000 if left >= 0 else math.inf

    def _exchange(self, batches: Sequence[Batch], *, whole: bool) -> Steps[list[list[Any]]]:
        """Send the commands of batches; return the results of each, of a transaction those of its parts."""
        clock = self._clock_argument()
        requests = []
        for batch in batches:
            commands = WriteCommands(self._names.buckets[batch.bucket], batch, clock, whole=whole)
            requests.append(Request(batch.bucket, commands, commands.replies, commands.work))
        results = []
        for replies in (yield from self._servers.replies(requests)):
            if len(replies) > 2 and type(replies[-1]) is not list:
                refuse_error(any_error([replies]))  # what one part was refused for
            results.append(replies[-1] if len(replies) > 2 else replies)
        return results

    def note_expired(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        by_bucket: dict[int, list[bytes]] = {}
        for key in keys:
            number, name = self._entry_name(key)
            by_bucket.setdefault(number, []).append(name)
        calls = [ScriptCall(number, names, [self._clock_argument()]) for number, names in by_bucket.items()]
        for removed in (yield from self._servers.call(scripts.EXPIRE, calls)):
            self.expirations += removed

    def note_hits(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        return
        yield []

    def usage(self) -> Steps[tuple[int, int]]:
        return (yield from count(self._servers, self._names, self._clock))

    def _remove_tokens(self, tokens: Sequence[tuple[int, list[bytes]]]) -> Steps[None]:
        requests = [Request(number, packed([b"UNLINK", *names]), 1, len(names)) for number, names in tokens]
        for replies in (yield from self._servers.replies(requests)):
            refuse_error(replies[0])


class Bounded(Holding):
    """Entries are held within limits, in the one bucket that there is.

    Args:
        servers: where the server is.
        names: the names of the cache.
        clock: the cache's own clock; None if the server alone decides what has expired.
        sweep: called when there is something to sweep.
        max_entries: entries held at most, None for no limit.
        max_bytes: bytes held at most, None for no limit.
    """

    def __init__(
        self,
        servers: Servers,
        names: Names,
        clock: Callable[[], float] | None,
        sweep: Callable[[], None],
        max_entries: int | None,
        max_bytes: int | None,
    ) -> None:
        super().__init__(servers, names, clock, sweep)
        self._limits = max_entries, max_bytes
        self._bucket = names.buckets[0]
        self._seen: dict[bytes, None] = {}  # told to the server by the next writes

    def _largest(self) -> float:
        return self._limits[1] or math.inf

    def _write(self, batches: Sequence[Batch]) -> Steps[tuple[int, list[Batch]]]:
        bucket = self._bucket
        calls = []
        for batch in batches:
            for group in batch.groups:
                known = group.space.known[0]
                group.tokens = b"" if known is None else known[0]
            seen = [self._seen.popitem()[0] for _ in range(min(len(self._seen), _SEEN_AT_ONCE))]
            limits = [b"%d" % min(limit or _NO_LIMIT, _NO_LIMIT) for limit in self._limits]
            head = [os.urandom(8 * (1 + len(batch.groups))), self._clock_argument(), *limits, b"%d" % len(seen), *seen]
            keys, arguments = bounded_arguments(batch)
            calls.append(ScriptCall(0, [bucket.everything, bucket.sweeping, *bucket.index, *keys], head + arguments))
        removed = 0
        stale = []
        for batch, result in zip(batches, (yield from self._call(scripts.WRITE_BOUNDED, calls)), strict=True):
            if result and isinstance(result[0], bytes):  # the current tokens: nothing was written
                for group, tokens in zip(batch.groups, result, strict=True):
                    group.space.known[0] = (tokens, math.inf) if len(tokens) == 16 else None
                stale.append(batch)
                continue
            counted, sweeping, evicted, expired = result
            removed += counted
            self.expirations += expired
            self._count_evictions(evicted)
            if sweeping:
                self._sweep()
        return removed, stale

    def _call(self, script: Script, calls: Sequence[ScriptCall]) -> Steps[list[Any]]:
        """Call a script; should it stumble over books that another has written in, begin them anew."""
        try:
            return (yield from self._servers.call(script, calls))
        except StoreError as error:
            if not is_error(error.__cause__, "WRONGTYPE", "ERR"):
                raise
            log.warning("the bookkeeping of the cache on Redis is damaged, and begins anew: %s", error)
        yield from self._servers.replies([Request(0, packed([b"UNLINK", *self._all_tokens(self._bucket)]))])
        return (yield from self._servers.call(script, calls))

    def _count_evictions(self, evicted: int) -> None:
        if evicted and self.evictions == 0:
            prefix = self._names.prefix.decode("utf-8", "replace")
            log.warning(
                "the cache %r on Redis is full (max_entries=%s, max_bytes=%s) and evicts from now on",
                *(prefix, *self._limits),
            )
        self.evictions += evicted

    def note_expired(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        return  # the next write removes it
        yield []

    def note_hits(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        for key in keys:
            self._seen[self._entry_name(key)[1]] = None
        if len(self._seen) > _SEEN_AT_MOST:  # nothing is written here that would take them along
            yield from self._write([Batch(0, [])])

    def usage(self) -> Steps[tuple[int, int]]:
        call = ScriptCall(0, [self._bucket.everything, *self._bucket.index], [self._clock_argument()])
        ((entries, size, expired),) = yield from self._call(scripts.USAGE_BOUNDED, [call])
        self.expirations += expired
        return entries, size

    def _all_tokens(self, bucket: Bucket) -> list[bytes]:
        return [bucket.everything, *bucket.index]

    def _remove_tokens(self, tokens: Sequence[tuple[int, list[bytes]]]) -> Steps[None]:
        calls = [ScriptCall(number, [*self._bucket.index, *names], []) for number, names in tokens]
        yield from self._call(scripts.CLEAR_BOUNDED, calls)
