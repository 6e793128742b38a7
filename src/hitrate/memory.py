"""The in-memory cache.

A hit on an immutable value is the value itself; a hit on anything else is a copy of its own. What the copy is made
from is decided by use: the stored bytes at first, and from the second hit on a private original, wherever copying
that is faster than decoding.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from operator import call
from random import getrandbits
from typing import Any

from hitrate.base import FullKey, Namespace, ValueT
from hitrate.cache import Cache, _raise
from hitrate.errors import ClosedError, DecodeError, SerializationError
from hitrate.failsafe import OnError
from hitrate.keys import check_key, check_namespaces, check_pairs, encode_text, refuse_pair
from hitrate.serde import MsgpackSerializer, SerializerProtocol, copier, is_floats, is_immutable
from hitrate.stats import REMEMBERED_MISSES
from hitrate.stores.memory import Held, MemoryStore, Space, footprint

_FLOAT_SIZE = sys.getsizeof(1.0)


class InMemoryCache(Cache[ValueT]):
    """A cache in this process's memory.

    Args:
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        max_bytes: bytes held at most, None for no limit. What a hit has shown to be worth holding as an object counts
            with the memory of that object.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns an entry that cannot be decoded into a miss, ``"raise"`` raises.
        clock: returns the seconds since the epoch.
    """

    _store: MemoryStore

    def __init__(
        self,
        *,
        serde: SerializerProtocol | None = None,
        max_bytes: int | None = 1 << 30,
        max_entries: int | None = None,
        default_ttl: float | None = None,
        on_error: OnError = "miss",
        clock: Callable[[], float] = time.time,
    ) -> None:
        store = MemoryStore(max_bytes=max_bytes, max_entries=max_entries, clock=clock)
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock)
        self._spaces: dict[Any, Space] = store.spaces
        # Only our own serializer is known to be exact, and so to allow sharing and copying in the place of decoding.
        self._exact = type(self.serde) is MsgpackSerializer
        self._plain = self._exact and default_ttl is None
        self._decoders: dict[str, Callable[[bytes], Any]] = {}

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Get the cached values for the given keys.

        Args:
            keys: full keys, any number of them.

        Returns:
            The values found, by the keys given and in their order; what is not there is left out.

        Raises:
            TypeError: a key is not a ``(tuple of str, str)``.
            ClosedError: the cache is closed.
        """
        values: dict[FullKey, ValueT] = {}
        spaces = self._spaces
        missed = self._missed.young
        hits = misses = 0
        saved = 0.0
        try:
            for full_key in keys:
                namespace, key = full_key
                space = spaces.get(namespace)
                if space is None or (held := space.get(key)) is None:
                    # The key of a hit needs no check: it equals one that was stored.
                    if space is None or type(full_key) is not tuple or type(key) is not str:
                        check_key(full_key)
                    misses += 1
                    missed[full_key] = self._clock()
                    continue
                if held[2] is not None and held[2] <= self._clock():
                    self._store.expire(space, key, held)
                    misses += 1
                    missed[full_key] = self._clock()
                    continue
                load = held[0]
                if load is None:
                    values[full_key] = held[1]
                    if not held[4]:
                        self._store.visit(space, key, held)
                elif type(load) is not str:
                    values[full_key] = load(held[1])
                    if not held[4]:
                        self._store.visit(space, key, held)
                else:
                    try:
                        values[full_key] = self._decoded(space, full_key, held)
                    except DecodeError as error:
                        self._entry_failed(full_key, error)
                        misses += 1
                        missed[full_key] = self._clock()
                        continue
                hits += 1
                saved += held[3]
        except (TypeError, ValueError):
            for full_key in keys:
                check_key(full_key)
            raise
        counters = self._counters
        counters.hits += hits
        if saved:
            counters.seconds_saved += saved
        if misses:
            counters.misses += misses
            if len(missed) >= REMEMBERED_MISSES:
                self._missed.turn()
        elif not values and self._closed:  # nothing was asked for, and so nothing told that it is closed
            self._refuse_closed()
        return values

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Asynchronously get the cached values for the given keys; as ``get``, which never waits here."""
        return self.get(keys)

    def _decoded(self, space: Space, full_key: FullKey, held: Held) -> ValueT:
        """Decode an entry held as bytes, and now and then choose the form that serves its next hits best.

        To choose takes as long as dozens of hits, so one hit in 64 does, but for the first of an entry. A list of
        floats is much faster to copy than to decode, and known at once.
        """
        encoding, payload, expiry, seconds, visited = held
        value: Any = self._load((encoding, payload, expiry, seconds), full_key)  # type: ignore[arg-type]  # keys stay as they are
        if not self._exact:
            self._store.visit(space, full_key[1], held)
        elif type(value) is list and is_floats(value):
            size = sys.getsizeof(value) + len(value) * _FLOAT_SIZE
            self._store.replace(space, full_key[1], held, (list.copy, value, expiry, seconds, True, size))
            value = value.copy()
        elif not visited:
            self._store.visit(space, full_key[1], held)
        elif getrandbits(6) == 0:
            value = self._settled(space, full_key, held, value)
        return value  # type: ignore[no-any-return]

    def _settled(self, space: Space, full_key: FullKey, held: Held, value: Any) -> Any:
        """Hold a value that was just decoded in the form that serves its next hits best; return one for this hit."""
        encoding, payload, expiry, seconds, _ = held
        if is_immutable(value):
            other: Held = (None, value, expiry, seconds, True, footprint(value))
        elif (copy := copier(value)) is not None:
            other = (call, copy, expiry, seconds, True, footprint(value) + len(payload))
            value = copy()
        else:
            other = (self._decoder(encoding), *held[1:])
        self._store.replace(space, full_key[1], held, other)
        return value

    def _decoder(self, encoding: str) -> Callable[[bytes], Any]:
        """Return what decodes a payload, one function for each encoding."""
        decode = self._decoders.get(encoding)
        if decode is None:
            loads = self.serde.loads_typed
            decode = self._decoders[encoding] = lambda payload: loads((encoding, payload))
        return decode

    def set(self, keys: Mapping[FullKey, tuple[ValueT, float | None]]) -> None:
        """Set the cached values for the given keys.

        Args:
            keys: for each full key the value and its TTL in seconds. A TTL of None or inf never expires (or expires
                after ``default_ttl``, if one was given, for None); 0 or less removes the key.

        Raises:
            TypeError: a key, pair or TTL has the wrong type.
            ValueError: a TTL is NaN.
            SerializationError: a value cannot be stored exactly; nothing was stored.
            ClosedError: the cache is closed.
        """
        if self._plain and type(keys) is dict and len(keys) == 1 and self._set_usual(keys):
            return
        stored, removed = self._store.put(self._snapshot(keys))
        self._counters.sets += stored
        if removed:
            self._counters.deletes += removed

    def _set_usual(self, pairs: dict[FullKey, tuple[ValueT, float | None]]) -> bool:
        """Do the usual write with less ado than a batch: one entry without a TTL, in a namespace that is there.

        Returns:
            False, with nothing changed, if it is another write or a wrong one.
        """
        try:
            ((full_key, (value, ttl)),) = pairs.items()
            namespace, key = full_key
            space = self._spaces.get(namespace)
        except (TypeError, ValueError):
            return False
        if space is None or ttl is not None or type(key) is not str or type(full_key) is not tuple:
            return False
        encoding: str | None = None
        payload: Any = value
        if type(value) is not str and type(value) is not bytes:
            try:
                encoding, payload = self.serde.dumps_typed(value)
            except SerializationError as error:
                self._cannot_store(full_key, error)
                return True
        missed = self._missed
        seconds = missed.seconds_since(full_key, self._clock()) if missed.young or missed.old else 0.0
        if not self._store.put_one(space, key, (encoding, payload, None, seconds, False)):
            return False
        self._counters.sets += 1
        return True

    def aset(self, keys: Mapping[FullKey, tuple[ValueT, float | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys; as ``set``.

        The values are taken as they are when this is called, not when the result is awaited, and are readable from then
        on. Errors are raised by the await.
        """
        try:
            self.set(keys)
        except Exception as error:
            return _raise(error)
        return _done()

    def _snapshot(self, pairs: Mapping[FullKey, tuple[ValueT, float | None]]) -> list[tuple[Any, Any, Held | None]]:
        """Check and snapshot a whole batch before anything of it is stored."""
        if self._closed:
            self._refuse_closed()
        if type(pairs) is not dict:
            check_pairs(pairs)
        batch: list[tuple[Any, Any, Held | None]] = []
        missed = self._missed
        for full_key, pair in pairs.items():
            try:
                namespace, key = full_key
                if namespace not in self._names or type(key) is not str or type(full_key) is not tuple:
                    check_key(full_key)
                    self._names[namespace]
                value, ttl = pair
            except (TypeError, ValueError) as error:
                refuse_pair(full_key, error)
            expiry = None
            if ttl is not None or self._default_ttl is not None:
                now = self._clock()
                expiry = self._expiry(ttl, now)
                if expiry is not None and expiry <= now:
                    batch.append((namespace, key, None))
                    continue
            seconds = missed.seconds_since(full_key, self._clock()) if missed.young or missed.old else 0.0
            if self._exact and ((kind := type(value)) is str or kind is bytes):
                batch.append((namespace, key, (None, value, expiry, seconds, False)))
                continue
            try:
                encoding, payload = self._dump(value, full_key)  # type: ignore[arg-type]  # keys stay as they are
            except SerializationError as error:
                self._cannot_store(full_key, error)
                continue
            batch.append((namespace, key, (encoding, payload, expiry, seconds, False)))
        return batch

    def _encode_keys(self, keys: Iterable[FullKey]) -> list[Any]:
        """Check keys; in memory they are held as they are."""
        if self._closed:
            self._refuse_closed()
        listed = list(keys)
        for full_key in listed:
            check_key(full_key)
        return listed

    def _encode_namespaces(self, namespaces: Sequence[Namespace] | None) -> list[Any] | None:
        if self._closed:
            self._refuse_closed()
        return None if namespaces is None else check_namespaces(namespaces)

    def _binding(self, encoded_key: Any) -> bytes:
        namespace, key = encoded_key
        return super()._binding((self._names[namespace], encode_text(key)))

    def close(self) -> None:
        """Close the cache and let go of its entries. Calling it again does nothing."""
        super().close()
        self._spaces = _ClosedSpaces()

    async def aclose(self) -> None:
        """Asynchronously close the cache; as ``close``."""
        self.close()


class _ClosedSpaces(dict[Any, Space]):
    """Stands for the entries of a closed cache, so that a read need not ask whether it is open."""

    def get(self, key: object, default: object = None) -> Any:
        raise ClosedError("this InMemoryCache is closed; open another one")


async def _done() -> None:
    """Be awaited: what there was to do is done."""
