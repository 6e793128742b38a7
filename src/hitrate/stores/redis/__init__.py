"""Entries on a Redis or Valkey server, or a cluster of them.

What is to be done is written once, as generators that yield what to send and are sent the answers; the two faces differ
in how they exchange the one for the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from time import monotonic
from typing import Any, TypeVar

from hitrate import forking
from hitrate.breaker import BreakerState
from hitrate.clock import is_replaced, wall_clock
from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Amounts, Capability, Changes, Channel, Found, Listener, Page, Store, Usage, check_limit
from hitrate.stores.per_loop import PerLoop
from hitrate.stores.redis.clients import target_of
from hitrate.stores.redis.cluster import Cluster
from hitrate.stores.redis.counts import Counts
from hitrate.stores.redis.gathering import Gathering
from hitrate.stores.redis.holding import Bounded, Holding, Unbounded
from hitrate.stores.redis.lanes import Answer
from hitrate.stores.redis.listing import Lister
from hitrate.stores.redis.names import Names, Space
from hitrate.stores.redis.nodes import Node, aexchange, exchange
from hitrate.stores.redis.reading import KEYS_AT_ONCE, found_in, only_error, parts_of, request_for, tell_time_left
from hitrate.stores.redis.servers import OneServer, Servers, Steps
from hitrate.stores.redis.sweeping import Sweeper
from hitrate.stores.redis.tracking import Tracking
from hitrate.stores.redis.values import unpack
from hitrate.stores.redis.writing import write_one

T = TypeVar("T")


class RedisStore(Store):
    """Keeps entries on a Redis or Valkey server, or spread over a cluster.

    Args:
        client: a URL, or a client of redis-py or valkey-py, sync or async: of a server, a cluster, or a Sentinel's.
        prefix: what the names of this cache begin with.
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        timeout: seconds that a call may take; one of more than 10,000 keys takes as many times as long.
        connect_timeout: seconds to connect in, ``timeout`` at most.
        clock: returns the seconds since the epoch, for a cache that is to expire by it and not by the server alone.
        time_left: whether the expiry of what is read is made from the time left by the server, at the cost of one more
            command a key; without it, it is what the writer's clock said.
    """

    offers: frozenset[Capability] = frozenset({"bounds", "forks under load"})

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
        self.limits = (max_entries, max_bytes)
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is a str, not {prefix!r} of type {type(prefix).__name__}")
        for name, seconds in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e6:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
        self._target = target = target_of(
            client,
            timeout=timeout,
            connect_timeout=min(connect_timeout, timeout),  # a call that has to connect is a call
        )
        bounded = max_bytes is not None or max_entries is not None
        # What has a limit is counted in one place, and lies in one slot of a cluster.
        self._names = Names(prefix.encode("utf-8", "surrogatepass"), spread=target.connect is None and not bounded)
        self._servers: Servers
        if target.connect is None:
            self._servers = Cluster(target, self._names.buckets, timeout)
        else:
            self._servers = OneServer(target, timeout)
        self._sweeper = Sweeper(self._run, self._servers, self._names)
        self._holding: Holding
        if bounded:
            self._holding = Bounded(self._servers, self._names, clock, self._sweeper.request, max_entries, max_bytes)
        else:
            self._holding = Unbounded(self._servers, self._names, clock, self._sweeper.request)
        self._lister = Lister(self._servers, self._names, in_order=bounded)
        self._counts = Counts(self._servers, self._names)
        self._bounded = bounded
        self._given_clock = clock
        self._now = clock or wall_clock
        self._time_left = time_left
        self._only: Node | None = None  # where the usual calls go, with less ado
        if isinstance(self._servers, OneServer) and not bounded and not time_left:
            self._only = self._servers.node
        self._gathered: PerLoop[Gathering] = PerLoop(lambda loop: Gathering(loop, self), Gathering.drop)
        forking.begin_anew(self)

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker; of a cluster's nodes the worst."""
        return self._servers.state

    # The two faces

    def _run(self, steps: Steps[T], began: float | None = None) -> T:
        """Take steps, waiting on this thread.

        Args:
            steps: what to do.
            began: when it began, by ``time.monotonic``, if all of it is to be done in the time that a call may take;
                None if each exchange has that time, as where a server is looked through.
        """
        try:
            answers = exchange(next(steps))
            while True:
                answers = exchange(steps.send(answers), began)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _arun(self, steps: Steps[T], began: float | None = None) -> T:
        """Take steps as ``_run`` does, waiting on the event loop."""
        try:
            answers = await aexchange(next(steps))
            while True:
                answers = await aexchange(steps.send(answers), began)
        except StopIteration as end:
            result: T = end.value
            return result

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        began = monotonic()
        space = self._usual(keys)
        if space is not None and self._only is not None:
            request = space.read(self._names.buckets[0], keys)
            found = self.found(keys, self._only.call(request, 1, len(keys)))
            if found is not None:
                return found
        return self._run(self._read(keys), began)

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
        found = unpack(reply[2:], tokens, keys)
        return found if self._clock is None or not self._expired(found, self._clock()) else None

    def aget(self, keys: Sequence[EncodedKey]) -> Awaitable[Sequence[Found]]:
        return self._gathered.get().read(keys)

    async def read(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Read keys, whatever it takes; as ``gathering.Reader``."""
        return await self._arun(self._read(keys), monotonic())

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

    @property
    def _clock(self) -> Callable[[], float] | None:
        """What entries expire by, beside the server's clock; None if the two are the same."""
        return wall_clock if self._given_clock is None and is_replaced() else self._given_clock

    @staticmethod
    def _expired(found: Sequence[Found], now: float) -> list[int]:
        """Return the places of what has expired."""
        return [
            place
            for place, each in enumerate(found)
            if type(each) is tuple and (expiry := each[2]) is not None and expiry <= now
        ]

    def _after_read(self, keys: Sequence[EncodedKey], found: list[Found]) -> Steps[Sequence[Found]]:
        """Take away what has expired by a clock of our own, and note what was hit."""
        if self._clock is not None:
            expired = self._expired(found, self._clock())
            for place in expired:
                found[place] = None
            if expired:
                yield from self._holding.note_expired([keys[place] for place in expired])
        yield from self._holding.note_hits(
            [key for key, each in zip(keys, found, strict=True) if type(each) is tuple] if self._bounded else ()
        )
        return found

    def usage(self) -> Usage:
        entries, size = self._run(self._holding.usage())
        return Usage(entries, size, self._holding.evictions, self._holding.expirations)

    # Writing

    def write(self, changes: Changes) -> int:
        began = monotonic()
        if len(changes) == 1 and self._only is not None:  # the usual write, with less ado
            (((name, key), entry),) = changes.items()
            space = self._names[name]
            known = space.known[0]
            if entry is not None and known is not None:
                request = write_one(self._names.buckets[0], space, key, entry, known, self._now())
                if request is not None:
                    stored, current = self._only.call(request, 2, 1)
                    if stored == b"OK" and current == [None, None, known[0][:8], known[0][8:]]:
                        return 0
        return self._run(self._holding.write(changes), began) if changes else 0

    async def awrite(self, changes: Changes) -> int:
        return await self._arun(self._holding.write(changes), monotonic()) if changes else 0

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._run(self._holding.clear(namespaces), monotonic())

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._arun(self._holding.clear(namespaces), monotonic())

    def clear_under(self, prefix: bytes) -> None:
        self._run(self._holding.clear_under(prefix))

    async def aclear_under(self, prefix: bytes) -> None:
        await self._arun(self._holding.clear_under(prefix))

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._run(self._lister.page(under, after, limit, self._clock))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return await self._arun(self._lister.page(under, after, limit, self._clock))

    def described(self) -> str:
        where = self._target.name.removeprefix("the Redis ")
        return f"{where!r}, prefix={self._names.prefix.decode('utf-8', 'surrogatepass')!r}"

    # Counters that outlive the process

    def add_counts(self, amounts: Amounts) -> bool:
        self._run(self._counts.add(amounts), monotonic())
        return True

    def read_counts(self) -> Amounts | None:
        return self._run(self._counts.read(), monotonic())

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return self._run(self._holding.lease(keys, token, seconds), monotonic()) if keys else []

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return await self._arun(self._holding.lease(keys, token, seconds), monotonic()) if keys else []

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return self._run(self._holding.settle(results, token), monotonic()) if results else ()

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return await self._arun(self._holding.settle(results, token), monotonic()) if results else ()

    # The whole

    def listen(self, listener: Listener) -> Channel | None:
        """Tell a listener of changes, if this is one server: a cluster's nodes may change unseen."""
        if self._clock is None:  # a copy is to expire when the server says
            self._time_left = True
            self._only = None
        if self._target.connect is None:
            return None
        return Tracking(self._target.name, self._target.connect, self._names, listener)

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
