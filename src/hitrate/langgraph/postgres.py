"""The cache for graphs on PostgreSQL."""

from __future__ import annotations

from hitrate.base import ValueT
from hitrate.langgraph.base import GraphCache
from hitrate.postgres import PostgresCache as Postgres


class PostgresCache(GraphCache[ValueT], Postgres[ValueT]):
    """A cache for graphs on PostgreSQL: ``graph.compile(cache=PostgresCache("postgresql://..."))``.

    A result that cannot be stored exactly is not cached, a failure of the server is a miss, and the run goes on. The
    arguments are those of ``hitrate.PostgresCache``.
    """
