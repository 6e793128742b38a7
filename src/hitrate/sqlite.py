"""The cache on an SQLite file."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from hitrate.base import TTL, FullKey, ValueT
from hitrate.clock import wall_clock
from hitrate.compute.cache import ComputingCache
from hitrate.entry import DEFAULT_ENCODING
from hitrate.errors import StoreError
from hitrate.failsafe import OnError
from hitrate.keys import EncodedKey
from hitrate.serde import SerializerProtocol
from hitrate.stores.base import Evict, Found, Store
from hitrate.stores.sqlite import SqliteStore
from hitrate.stores.sqlite.handle import Durability
from hitrate.stores.sqlite.near import Near


class SqliteCache(ComputingCache[ValueT]):
    """File-based cache using SQLite, for any number of threads, event loops and processes at once.

    Args:
        path: the file, a str or os.PathLike; it and folders that are missing are made, for their owner alone unless
            ``mode`` is given. ``:memory:`` is a cache in memory of its own.
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        durability: ``"normal"`` survives a killed process, and loses the latest writes to a power failure; ``"full"``
            flushes each write to the disk.
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns failures of the file into misses and dropped writes, sets a damaged file aside and
            starts another; ``"raise"`` raises them and leaves the file.
        mode: permissions of the files that are made, less the umask: ``0o660`` for a group that shares them, in a
            folder that is the group's (``chmod g+ws``). It also says whose files are used that others made: those
            of the group, or with ``0o666`` anyone's. None for the owner alone.
        read_only: read a file that was built before, also on a disk that cannot be written. Nothing is ever written: a
            set, delete or clear is dropped, counted in ``stats().errors`` and logged once (and raised as a
            ``ReadOnlyError`` with ``on_error="raise"``).
        near_bytes: memory that copies of entries take in this process at most, 0 for none. They serve hits that repeat,
            for as long as nobody else writes to the file.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.
        evict: what goes when room is needed. ``"sieve"``: what was not read lately. ``"cost"``: what saves the fewest
            seconds per byte; as for ``InMemoryCache``. A file may be used with either, in turn or at once.

    Raises:
        TypeError: the path is neither a str nor an os.PathLike.
        ValueError: the path is empty, or names the database of another program; a mode that makes no sense; another
            ``evict``.
        OSError: the path is a folder, or cannot be read and written.
        PermissionError: a file there belongs to another user, or others may write to it; the message says what to do.
        FileNotFoundError: ``read_only`` is given, and the file is not there.
        NewerFormatError: a newer hitrate wrote the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        serde: SerializerProtocol | None = None,
        durability: Durability = "normal",
        max_bytes: int | None = 10 << 30,
        max_entries: int | None = None,
        default_ttl: TTL | None = None,
        on_error: OnError = "miss",
        mode: int | None = None,
        read_only: bool = False,
        near_bytes: int = 8 << 20,
        clock: Callable[[], float] = wall_clock,
        evict: Evict = "sieve",
    ) -> None:
        store = (_read_only_store() if read_only else SqliteStore)(
            path,
            durability=durability,
            max_bytes=max_bytes,
            max_entries=max_entries,
            repair=on_error != "raise",
            clock=clock,
            mode=mode,
            near_bytes=near_bytes,
            evict=evict,
        )
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock)
        self._near: Near | None = None
        self._exchange(store)

    def _exchange(self, store: Store) -> None:
        super()._exchange(store)
        # To be asked before the store is. Others look at the file first, or withhold entries.
        self._near = store.near if type(store) is SqliteStore and not self._codec.binds else None

    # Reading

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Get the cached values for the given keys; as ``Cache.get``."""
        near = self._near
        if near is None or not near.awake or not (type(keys) is list or type(keys) is tuple):
            return super().get(keys)
        if len(keys) != 1:
            return self._get_batch(near, keys)
        # Fast path: one key, where hits repeat.
        codec = self._codec
        try:
            (full_key,) = keys
            namespace, key = full_key
            if type(full_key) is tuple and type(key) is str:
                name = codec.names[namespace]
                copy = near.get_one((name, key.encode()))
                if copy is not None:
                    value = codec.unpack(copy[1]) if copy[0] == DEFAULT_ENCODING else codec.loads_typed(copy[:2])
                    counts = self._counters[name]
                    counts.hits += 1
                    if copy[3]:
                        counts.seconds_saved += copy[3]
                    return {full_key: value}
        except Exception:  # noqa: S110 - what is wrong with a key is told below, and an envelope is opened there
            pass
        return super().get(keys)

    def _get_batch(self, near: Near, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Do ``get``: by copies up to the first key that has none, or is of another namespace; the others as usual."""
        copies = near.current()
        if copies is None:
            return super().get(keys)
        commits, young, now = copies.commits, copies.young, self._clock()
        names, unpack, loads = self._codec.names, self._codec.unpack, self._codec.loads_typed
        values: dict[FullKey, ValueT] = {}
        rows: list[int] = []
        latest: object = keys  # no namespace
        saved, name = 0.0, b""
        try:
            for full_key in keys:
                namespace, key = full_key
                if type(full_key) is not tuple or type(key) is not str:
                    break
                if namespace is not latest:
                    if rows and namespace != latest:
                        break
                    latest, name = namespace, names[namespace]
                copy = young.get((name, key.encode()))
                if copy is None:
                    break
                encoding, payload, expiry, seconds, row = copy
                if expiry is not None and expiry <= now:
                    break
                values[full_key] = unpack(payload) if encoding == DEFAULT_ENCODING else loads((encoding, payload))
                saved += seconds
                rows.append(row)
        except Exception:  # noqa: S110 - what is wrong with a key is told below, and an envelope is opened there
            pass
        others = keys[len(rows) :]
        encoded: list[EncodedKey] = []
        found: Sequence[Found] = ()
        if others:
            encoded = self._encode_keys(others)
            try:
                found = self._store.get(encoded)
            except StoreError as error:
                found = self._read_failed(error, len(encoded))
        if rows:
            if copies.index.commits.value != commits:  # half of a batch that was stored meanwhile might be seen
                return super().get(keys)
            near.note_hits(rows)
            counts, hits = self._counters[name], len(rows)
            counts.hits += hits
            counts.seconds_saved += saved
        return {**values, **self._values(others, encoded, found)} if others else values

    # Writing

    def set(self, mapping: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> None:
        """Set the cached values for the given keys and TTLs, all of them or none; as ``Cache.set``."""
        super().set(mapping)

    def aset(self, mapping: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys and TTLs; as ``set``."""
        return super().aset(mapping)


def _read_only_store() -> type[SqliteStore]:
    from hitrate.stores.sqlite.read_only import ReadOnlySqliteStore

    return ReadOnlySqliteStore
