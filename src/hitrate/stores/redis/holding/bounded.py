"""A cache with limits: scripts keep the books.

They hold what there is, in which order it came, when it expires, and what was read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.redis import scripts
from hitrate.stores.redis.holding.base import Holding
from hitrate.stores.redis.names import Bucket, Names
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.servers import Servers, Steps
from hitrate.stores.redis.wire import ScriptCall, is_error
from hitrate.stores.redis.writing import Batch, script_arguments

_SEEN_AT_ONCE = 1_000
_SEEN_AT_MOST = 10_000
_NO_LIMIT = 1 << 53


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
        removed, _, again = yield from self._write_or_settle(batches)
        return removed, again

    def _settle(self, batches: Sequence[Batch], token: bytes) -> Steps[tuple[list[bytes], list[Batch]]]:
        _, lost, again = yield from self._write_or_settle(batches, token)
        return lost, again

    def _write_or_settle(
        self, batches: Sequence[Batch], token: bytes = b""
    ) -> Steps[tuple[int, list[bytes], list[Batch]]]:
        """Write batches, under the leases of a token if one is given.

        Returns:
            How many entries were removed, the names of what was not leased to the token, and what is to be written
            again under other tokens.
        """
        bucket = self._bucket
        calls = []
        for batch in batches:
            for group in batch.groups:
                known = group.space.known[0]
                group.tokens = b"" if known is None else known[0]
            seen = [self._seen.popitem()[0] for _ in range(min(len(self._seen), _SEEN_AT_ONCE))]
            limits = [b"%d" % min(limit or _NO_LIMIT, _NO_LIMIT) for limit in self._limits]
            head = [os.urandom(8 * (1 + len(batch.groups))), self._clock_argument(), *limits, token]
            keys, arguments = script_arguments(bucket, batch, settles=bool(token))
            begun = [bucket.everything, bucket.register, bucket.sweeping, *bucket.index]
            calls.append(ScriptCall(0, begun + keys, [*head, b"%d" % len(seen), *seen, *arguments]))
        removed = 0
        not_leased: list[bytes] = []
        again: list[Batch] = []
        entered = 0
        for batch, result in zip(batches, (yield from self._call(scripts.WRITE_BOUNDED, calls)), strict=True):
            if result and isinstance(result[0], bytes):  # the current tokens: nothing was written
                for group, tokens in zip(batch.groups, result, strict=True):
                    entered += group.tokens != tokens and bool(group.stored)
                    group.space.known[0] = (tokens, math.inf) if len(tokens) == 16 else None
                again.append(batch)
                continue
            counted, sweeping, evicted, expired, lost = result
            removed += counted
            self.expirations += expired
            self._count_evictions(evicted)
            if sweeping:
                self._sweep()
            if lost:
                names = [name for group in batch.groups for name in group.names()]
                not_leased += [names[place - 1] for place in lost]
        if entered:
            yield from self._register.entered([0] * entered)
        return removed, not_leased, again

    def _call(self, script: Script, calls: Sequence[ScriptCall]) -> Steps[list[Any]]:
        """Call a script; should it stumble over books that another has written in, begin them anew."""
        try:
            return (yield from self._servers.call(script, calls))
        except StoreError as error:
            if not is_error(error.__cause__, "WRONGTYPE", "ERR"):
                raise
            log.warning("the bookkeeping of the cache on Redis is damaged, and begins anew: %s", error)
        yield from self._clear_buckets([0])
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

    def _leasing(self) -> tuple[Script, list[bytes]]:
        return scripts.LEASE_BOUNDED, self._bucket.index

    def _clearing(self) -> Script:
        return scripts.CLEAR_BOUNDED

    def _index(self, bucket: Bucket) -> list[bytes]:
        return bucket.index
