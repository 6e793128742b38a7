"""The cache on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hitrate.base import TTL, ValueT
from hitrate.clock import is_machines, wall_clock
from hitrate.compute.cache import ComputingCache
from hitrate.failsafe import OnError
from hitrate.serde import SerializerProtocol
from hitrate.stores.postgres import PostgresStore
from hitrate.stores.postgres.schema import Durability

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

    Pool: TypeAlias = ConnectionPool[Any] | AsyncConnectionPool[Any]


class PostgresCache(ComputingCache[ValueT]):
    """Cache on PostgreSQL, for any number of threads, event loops, processes and machines at once.

    The tables are made when the cache is first used. Entries expire by the server's clock, which all that share a
    table have in common.

    Args:
        conninfo_or_pool: a connection string or ``postgresql://`` URL; or a ``psycopg_pool.ConnectionPool``, which
            serves the sync methods, or an ``AsyncConnectionPool``, which serves the async methods in the event loop it
            was opened in. For all else the cache opens connections of its own, with the pool's settings.
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        table: the name of the table, with or without a schema. Caches with the same table are one cache. Five more
            tables have names that begin with it.
        durability: ``"normal"`` keeps entries in UNLOGGED tables, which a crash of the server empties; ``"full"`` in
            logged ones. It counts when the tables are made.
        max_bytes: bytes held at most (10 GiB), None for no limit.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns failures of the server into misses and dropped writes, ``"raise"`` raises them.
        clock: returns the seconds since the epoch. Any but the machine's decides what is expired, in place of the
            server's clock; so does a test's function in the place of ``time.time`` when the cache is opened.
        timeout: seconds that an operation may take, waiting for a connection included.
        connect_timeout: seconds that opening a connection may take, 2 at least.
        max_connections: connections that the cache opens at most in this process, beside those of a given pool.
        prepare: whether statements may be prepared on the server. Behind a proxy that shares sessions, such as
            PgBouncer in transaction mode, they do not stay; that is found out, and False saves finding it out.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument cannot be: a connection string or table name that is none, a limit of 0.
        ModuleNotFoundError: psycopg is not installed: ``pip install '.[postgres]'`` in hitrate's folder.
    """

    def __init__(
        self,
        conninfo_or_pool: str | Pool,
        *,
        serde: SerializerProtocol | None = None,
        table: str = "hitrate",
        durability: Durability = "normal",
        max_bytes: int | None = 10 << 30,
        max_entries: int | None = None,
        default_ttl: TTL | None = None,
        on_error: OnError = "miss",
        clock: Callable[[], float] = wall_clock,
        timeout: float = 5.0,
        connect_timeout: float = 5.0,
        max_connections: int = 10,
        prepare: bool = True,
    ) -> None:
        store = PostgresStore(
            conninfo_or_pool,
            table=table,
            durability=durability,
            max_bytes=max_bytes,
            max_entries=max_entries,
            clock=None if is_machines(clock) else clock,
            timeout=timeout,
            connect_timeout=connect_timeout,
            max_connections=max_connections,
            prepare=prepare,
        )
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock)
