"""Entries on a Redis or Valkey server, or a cluster of them.

What is to be done is written once, as generators that yield what to send and are sent the answers; the two faces differ
in how they exchange the one for the other.
"""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from hitrate.breaker import BreakerState
from hitrate.errors import StoreError
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.base import Changes, Found, Store, Usage, check_limit
from hitrate.stores.redis import scripts
from hitrate.stores.redis.clients import target_of
from hitrate.stores.redis.cluster import Cluster, OneServer, Steps
from hitrate.stores.redis.gathering import Gathering
from hitrate.stores.redis.lanes import Answer, PerLoop
from hitrate.stores.redis.names import Names, Space, digest_of, digits_of
from hitrate.stores.redis.nodes import Node, Send, aexchange, exchange
from hitrate.stores.redis.reading import KEYS_AT_ONCE, found_in, only_error, parts_of, request_for, tell_time_left
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.surveying import count
from hitrate.stores.redis.sweeping import Sweeper
from hitrate.stores.redis.values import unpack
from hitrate.stores.redis.wire import Request, ScriptCall, command, is_error, packed, refuse_error, script_call
from hitrate.stores.redis.writing import Batch, Group, WriteCommands, batches_for, bounded_arguments, write_one

T = TypeVar("T")

_NAMES_AT_ONCE = 5_000
_ROUNDS = 10
_SEEN_AT_ONCE = 1_000
_SEEN_AT_MOST = 10_000


