"""The store on a Redis or Valkey server, or a cluster of them: what a cache calls, sync and async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from hitrate import forking
from hitrate.breaker import BreakerState
from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stores.base import Amounts, Capability, Changes, Channel, Found, Listener, Page, Usage
from hitrate.stores.paired import PlannedStore
from hitrate.stores.per_loop import PerLoop
from hitrate.stores.redis.changes import Tracking
from hitrate.stores.redis.clearing import clear, clear_under
from hitrate.stores.redis.clients import target_of
from hitrate.stores.redis.cluster import Cluster
from hitrate.stores.redis.commands import write_one
from hitrate.stores.redis.counts import LifetimeCounts
from hitrate.stores.redis.expiry import ExpiryClock, expired_in, remove_expired
from hitrate.stores.redis.format import unpack
from hitrate.stores.redis.gathering import Gathering
from hitrate.stores.redis.housekeeping import Sweeper
from hitrate.stores.redis.leasing import lease, settle
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.listing import page
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.names import Names
from hitrate.stores.redis.reading import KEYS_AT_ONCE, found_in, only_error, request_for, steps_of, tell_time_left
from hitrate.stores.redis.register import Register
from hitrate.stores.redis.servers import OneServer, Operation, Servers
from hitrate.stores.redis.surveying import count
from hitrate.stores.redis.writing import write


class RedisStore(PlannedStore):
    """Keeps entries on a Redis or Valkey server, or spread over a cluster; its arguments are ``RedisCache``'s.

    A clock is given for a cache that is to expire by it, and not by the server alone.
    """

    offers: frozenset[Capability] = frozenset({"forks under load"})

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "hitrate:",
        timeout: float = 2.0,
        connect_timeout: float = 1.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is a str, not {prefix!r} of type {type(prefix).__name__}")
        for name, seconds in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e6:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
        self._target = target = target_of(client, min(connect_timeout, timeout))  # a call that has to connect is a call
        self._names = Names(prefix.encode("utf-8", "surrogatepass"), spread=target.connect is None)
        one_server = None if target.connect is None else OneServer(target, timeout)
        self._servers: Servers = one_server or Cluster(target, self._names.buckets, timeout)
        self._clock = ExpiryClock(clock)
        self._register = Register()
        self._sweeper = Sweeper(self._operation)
        self._counts = LifetimeCounts()
        self._expirations = 0
        self._time_left = False
        """Whether the expiry of what is read is made from the time left by the server, at the cost of one more command
        a key; else it is what the writer's clock said."""
        self._only = None if one_server is None else one_server.node
        """The only server, where the usual reads and writes go without a plan."""
        self._gathered: PerLoop[Gathering] = PerLoop(lambda loop: Gathering(loop, self), Gathering.drop)
        forking.begin_anew(self)

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker; of a cluster's nodes the worst."""
        return self._servers.state

    def _operation(self, began: float | None = None) -> Operation:
        return Operation(self._servers, self._names, self._register, self._clock, self._sweeper.request, began)

    # Reading

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        began = monotonic()
        request = self._usual(keys)
        if request is not None and self._only is not None:
            found = self.found(keys, self._only.call(request))
            if found is not None:
                return found
        return carry_out(self._reading(keys, began))

    def _usual(self, keys: Sequence[EncodedKey]) -> Request | None:
        """Return what reads keys of one namespace from the only server by one command; None if they take more."""
        if self._only is None or not keys or len(keys) > KEYS_AT_ONCE:
            return None
        name = keys[0][0]
        if len(keys) > 1 and not all([other is name for other, _ in keys]):  # noqa: C419 - a list is twice as fast
            return None
        return Request(self._names[name].read(0, self._names.buckets[0], keys), 1, len(keys))

    def ask(self, keys: Sequence[EncodedKey], answer: Callable[[Answer], None]) -> bool:
        """Ask for keys on the running loop and have a function told the answer; return False if that takes a plan."""
        request = self._usual(keys)
        if request is None or self._only is None:
            return False
        self._only.loop_link().call(request, answer, at_once=True)
        return True

    def found(self, keys: Sequence[EncodedKey], answer: Answer) -> list[Found] | None:
        """Return what the answer to the usual request holds; None if it takes a plan."""
        if isinstance(answer, StoreError):
            raise answer
        (reply,) = answer
        if type(reply) is not list:
            return None
        found = unpack(reply, keys)
        own_clock = self._clock.own
        return found if own_clock is None or not expired_in(found, own_clock()) else None

    def aget(self, keys: Sequence[EncodedKey]) -> Awaitable[Sequence[Found]]:
        return self._gathered.get().read(keys)

    async def read(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Read keys by a plan."""
        return await acarry_out(self._reading(keys))

    def _reading(self, keys: Sequence[EncodedKey], began: float | None = None) -> Plan[Sequence[Found]]:
        found: list[Found] = [None] * len(keys)
        if not keys:
            return found
        op = self._operation(began or monotonic())
        steps = steps_of(self._names, keys)
        requests = [request_for(self._names, parts, time_left=self._time_left) for parts in steps]
        answers = yield from self._servers.route(op, requests)
        now = self._clock.now()
        for parts, answer in zip(steps, answers, strict=True):
            found_in(parts, answer, found)
            if self._time_left and not isinstance(answer, StoreError):
                tell_time_left(parts, answer[1:], now, found)
        error = only_error(found)
        if error is not None:
            raise error
        own_clock = self._clock.own
        expired = [] if own_clock is None else expired_in(found, own_clock())
        if expired:
            for place in expired:
                found[place] = None
            gone = [keys[place] for place in expired]
            self._expirations += yield from remove_expired(op, gone)
        return found

    def removals(self) -> tuple[int, int]:
        return 0, self._expirations

    def usage(self) -> Usage:
        entries, size = carry_out(count(self._operation()))
        return Usage(entries, size, 0, self._expirations)

    # Writing

    def write(self, changes: Changes) -> int:
        began = monotonic()
        if len(changes) == 1 and self._only is not None:  # the usual write goes without a plan
            (((name, key), entry),) = changes.items()
            space = self._names[name]
            known = space.known[0]
            if entry is not None and known is not None:
                request = write_one(self._names.buckets[0], space, key, entry, known, self._clock.now())
                if request is not None:
                    stored, current = self._only.call(Request(request, 2))
                    if stored == b"OK" and current == [None, None, known[0][:8], known[0][8:]]:
                        return 0
        return carry_out(self._writing(changes, began))

    def _writing(self, changes: Changes, began: float | None = None) -> Plan[int]:
        return write(self._operation(began or monotonic()), changes)

    def _clearing(self, namespaces: Sequence[bytes] | None) -> Plan[None]:
        return clear(self._operation(monotonic()), namespaces)

    def _clearing_under(self, prefix: bytes) -> Plan[None]:
        return clear_under(self._operation(), prefix)

    # Listing

    def _listing(self, under: bytes, after: Any, limit: int) -> Plan[Page]:
        return page(self._operation(), under, after)

    def described(self) -> str:
        where = self._target.name.removeprefix("the Redis ")
        return f"{where!r}, prefix={self._names.prefix.decode('utf-8', 'surrogatepass')!r}"

    # Counters that outlive the process

    def add_counts(self, amounts: Amounts) -> bool:
        carry_out(self._counts.add(self._operation(monotonic()), amounts))
        return True

    def read_counts(self) -> Amounts | None:
        return carry_out(self._counts.read(self._operation(monotonic())))

    # Leases

    def _leasing(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[list[float]]:
        return lease(self._operation(monotonic()), keys, token, seconds)

    def _settling(self, results: Changes, token: bytes) -> Plan[list[EncodedKey]]:
        return settle(self._operation(monotonic()), results, token)

    # The whole

    def listen(self, listener: Listener) -> Channel | None:
        """Tell a listener of changes, if this is one server: a cluster's nodes may change unseen."""
        if self._clock.own is None:  # a copy is to expire when the server says
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
        """Make new connections, threads and locks: a fork carries over none of these."""
        for node in self._servers.nodes:
            node.after_fork_in_child()
        self._gathered.take_all()
        self._sweeper.after_fork_in_child()
