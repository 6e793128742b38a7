"""The cache on a Redis or Valkey server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hitrate.base import TTL, ValueT
from hitrate.clock import is_machines, wall_clock
from hitrate.compute.cache import ComputingCache
from hitrate.failsafe import OnError
from hitrate.serde import SerializerProtocol
from hitrate.stores.redis import RedisStore


class RedisCache(ComputingCache[ValueT]):
    """A cache on a Redis or Valkey server or cluster, for any number of threads, event loops, processes and machines.

    Nothing is sent before the first call. From the settings of a sync client the async methods get connections, too,
    and the other way round; the client's own connections are left alone.

    Args:
        client: a URL (``redis://``, ``rediss://``, ``unix://``), or a client of redis-py or valkey-py, sync or async:
            ``Redis``, ``RedisCluster``, or one that a ``Sentinel`` made.
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        prefix: what the names of this cache begin with. Caches with different prefixes share nothing.
        max_bytes: None. The server holds the limit, for all that it keeps: its ``maxmemory`` and ``maxmemory-policy``.
        max_entries: None, likewise.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns failures of the server into misses and dropped writes, ``"raise"`` raises them.
        timeout: seconds that a call may take; one of more than 10,000 keys takes as many times as long.
        connect_timeout: seconds to connect in, and for each reply while connecting; ``timeout`` at most.
        clock: returns the seconds since the epoch. TTLs are the server's to keep; given another clock than the
            machine's, or a test's function in the place of ``time.time``, a cache also takes for expired what is so by
            that clock.

    Raises:
        TypeError: the client is none of these.
        ValueError: the URL or an option has no meaning; or a limit was given.
        ModuleNotFoundError: the extra ``redis`` is not installed.
    """

    def __init__(
        self,
        client: Any,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "hitrate:",
        max_bytes: None = None,
        max_entries: None = None,
        default_ttl: TTL | None = None,
        on_error: OnError = "miss",
        timeout: float = 2.0,
        connect_timeout: float = 1.0,
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        _refuse_limit("max_bytes", max_bytes)
        _refuse_limit("max_entries", max_entries)
        store = RedisStore(
            client,
            prefix=prefix,
            timeout=timeout,
            connect_timeout=connect_timeout,
            clock=None if is_machines(clock) else clock,
        )
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock)


def _refuse_limit(name: str, limit: object) -> None:
    if limit is not None:
        raise ValueError(
            f"RedisCache keeps no limit of its own, and {name}={limit!r} was given: set `maxmemory` on the server, and "
            "`maxmemory-policy` to allkeys-lru or allkeys-lfu, as docs/backends.md says; in a TieredCache give the "
            "limit to the other tiers"
        )
