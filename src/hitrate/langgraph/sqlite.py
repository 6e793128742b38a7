"""The cache for graphs on an SQLite file."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from hitrate.base import TTL, FullKey, ValueT
from hitrate.langgraph.base import GraphCache
from hitrate.sqlite import SqliteCache as Sqlite


class SqliteCache(GraphCache[ValueT], Sqlite[ValueT]):
    """A cache for graphs on an SQLite file: ``graph.compile(cache=SqliteCache(path="cache.db"))``.

    A result that cannot be stored exactly is not cached, a failure of the file is a miss, and the run goes on.

    Args:
        path: the file, made if it is not there; ``":memory:"`` for one that lives as long as this cache.
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        durability: ``"normal"`` keeps acknowledged writes when the process dies, ``"full"`` when the machine does.
        max_bytes: bytes held at most (10 GiB), None for no limit.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns failures of the file into misses and dropped writes, ``"raise"`` raises them.
        mode: permissions of the files that are made, less the umask; None for the owner alone, ``0o660`` for a group.
        read_only: read a file that was built before, and drop what is written.
        near_bytes: memory that copies of entries take in this process at most, 0 for none.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.
        evict: ``"sieve"`` evicts what was not read lately, ``"cost"`` what saves the fewest seconds per byte.
    """

    # The parameter has the name that it has in LangGraph's class for SQLite.

    def set(self, mapping: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> None:
        """Set the cached values for the given keys and TTLs; of a graph's, those that are good for other runs."""
        super().set(mapping)

    def aset(self, mapping: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys and TTLs; as ``set``."""
        return super().aset(mapping)
