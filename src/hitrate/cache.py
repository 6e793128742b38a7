"""What a cache does with entries: it checks keys, serialises, counts, and turns failures into misses.

The sync and the async methods share all that does not wait; they differ by an ``await``. A store keeps the bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hitrate.base import TTL, FullKey, Namespace, ValueT
from hitrate.entry import Entry, expiry_of
from hitrate.envelope import MARK, opened
from hitrate.errors import DecodeError, HitrateError, SerializationError, StoreError
from hitrate.exclusive import a_few_lines
from hitrate.failsafe import log
from hitrate.keys import EncodedKey, check_namespaces, check_pairs, refuse_pair
from hitrate.open_cache import OpenCache
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stores.base import Changes, Found

if TYPE_CHECKING:
    from hitrate.stores.withholding import WithholdingStore

_DECODED_AT_ONCE = 256
"""How many values a coroutine decodes before it lets the event loop serve others."""

_MISS: Any = object()


class Cache(OpenCache[ValueT]):
    """A cache whose entries a store keeps. What the public caches add to it is in ``compute/cache.py``.

    Args:
        store: where the entries are.
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns failures of the world into misses and dropped writes, ``"raise"`` raises them.
        clock: returns the seconds since the epoch.
        codec: the class that encodes keys and values; it is given the serializer, and a function to call with a
            namespace that is new.
    """

    # Reading

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
        keys = _listed(keys)
        encoded = self._encode_keys(keys)
        try:
            found = self._store.get(encoded)
        except StoreError as error:
            found = self._read_failed(error, len(encoded))
        return self._values(keys, encoded, found)

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Asynchronously get the cached values for the given keys; as ``get``."""
        keys = _listed(keys)
        encoded = self._encode_keys(keys)
        try:
            found = await self._store.aget(encoded)
        except StoreError as error:
            found = self._read_failed(error, len(encoded))
        if len(keys) <= _DECODED_AT_ONCE:
            return self._values(keys, encoded, found)
        values: dict[FullKey, ValueT] = {}
        for start in range(0, len(keys), _DECODED_AT_ONCE):
            part = slice(start, start + _DECODED_AT_ONCE)
            values |= self._values(keys[part], encoded[part], found[part])
            await _let_others_run()
        return values

    def _encode_keys(self, keys: Iterable[FullKey]) -> list[EncodedKey]:
        if self._closed:
            self._refuse_closed()
        return self._codec.keys(keys)

    def _read_failed(self, error: StoreError, keys: int) -> Sequence[Found]:
        self._failsafe.failed("read", error)
        return [None] * keys

    def _values(
        self, keys: Sequence[FullKey], encoded: Sequence[EncodedKey], found: Sequence[Found]
    ) -> dict[FullKey, ValueT]:
        """Decode what was found; an entry that cannot be decoded is a miss and concerns no other."""
        codec = self._codec
        if len(found) == 1:  # fast path: one key
            entry = found[0]
            counts = self._counters[encoded[0][0]]
            if entry is None:
                counts.misses += 1
                self._missed.note(encoded, self._clock())
                return {}
            if type(entry) is tuple:
                if codec.binds and entry[0].startswith(MARK):  # with an expiry, and so in an envelope
                    return self._one_unwrapped(keys[0], encoded, entry)
                try:
                    value: ValueT = codec.load(entry, encoded[0])
                except DecodeError:
                    pass  # it may be in an envelope; if not, the error is logged below
                else:
                    counts.hits += 1
                    if entry[3]:
                        counts.seconds_saved += entry[3]
                    return {keys[0]: value}
        values: dict[FullKey, ValueT] = {}
        saved = 0.0
        missed: list[EncodedKey] = []
        loads = None if codec.binds else codec.loads_typed
        for full_key, encoded_key, entry in zip(keys, encoded, found):  # noqa: B905 - strict costs a tenth of a hit
            if type(entry) is tuple:
                try:
                    values[full_key] = loads(entry[:2]) if loads else codec.load(entry, encoded_key)
                    saved += entry[3]
                    continue
                except Exception as error:
                    if not entry[0].startswith(MARK):
                        self._entry_failed(full_key, codec.decode_error(error))
                    elif (value := self._unwrapped(full_key, encoded_key, entry)) is not _MISS:
                        values[full_key] = value
                        saved += entry[3]
                        continue
            elif isinstance(entry, HitrateError):
                self._entry_failed(full_key, entry)
            missed.append(encoded_key)
        if missed:
            self._missed.note(missed, self._clock())
        self._counters.count_read(encoded, found, missed, saved)
        return values

    def _one_unwrapped(self, full_key: FullKey, encoded: Sequence[EncodedKey], entry: Entry) -> dict[FullKey, ValueT]:
        """Return the value of the only entry that was found, which is in an envelope; count it."""
        value = self._unwrapped(full_key, encoded[0], entry)
        counts = self._counters[encoded[0][0]]
        if value is _MISS:
            counts.misses += 1
            self._missed.note(encoded, self._clock())
            return {}
        counts.hits += 1
        counts.seconds_saved += entry[3]
        return {full_key: value}

    def _unwrapped(self, full_key: FullKey, encoded_key: Any, entry: Any) -> Any:
        """Return the value of an entry in an envelope; ``_MISS`` if it is stale, is an exception, or is damaged."""
        try:
            return self._opened(encoded_key, entry)
        except DecodeError as error:
            self._entry_failed(full_key, error)
            return _MISS

    def _opened(self, encoded_key: Any, entry: Any) -> Any:
        envelope, encoding = opened(entry[0])
        until = [instant for instant in (envelope.fresh_until, envelope.expires) if instant is not None]
        if envelope.error or (until and min(until) <= self._clock()):
            return _MISS
        return self._codec.value((encoding, *entry[1:]), encoded_key, envelope.mark)

    def _entry_failed(self, full_key: FullKey, error: HitrateError) -> None:
        namespace, key = full_key
        named = type(error)(f"the entry of namespace {namespace!r}, key {key!r} is unusable: {error}")
        named.__cause__ = error
        self._failsafe.failed("read of an entry", named)

    # Writing

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> None:
        """Set the cached values for the given keys and TTLs, all of them or none.

        Args:
            pairs: for each full key the value and its TTL, seconds or a timedelta. None or inf never expires (or
                expires after ``default_ttl``, if one was given, for None); 0 or less removes the key.

        Raises:
            TypeError: a key, pair or TTL has the wrong type.
            ValueError: a TTL is NaN.
            SerializationError: a value cannot be stored exactly; nothing was stored.
            ClosedError: the cache is closed.
        """
        changes = self._serialise(pairs)
        try:
            removed = self._store.write(changes)
        except StoreError as error:
            carry_out(self._dropped("write", error, changes))
        else:
            self._count_write(changes, removed)

    def aset(self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys and TTLs; as ``set``.

        The values are serialised when this is called, not when the result is awaited: what happens to them in between
        does not reach the cache. Errors are raised by the await.
        """
        try:
            changes = self._serialise(pairs)
        except Exception as error:
            return _raise(error)
        return self._awrite(changes)

    async def _awrite(self, changes: Changes) -> None:
        try:
            removed = await self._store.awrite(changes)
        except StoreError as error:
            await acarry_out(self._dropped("write", error, changes))
        else:
            self._count_write(changes, removed)

    def _serialise(self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Changes:
        """Check and serialise a whole batch before anything of it is stored."""
        check_pairs(pairs)
        encoded = self._encode_keys(pairs)
        now = self._clock()
        missed, codec = self._missed, self._codec
        changes: dict[EncodedKey, Entry | None] = {}
        for encoded_key, (full_key, pair) in zip(encoded, pairs.items(), strict=True):
            try:
                value, ttl = pair
            except (TypeError, ValueError) as error:
                refuse_pair(full_key, error)
            expiry = None if ttl is None is self._default_ttl else self._expiry(ttl, now)
            if expiry is not None and expiry <= now:
                changes[encoded_key] = None
                continue
            try:
                if codec.binds:
                    encoding, payload = codec.encoded(value, encoded_key, expiry)
                else:
                    encoding, payload = codec.dump(value, encoded_key)
            except SerializationError as error:
                self._cannot_store(full_key, error)
                changes[encoded_key] = None  # the old value must not be served in the place of this one
                continue
            seconds = missed.seconds_since(encoded_key, now) if missed else 0.0
            changes[encoded_key] = (encoding, payload, expiry, seconds)
        return changes

    def _expiry(self, ttl: TTL | None, now: float) -> float | None:
        return expiry_of(self._default_ttl if ttl is None else ttl, now)

    def _cannot_store(self, full_key: FullKey, error: SerializationError) -> None:
        """Refuse the batch because of a value that cannot be stored exactly."""
        namespace, key = full_key
        raise SerializationError(
            f"cannot store the value of namespace {namespace!r}, key {key!r}: {error}",
            where=error.where,
            type_name=error.type_name,
        ) from error

    def _count_write(self, changes: Changes, removed: int) -> None:
        if len(changes) == 1:
            (((name, _), entry),) = changes.items()
            counts = self._counters[name]
            if entry is not None:
                counts.sets += 1
            counts.deletes += removed
            return
        stored = [name for (name, _), entry in changes.items() if entry is not None]
        self._counters.count_sets(stored, len(stored))
        self._counters.count_removed([name for (name, _), entry in changes.items() if entry is None], removed)

    # Removing

    def delete(self, keys: Sequence[FullKey]) -> int:
        """Remove the given keys.

        Args:
            keys: full keys, any number of them.

        Returns:
            How many of them were there.

        Raises:
            TypeError: a key is not a ``(tuple of str, str)``.
            ClosedError: the cache is closed.
        """
        changes: Changes = dict.fromkeys(self._keys_to_remove(keys))
        try:
            removed = self._store.write(changes)
        except StoreError as error:
            carry_out(self._dropped("delete", error, changes))
            return 0
        self._counters.count_removed([name for name, _ in changes], removed)
        return removed

    async def adelete(self, keys: Sequence[FullKey]) -> int:
        """Asynchronously remove the given keys; as ``delete``."""
        changes: Changes = dict.fromkeys(self._keys_to_remove(keys))
        try:
            removed = await self._store.awrite(changes)
        except StoreError as error:
            await acarry_out(self._dropped("delete", error, changes))
            return 0
        self._counters.count_removed([name for name, _ in changes], removed)
        return removed

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Delete the cached values for the given namespaces.

        If no namespaces are provided, clear all cached values.

        Args:
            namespaces: exactly these, none of those that merely begin alike; None for everything of this cache.

        Raises:
            TypeError: a namespace is not a tuple of str.
            ClosedError: the cache is closed.
        """
        names = self._namespaces_to_clear(namespaces)
        if names is None or names:
            try:
                self._store.clear(names)
            except StoreError as error:
                self._not_cleared(error, "clear", names)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Asynchronously delete the cached values for the given namespaces; as ``clear``."""
        names = self._namespaces_to_clear(namespaces)
        if names is None or names:
            try:
                await self._store.aclear(names)
            except StoreError as error:
                self._not_cleared(error, "clear", names)

    def clear_under(self, prefix: Namespace) -> None:
        """Delete the cached values of every namespace that begins with this one.

        Args:
            prefix: a tuple of str: ``("a",)`` stands for ``("a",)`` itself, ``("a", "b")`` and so on, and not for
                ``("ab",)``; the empty tuple for everything of this cache.

        Raises:
            TypeError: the prefix is not a tuple of str.
            ClosedError: the cache is closed.
        """
        name = self._encode_prefix(prefix)
        self._clearing_under(prefix)
        try:
            if name:
                self._store.clear_under(name)
            else:
                self._store.clear(None)
        except StoreError as error:
            self._not_cleared(error, *(("clear_under", name) if name else ("clear", None)))

    async def aclear_under(self, prefix: Namespace) -> None:
        """Asynchronously delete the cached values of every namespace that begins with this one; as ``clear_under``."""
        name = self._encode_prefix(prefix)
        self._clearing_under(prefix)
        try:
            if name:
                await self._store.aclear_under(name)
            else:
                await self._store.aclear(None)
        except StoreError as error:
            self._not_cleared(error, *(("clear_under", name) if name else ("clear", None)))

    # What a store did not take

    def _dropped(self, doing: str, error: StoreError, keys: Collection[EncodedKey]) -> Plan[None]:
        """Count a write or a removal that the store did not take, and see that its old values for these keys are not
        served.

        The old values are removed, which a full store can do. While the store cannot, the keys are misses in this
        process. If the store timed out, this call does not ask it again, since it would take twice its time.

        Raises:
            StoreError: the given error, with ``on_error="raise"``; then the caller knows that old values are there.
        """
        self._failsafe.failed(doing, error)
        if keys:
            store = self._withholding("write", keys)
            if not error.timed_out:
                try:
                    yield from store.paying(keys)
                except StoreError as late:  # the removal timed out; the failed write is counted already
                    log.debug("what a dropped %s was to replace could not be removed yet: %s", doing, late)

    def _not_cleared(self, error: StoreError, do: str, what: Any) -> None:
        """Count a ``clear`` or ``clear_under`` that the store did not take, and see that what it was to clear is not
        served.

        Raises:
            StoreError: the given error, with ``on_error="raise"``.
        """
        self._failsafe.failed("clear", error)
        self._withholding(do, what)

    def _withholding(self, do: str, what: Any) -> WithholdingStore:
        from hitrate.stores.withholding import WithholdingStore

        with a_few_lines:
            store = self._store
            if not isinstance(store, WithholdingStore):
                store = WithholdingStore(store, self._serve_all)
            store.owe(do, what)
            self._exchange(store)
        return store

    def _serve_all(self, store: WithholdingStore) -> None:
        """Put the store itself back in its place: nothing is to be withheld any more."""
        with a_few_lines:
            if store is self._store and not store.owes:
                self._exchange(store.store)

    def _keys_to_remove(self, keys: Iterable[FullKey]) -> list[EncodedKey]:
        keys = _listed(keys)
        encoded = self._encode_keys(keys)
        self._removing(keys)
        return encoded

    def _namespaces_to_clear(self, namespaces: Sequence[Namespace] | None) -> list[bytes] | None:
        if self._closed:
            self._refuse_closed()
        if namespaces is not None:
            namespaces = check_namespaces(namespaces)
        self._clearing(namespaces)
        return None if namespaces is None else self._codec.namespaces(namespaces)

    # Hooks: what is about to be removed, before the store is asked to

    def _removing(self, keys: Sequence[FullKey]) -> None:
        """Called with keys, which were checked."""

    def _clearing(self, namespaces: Sequence[Namespace] | None) -> None:
        """Called with namespaces, which were checked, or None for all."""

    def _clearing_under(self, prefix: Namespace) -> None:
        """Called with the beginning of namespaces, which was checked."""


def _listed(keys: Iterable[FullKey]) -> Sequence[FullKey]:
    """Return the keys as a list or tuple: an iterator could be used only once."""
    return keys if type(keys) is list or type(keys) is tuple else list(keys)


async def _raise(error: Exception) -> None:
    raise error


async def _let_others_run() -> None:
    from asyncio import sleep

    await sleep(0)