class RedisStore(Store):
    """Keeps entries on a Redis or Valkey server, or spread over a cluster.

    Args:
        client: a URL, or a client of redis-py or valkey-py, sync or async: of a server, a cluster, or a Sentinel's.
        prefix: what the names of this cache begin with.
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        timeout: seconds that a call may take; one of more than 10,000 keys takes as many times as long.
        connect_timeout: seconds to connect in.
        clock: returns the seconds since the epoch, for a cache that is to expire by it and not by the server alone.
        time_left: whether the expiry of what is read is made from the time left by the server, at the cost of one more
            command a key; without it, it is what the writer's clock said.
    """

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "hitrate:",
        max_bytes: int | None = None,
        max_entries: int | None = None,
        timeout: float = 2.0,
        connect_timeout: float = 1.0,
        clock: Callable[[], float] | None = None,
        time_left: bool = False,
    ) -> None:
        check_limit("max_bytes", max_bytes)
        check_limit("max_entries", max_entries)
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is a str, not {prefix!r} of type {type(prefix).__name__}")
        for name, seconds in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e6:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
        target = target_of(client, timeout=timeout, connect_timeout=connect_timeout)
        self._bounded = max_bytes is not None or max_entries is not None
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._limits = [b"%d" % min(limit or 1 << 53, 1 << 53) for limit in (max_entries, max_bytes)]
        # What has a limit is counted in one place, and lies in one slot of a cluster.
        spread = target.connect is None and not self._bounded
        self._names = Names(prefix.encode("utf-8", "surrogatepass"), spread=spread)
        self._servers: OneServer | Cluster
        if target.connect is None:
            self._servers = Cluster(target, self._names.buckets, timeout)
        else:
            self._servers = OneServer(target, timeout)
        self._clock = clock
        self._only: Node | None = None  # where the usual calls go, with less ado
        if isinstance(self._servers, OneServer) and not self._bounded and not time_left:
            self._only = self._servers.node
        self._now = clock or time.time
        self._time_left = time_left
        self._gathered: PerLoop[Gathering] = PerLoop(lambda loop: Gathering(loop, self))
        self._seen: dict[bytes, None] = {}
        self._sweeper = Sweeper(self._run, self._servers, self._names, self._call_script)
        self._evictions = 0
        self._expirations = 0
        _stores.add(self)

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker; of a cluster's nodes the worst."""
        return self._servers.state

    # The two faces

    def _run(self, steps: Steps[T]) -> T:
        try:
            sends = next(steps)
            while True:
                sends = steps.send(exchange(sends))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _arun(self, steps: Steps[T]) -> T:
        try:
            sends = next(steps)
            while True:
                sends = steps.send(await aexchange(sends))
        except StopIteration as end:
            result: T = end.value
            return result

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        space = self._usual(keys)
        if space is not None and self._only is not None:
            request = space.read(self._names.buckets[0], keys)
            found = self.found(keys, self._only.call(Send(self._only, request, 1, len(keys))))
            if found is not None:
                return found
        return self._run(self._read(keys))

    def _usual(self, keys: Sequence[EncodedKey]) -> Space | None:
        """Return the namespace of keys that are all of one and take one command to one server; otherwise None."""
        if self._only is None or not keys or len(keys) > KEYS_AT_ONCE:
            return None
        name = keys[0][0]
        if len(keys) > 1 and not all([other is name for other, _ in keys]):  # noqa: C419 - a list is twice as fast
            return None
        return self._names[name]

    def ask(self, keys: Sequence[EncodedKey], answer: Callable[[Answer], None]) -> bool:
        """Ask for keys on the running loop, if it takes one command to one server; as ``gathering.Reader``."""
        space = self._usual(keys)
        if space is None or self._only is None:
            return False
        request = space.read(self._names.buckets[0], keys)
        self._only.lane().call(request, 1, len(keys), answer, at_once=True)
        return True

    def found(self, keys: Sequence[EncodedKey], answer: Answer) -> list[Found] | None:
        """Return what the answer to the usual request holds; None if more is to be done; as ``gathering.Reader``."""
        if isinstance(answer, StoreError):
            raise answer
        (reply,) = answer
        if type(reply) is not list:
            return None
        tokens = (reply[0] or b"") + (reply[1] or b"")
        found: list[Found] = [
            None if value is None else unpack(value, tokens, key)
            for value, (_, key) in zip(reply[2:], keys)  # noqa: B905 - strict costs a tenth of it
        ]
        return found if self._clock is None or not self._expired(found, self._clock()) else None

    def aget(self, keys: Sequence[EncodedKey]) -> Awaitable[Sequence[Found]]:
        return self._gathered.get().read(keys)

    async def read(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Read keys, whatever it takes; as ``gathering.Reader``."""
        return await self._arun(self._read(keys))

    def _read(self, keys: Sequence[EncodedKey]) -> Steps[Sequence[Found]]:
        found: list[Found] = [None] * len(keys)
        if not keys:
            return found
        parts = list(parts_of(self._names, keys))
        answers = yield from self._servers.route(
            [request_for(self._names, part, time_left=self._time_left) for part in parts]
        )
        now = self._now()
        for part, answer in zip(parts, answers, strict=True):
            found_in(part, answer, keys, found)
            if self._time_left and not isinstance(answer, StoreError):
                tell_time_left(part, answer[1:], now, found)
        error = only_error(found)
        if error is not None:
            raise error
        if self._clock is not None or self._bounded:
            return (yield from self._after_read(keys, found))
        return found

    @staticmethod
    def _expired(found: Sequence[Found], now: float) -> list[int]:
        """Return the places of what has expired."""
        return [
            place
            for place, each in enumerate(found)
            if type(each) is tuple and (expiry := each[2]) is not None and expiry <= now
        ]

    def _after_read(self, keys: Sequence[EncodedKey], found: list[Found]) -> Steps[Sequence[Found]]:
        """Note what was read, and take away what has expired by a clock of our own."""
        if self._clock is not None:
            now = self._clock()
            expired = self._expired(found, now)
            for place in expired:
                found[place] = None
            if expired and not self._bounded:
                yield from self._expire([keys[place] for place in expired], now)
        hits = [place for place, each in enumerate(found) if type(each) is tuple]
        if self._bounded:
            seen = self._seen
            for place in hits:
                seen[self._entry_name(keys[place])[1]] = None
            if len(seen) > _SEEN_AT_MOST:  # nothing is written here that would take them along
                yield from self._write({})
        return found

    def _entry_name(self, key: EncodedKey) -> tuple[int, bytes]:
        """Return the number of a key's bucket and its name on the server."""
        digits = digits_of(self._names[key[0]], key[1])
        number = self._names.bucket_of(digits)
        return number, self._names.buckets[number].entry(digits)

    def _expire(self, keys: Sequence[EncodedKey], now: float) -> Steps[None]:
        by_bucket: dict[int, list[bytes]] = {}
        for key in keys:
            number, name = self._entry_name(key)
            by_bucket.setdefault(number, []).append(name)
        calls = [ScriptCall(number, names, [b"%r" % now]) for number, names in by_bucket.items()]
        for removed in (yield from self._call_script(scripts.EXPIRE, calls)):
            self._expirations += removed

    def usage(self) -> Usage:
        return self._run(self._usage())

    def _usage(self) -> Steps[Usage]:
        if self._bounded:
            bucket = self._names.buckets[0]
            call = ScriptCall(0, [bucket.everything, *bucket.index], [self._clock_bytes()])
            ((entries, size, expired),) = yield from self._call_script(scripts.USAGE_BOUNDED, [call])
            self._expirations += expired
        else:
            entries, size = yield from count(self._servers, self._names, self._clock)
        return Usage(entries, size, self._evictions, self._expirations)

    # Writing

    def write(self, changes: Changes) -> int:
        if len(changes) == 1 and self._only is not None:  # the usual write, with less ado
            (((name, key), entry),) = changes.items()
            space = self._names[name]
            if entry is not None and entry[2] is None and (known := space.known[0]) and known[1] == math.inf:
                request = write_one(self._names.buckets[0], space, key, entry, known[0])
                stored, current = self._only.call(Send(self._only, request, 2, 1))
                if stored == b"OK" and current == [None, known[0][:8], known[0][8:]]:
                    return 0
        return self._run(self._write(changes)) if changes else 0

    async def awrite(self, changes: Changes) -> int:
        return await self._arun(self._write(changes)) if changes else 0

    def _write(self, changes: Changes) -> Steps[int]:
        batches = list(batches_for(self._names, changes, self._now(), self._max_bytes))
        write = self._write_bounded if self._bounded else self._write_plain
        if self._bounded and not batches:
            batches = [Batch(0, [])]  # what was seen is to be told
        removed = 0
        for _ in range(_ROUNDS):
            counted, batches = yield from write(batches)
            removed += counted
            if not batches:
                return removed
        raise StoreError("the cache was cleared again and again while this was written")

    def _write_plain(self, batches: Sequence[Batch]) -> Steps[tuple[int, list[Batch]]]:
        """Write batches; return how many entries were removed, and what is to be written again under other tokens."""
        unknown = [
            (batch, [group for group in batch.groups if group.stored and not group.take_known_tokens(batch.bucket)])
            for batch in batches
        ]
        if any(groups for _, groups in unknown):
            yield from self._keep_tokens([(batch, groups) for batch, groups in unknown if groups])
        results = yield from self._exchange_writes(batches, whole=False)
        lacking = [place for place, result in enumerate(results) if any(is_error(each, "NOSCRIPT") for each in result)]
        if lacking:  # the server was started anew, or is another
            again = yield from self._exchange_writes([batches[place] for place in lacking], whole=True)
            for place, result in zip(lacking, again, strict=True):
                results[place] = result
        removed = 0
        stale = []
        for batch, result in zip(batches, results, strict=True):
            for each in result:
                refuse_error(each)
            sweeping, everything, *tokens = result[-1]
            if sweeping is not None:
                self._sweeper.request()
            if any(group.removed for group in batch.groups):
                removed += result[-2]
            for group, token in zip(batch.groups, tokens, strict=True):
                if group.stored and group.tokens != (everything or b"") + (token or b""):
                    group.space.known[batch.bucket] = None
                    if batch not in stale:
                        stale.append(batch)
        return removed, [batch.without_removals() for batch in stale]

    def _keep_tokens(self, wanted: Sequence[tuple[Batch, list[Group]]]) -> Steps[None]:
        """Ask for the current tokens of namespaces, which are made if they are not there."""
        calls = [
            ScriptCall(
                batch.bucket,
                [
                    self._names.buckets[batch.bucket].everything,
                    *(group.space.tokens[batch.bucket] for group in groups),
                ],
                [os.urandom(8 * (1 + len(groups))), *(b"%d" % group.longest() for group in groups)],
            )
            for batch, groups in wanted
        ]
        replies = yield from self._call_script(scripts.KEEP, calls)
        now = time.monotonic()
        for (batch, groups), (everything, *kept) in zip(wanted, replies, strict=True):
            for group, token, left in zip(groups, kept[::2], kept[1::2], strict=True):
                group.tokens = everything + token
                group.space.known[batch.bucket] = group.tokens, now + left / 1000 if left >= 0 else math.inf

    def _exchange_writes(self, batches: Sequence[Batch], *, whole: bool) -> Steps[list[list[Any]]]:
        """Send the commands of batches; return the results of each, of a transaction those of its parts."""
        clock = self._clock_bytes()
        requests = []
        for batch in batches:
            written = WriteCommands(self._names.buckets[batch.bucket], batch, clock, whole=whole)
            requests.append(Request(batch.bucket, written, written.replies, written.work))
        answers = yield from self._servers.route(requests)
        results = []
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
            if len(answer) > 2:
                if type(answer[-1]) is not list:  # what one part was refused for
                    for reply in answer:
                        refuse_error(reply)
                results.append(answer[-1])
            else:
                results.append(answer)
        return results

    def _write_bounded(self, batches: Sequence[Batch]) -> Steps[tuple[int, list[Batch]]]:
        """Do ``_write_plain`` for a cache with limits, whose entries are counted on the server."""
        bucket = self._names.buckets[0]
        calls = []
        for batch in batches:
            for group in batch.groups:
                known = group.space.known[0]
                group.tokens = b"" if known is None else known[0]
            seen = [self._seen.popitem()[0] for _ in range(min(len(self._seen), _SEEN_AT_ONCE))]
            keys, arguments = bounded_arguments(batch)
            new = os.urandom(8 * (1 + len(batch.groups)))
            head = [new, self._clock_bytes(), *self._limits, b"%d" % len(seen), *seen]
            calls.append(ScriptCall(0, [bucket.everything, bucket.sweeping, *bucket.index, *keys], head + arguments))
        removed = 0
        stale = []
        replies = yield from self._call_script(scripts.WRITE_BOUNDED, calls)
        for batch, reply in zip(batches, replies, strict=True):
            if reply and isinstance(reply[0], bytes):
                for group, tokens in zip(batch.groups, reply, strict=True):
                    group.space.known[0] = (tokens, math.inf) if len(tokens) == 16 else None
                stale.append(batch)
                continue
            removed += reply[0]
            if reply[1]:
                self._sweeper.request()
            self._count_evictions(reply[2])
            self._expirations += reply[3]
        return removed, stale

    def _clock_bytes(self) -> bytes:
        return b"" if self._clock is None else b"%r" % self._clock()

    def _count_evictions(self, evicted: int) -> None:
        if evicted and self._evictions == 0:
            log.warning(
                "the cache %r on %s is full (max_entries=%s, max_bytes=%s) and evicts from now on",
                *(self._names.prefix.decode("utf-8", "replace"), "Redis"),
                *(None if int(limit) == 1 << 53 else int(limit) for limit in self._limits),
            )
        self._evictions += evicted

    def _call_script(self, script: Script, calls: Sequence[ScriptCall]) -> Steps[list[Any]]:
        """Call a script for each bucket; return the replies.

        Raises:
            StoreError: one of the calls failed; the others were made.
        """
        requests = [
            Request(call.bucket, script_call(script, call.keys, call.arguments), 1, len(call.keys)) for call in calls
        ]
        answers = yield from self._servers.route(requests)
        unknown = [
            place
            for place, answer in enumerate(answers)
            if not isinstance(answer, StoreError) and is_error(answer[0], "NOSCRIPT")
        ]
        if unknown:  # the server was started anew, or is another
            whole = [
                Request(
                    calls[place].bucket,
                    script_call(script, calls[place].keys, calls[place].arguments, whole=True),
                    1,
                    len(calls[place].keys),
                )
                for place in unknown
            ]
            for place, answer in zip(unknown, (yield from self._servers.route(whole)), strict=True):
                answers[place] = answer
        replies = []
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
            refuse_error(answer[0])
            replies.append(answer[0])
        return replies

    # Clearing

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._run(self._clear(namespaces))

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._arun(self._clear(namespaces))

    def _clear(self, namespaces: Sequence[bytes] | None) -> Steps[None]:
        """Take the tokens away: what carries them is of the past at once. The sweeper removes it from the server."""
        requests: list[Request] = []
        calls: list[ScriptCall] = []
        mark = os.urandom(8).hex().encode()
        digests = [] if namespaces is None else list(dict.fromkeys(map(digest_of, namespaces)))
        for number, bucket in enumerate(self._names.buckets):
            marking = command(b"SET", bucket.sweeping, mark)
            if namespaces is None:
                index = bucket.index if self._bounded else []
                requests.append(Request(number, packed([b"UNLINK", bucket.everything, *index]) + marking, 2))
                continue
            tokens = [bucket.namespace(digest) for digest in digests]
            for start in range(0, len(tokens), _NAMES_AT_ONCE):
                some = tokens[start : start + _NAMES_AT_ONCE]
                if self._bounded:
                    calls.append(ScriptCall(number, [*bucket.index, *some], []))
                else:
                    requests.append(Request(number, packed([b"UNLINK", *some]) + marking, 2, len(some)))
        if calls:
            yield from self._call_script(scripts.CLEAR_BOUNDED, calls)
            requests.append(Request(0, command(b"SET", self._names.buckets[0].sweeping, mark), 1))
        answers = yield from self._servers.route(requests)
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
            if len(answer) == 2:  # the mark alone may be refused, by a server that is out of memory
                refuse_error(answer[0])
        self._sweeper.request()

    def close(self) -> None:
        self._sweeper.stop()
        for node in self._servers.nodes:
            node.close()

    def after_fork_in_child(self) -> None:
        """Start anew what a fork does not carry over: connections, threads, and locks that other threads held."""
        for node in self._servers.nodes:
            node.after_fork_in_child()
        self._gathered.take_all()
        self._sweeper.after_fork_in_child()


_stores: weakref.WeakSet[RedisStore] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
