"""The in-memory cache for graphs."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from hitrate.base import TTL, FullKey, ValueT
from hitrate.langgraph.base import GraphCache
from hitrate.memory import InMemoryCache as Memory


class InMemoryCache(GraphCache[ValueT], Memory[ValueT]):
    """A cache for graphs in this process's memory: ``graph.compile(cache=InMemoryCache())``.

    A result that cannot be stored exactly is not cached, and the run goes on.

    Args:
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        max_bytes: bytes held at most (1 GiB), None for no limit.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns an entry that cannot be decoded into a miss, ``"raise"`` raises.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.
        evict: ``"sieve"`` evicts what was not read lately, ``"cost"`` what saves the fewest seconds per byte.
    """

    # The parameter has the name that it has in LangGraph's class for memory.

    def set(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> None:
        """Set the cached values for the given keys and TTLs; of a graph's, those that are good for other runs."""
        super().set(keys)

    def aset(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys and TTLs; as ``set``."""
        return super().aset(keys)
