"""The cache for graphs in several tiers."""

from __future__ import annotations

from hitrate.base import ValueT
from hitrate.langgraph.base import GraphCache
from hitrate.tiered import TieredCache as Tiered


class TieredCache(GraphCache[ValueT], Tiered[ValueT]):
    """A cache for graphs in several tiers: ``compile(cache=TieredCache(InMemoryCache(), SqliteCache(path=...)))``.

    A result that cannot be stored exactly is not cached, a tier that fails leaves the others working, and the run goes
    on.

    Args:
        tiers: hitrate caches, two or more, near to far, all with the same serializer.
        staleness: seconds (or a timedelta) that a copy is used at most while a farther tier does not tell of changes;
            0 or None for not at all.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns the failure of a tier into misses and dropped writes of that tier; ``"raise"`` raises
            it.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.
    """
