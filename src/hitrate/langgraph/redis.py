"""The cache for graphs on a Redis or Valkey server."""

from __future__ import annotations

from hitrate.base import ValueT
from hitrate.langgraph.base import GraphCache
from hitrate.redis import RedisCache as Redis


class RedisCache(GraphCache[ValueT], Redis[ValueT]):
    """A cache for graphs on a Redis or Valkey server: ``graph.compile(cache=RedisCache("redis://localhost"))``.

    A result that cannot be stored exactly is not cached, a failure of the server is a miss, and the run goes on.

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
        clock: returns the seconds since the epoch.
    """
