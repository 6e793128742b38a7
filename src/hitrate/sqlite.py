"""The cache on an SQLite file."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from hitrate.base import FullKey, ValueT
from hitrate.clock import wall_clock
from hitrate.compute.cache import ComputingCache
from hitrate.failsafe import OnError
from hitrate.serde import SerializerProtocol
from hitrate.stores.sqlite import SqliteStore
from hitrate.stores.sqlite.connections import Durability


class SqliteCache(ComputingCache[ValueT]):
    """File-based cache using SQLite, for any number of threads, event loops and processes at once.

    Args:
        path: the file, a str or os.PathLike; it and folders that are missing are made, for their owner alone.
            ``:memory:`` is a cache in memory of its own.
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        durability: ``"normal"`` survives a killed process, and loses the latest writes to a power failure; ``"full"``
            flushes each write to the disk.
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns failures of the file into misses and dropped writes, sets a damaged file aside and
            starts another; ``"raise"`` raises them and leaves the file.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.

    Raises:
        TypeError: the path is neither a str nor an os.PathLike.
        ValueError: the path is empty, or names the database of another program.
        OSError: the path is a folder, or cannot be read and written.
        NewerFormatError: a newer hitrate wrote the file.
    """

    def __init__(
        self,
        *,
        path: str | os.PathLike[str],
        serde: SerializerProtocol | None = None,
        durability: Durability = "normal",
        max_bytes: int | None = 10 << 30,
        max_entries: int | None = None,
        default_ttl: float | None = None,
        on_error: OnError = "miss",
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        store = SqliteStore(
            path,
            durability=durability,
            max_bytes=max_bytes,
            max_entries=max_entries,
            repair=on_error != "raise",
            clock=clock,
        )
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock)

    def set(self, mapping: Mapping[FullKey, tuple[ValueT, float | None]]) -> None:
        """Set the cached values for the given keys and TTLs, all of them or none; as ``Cache.set``."""
        super().set(mapping)

    def aset(self, mapping: Mapping[FullKey, tuple[ValueT, float | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys and TTLs; as ``set``."""
        return super().aset(mapping)
