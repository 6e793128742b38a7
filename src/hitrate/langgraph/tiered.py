"""The cache for graphs in several tiers."""

from __future__ import annotations

from hitrate.base import ValueT
from hitrate.langgraph.base import GraphCache
from hitrate.tiered import TieredCache as Tiered


class TieredCache(GraphCache[ValueT], Tiered[ValueT]):
    """A cache for graphs in tiers: ``graph.compile(cache=TieredCache(InMemoryCache(), SqliteCache(path="cache.db")))``.

    A result that cannot be stored exactly is not cached, a tier that fails is a miss there, and the run goes on. The
    arguments are those of ``hitrate.TieredCache``; the tiers may be hitrate's classes of either package.
    """
