"""The in-memory cache.

A hit on an immutable value is the value itself; a hit on anything else is a copy of its own. What the copy is made
from is decided by use: the stored bytes at first, and from the second hit on a private original, wherever copying
that is faster than decoding.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from operator import call
from typing import Any

from hitrate.base import TTL, FullKey, Namespace, ValueT
from hitrate.cache import _MISS, _raise
from hitrate.clock import OtherTime, wall_clock
from hitrate.compute.cache import ComputingCache
from hitrate.entry import DEFAULT_ENCODING, Entry, expiry_of
from hitrate.envelope import MARK, Envelope
from hitrate.errors import ClosedError, DecodeError, SerializationError
from hitrate.failsafe import OnError
from hitrate.keys import (
    check_namespace,
    check_namespaces,
    check_pairs,
    encode_text,
    plain_key,
    plain_keys,
    refuse_keys,
    refuse_pair,
)
from hitrate.serde import MsgpackSerializer, SerializerProtocol, copier, is_immutable
from hitrate.serde.packing import is_packed_floats, pack_floats
from hitrate.stats import REMEMBERED_MISSES
from hitrate.stores.memory import ENTRY_OVERHEAD, Evict, Held, MemoryStore, Space, footprint, size_of, spelled_out

_FLOAT_SIZE = sys.getsizeof(1.0)
_FLOATS = "floats"
"""A list of floats, as far as the length of its payload tells; no encoding that leaves this file."""

_LONGEST_TTL = 1e10  # seconds; a float tells seconds apart that far

_HOT_BYTES = 1 << 19
"""Originals that hits copy, at most. A copy is faster than decoding only from what the processor has near: of 1,000
entries of 1 kB, whose objects take 5 MB, it took half as long again."""

_OFTEN, _RARELY = 63, 1023
"""One hit in 64 chooses how its entry is held, and one in 1,024 while the originals take what they may."""


class InMemoryCache(ComputingCache[ValueT]):
    """A cache in this process's memory.

    Args:
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
        max_bytes: bytes held at most, None for no limit. What a hit has shown to be worth holding as an object counts
            with the memory of that object.
        max_entries: entries held at most, None for no limit.
        default_ttl: seconds (or a timedelta) that an entry set with a TTL of None stays fresh; None for ever.
        on_error: ``"miss"`` turns an entry that cannot be decoded into a miss, ``"raise"`` raises.
        clock: returns the seconds since the epoch; what ``time.time`` is when it is asked, if not given.
        evict: what goes when room is needed. ``"sieve"``: what was not read lately. ``"cost"``: what saves the fewest
            seconds per byte, by the seconds that its value took (from the miss to the set, or measured by
            ``get_or_compute`` and ``cached``) and by how often it was read; where no seconds are known, the median of
            the others counts.

    Raises:
        ValueError: ``evict`` is neither, or a limit is 0 or less.
    """

    _store: MemoryStore

    def __init__(
        self,
        *,
        serde: SerializerProtocol | None = None,
        max_bytes: int | None = 1 << 30,
        max_entries: int | None = None,
        default_ttl: TTL | None = None,
        on_error: OnError = "miss",
        clock: Callable[[], float] = wall_clock,
        evict: Evict = "sieve",
    ) -> None:
        store = MemoryStore(max_bytes=max_bytes, max_entries=max_entries, clock=clock, evict=evict)
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock)
        self._time: Any = time if clock is wall_clock else OtherTime(clock)
        self._spaces: dict[Any, Space] = store.spaces
        # Only our own serializer is known to be exact, and so to allow sharing and copying in the place of decoding.
        self._exact = type(self.serde) is MsgpackSerializer
        self._plain = self._exact and default_ttl is None
        self._dumps = self.serde.dumps_typed
        self._trusts_lengths = True
        self._hot: deque[tuple[Space, str, Held, int]] = deque()
        self._hot_size = 0
        self._decoded = 0
        self._settling = _OFTEN
        self._pack: Callable[[Any], bytes] = getattr(self.serde, "pack", bytes)
        self._loads = self.serde.loads_typed
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
        missed = self._missed
        decodes, loads = self._exact, self._loads
        hits = misses = 0
        saved = 0.0
        try:
            for full_key in keys:
                namespace, key = full_key
                space = spaces.get(namespace)
                held = None if space is None else space.get(key)
                if space is None or held is None:
                    # The key of a hit needs no check: it equals one that was stored.
                    if space is None or type(full_key) is not tuple or type(key) is not str:
                        plain = plain_key(full_key)
                        if plain is not full_key:
                            for value in self.get([plain]).values():
                                values[full_key] = value
                            continue
                elif type(held) is tuple and type(held[0]) is not str:
                    if held[2] is None or held[2] > self._time.time():
                        values[full_key] = held[1] if held[0] is None else held[0](held[1])
                        if not held[4]:
                            self._store.visit(space, key, held)
                        hits += 1
                        saved += held[3]
                        continue
                    self._store.expire(space, key, held)
                else:
                    if decodes and type(held) is tuple and held[4] and not space.decoded and held[0] != _FLOATS:
                        # The usual entry of many: decoded for each hit, but for one hit in many.
                        self._decoded = number = self._decoded + 1
                        if number & self._settling and (held[2] is None or held[2] > self._time.time()):
                            try:
                                values[full_key] = loads((held[0], held[1]))
                                hits += 1
                                saved += held[3]
                                continue
                            except DecodeError:
                                pass  # told below
                    value = self._unpacked(space, full_key, held)
                    if value is not _MISS:
                        values[full_key] = value
                        hits += 1
                        if type(held) is tuple:
                            saved += held[3]
                        continue
                misses += 1
                missed[full_key] = self._time.time()
        except (TypeError, ValueError) as error:
            refuse_keys(keys, error)
        counters = self._counters
        counters.hits += hits
        if saved:
            counters.seconds_saved += saved
        if misses:
            counters.misses += misses
            if len(missed) > REMEMBERED_MISSES:
                missed.forget(misses)
        elif not values and self._closed:  # nothing was asked for, and so nothing told that it is closed
            self._refuse_closed()
        return values

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Asynchronously get the cached values for the given keys; as ``get``, which never waits here."""
        return InMemoryCache.get(self, keys)  # not that of a subclass, which has been here already

    def _hit(self, full_key: FullKey) -> Any:
        """Return the value of a key whose entry is in the form that serves its hits best; ``_MISS`` for any other.

        The hit of a cached function, with less ado than ``get``, which must be asked about what is missed here.

        Raises:
            KeyError: there is no entry.
            ClosedError: the cache is closed.
        """
        namespace, key = full_key
        held = self._spaces[namespace][key]
        if type(held) is not tuple:
            return _MISS
        make = held[0]
        if type(make) is str or not held[4]:
            return _MISS
        expiry = held[2]
        if expiry is not None and expiry <= self._time.time():
            return _MISS
        counters = self._counters
        counters.hits += 1
        if held[3]:
            counters.seconds_saved += held[3]
        return held[1] if make is None else make(held[1])

    def _unpacked(self, space: Space, full_key: FullKey, held: Held) -> Any:
        """Return the value of an entry held as bytes, or as a str that was never read; ``_MISS`` if it has none.

        Choose the form that serves its next hits best, unless this is its first. To choose takes as long as dozens of
        hits, so ``get`` comes here once in a while only; where it was to go on decoding, it is so for the whole
        namespace.
        """
        encoding, payload, expiry, seconds, visited = entry = spelled_out(held)
        if expiry is not None and expiry <= self._time.time():
            self._store.expire(space, full_key[1], held)
            return _MISS
        value: Any
        try:
            if encoding is None:
                value = payload
            elif encoding == _FLOATS:
                value = self._proven_floats(payload)
            elif self._exact:
                value = self._loads((encoding, payload))
            else:
                value = self._load(entry, full_key)  # type: ignore[arg-type]  # keys stay as they are
        except DecodeError as error:
            if encoding is not None and encoding.startswith(MARK):
                return self._unwrapped(full_key, full_key, entry)  # type: ignore[arg-type]  # as above
            self._entry_failed(full_key, error)
            return _MISS
        if encoding == _FLOATS:
            size = sys.getsizeof(value) + len(value) * _FLOAT_SIZE
            self._store.replace(space, full_key[1], held, (list.copy, value, expiry, seconds, True, size))
            value = value.copy()
        elif not visited:
            self._store.visit(space, full_key[1], held)
        elif self._exact:
            value = self._settled(space, full_key, held, value)
        return value

    def _proven_floats(self, payload: bytes) -> Any:
        """Return the list that ``_held`` took for floats by its length alone.

        To look at each of them would make a set slower than the packing itself, so the first hit does. Numbers and text
        may be in it too. Bytes may have been a bytearray, which is packed as if it was bytes: then the list is a miss,
        and lengths are trusted no more.

        Raises:
            DecodeError: it holds something else.
        """
        value = self._loads((DEFAULT_ENCODING, payload))
        if not is_packed_floats(payload) and not {*map(type, value)} <= {float, int, str}:
            self._trusts_lengths = False
            raise DecodeError("a list that holds other things was taken for one of floats; set it again")
        return value

    def _settled(self, space: Space, full_key: FullKey, held: Held, value: Any) -> Any:
        """Hold a value that was just decoded in the form that serves its next hits best; return one for this hit."""
        encoding, payload, expiry, seconds, _ = held
        if space.decoded:
            other: Held = (self._decoder(encoding), *held[1:])
        elif is_immutable(value):
            other = (None, value, expiry, seconds, True, footprint(value))
        elif (copy := copier(value)) is not None:
            size = footprint(value)
            other = (call, copy, expiry, seconds, True, size + len(payload), encoding, payload)
            self._hot.append((space, full_key[1], other, size))
            self._hot_size += size
            value = copy()
        else:
            space.decoded = True
            other = (self._decoder(encoding), *held[1:])
        self._store.replace(space, full_key[1], held, other)
        while self._hot_size > _HOT_BYTES:
            try:
                space, key, held, size = self._hot.popleft()
            except IndexError:  # another thread was faster
                break
            self._hot_size -= size
            self._store.replace(space, key, held, (*held[6:], *held[2:4], True))
        self._settling = _OFTEN if self._hot_size < _HOT_BYTES // 2 else _RARELY
        return value

    def _decoder(self, encoding: str) -> Callable[[bytes], Any]:
        """Return what decodes a payload, one function for each encoding."""
        decode = self._decoders.get(encoding)
        if decode is None:
            loads = self._loads
            decode = self._decoders[encoding] = lambda payload: loads((encoding, payload))
        return decode

    def set(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> None:
        """Set the cached values for the given keys.

        Args:
            keys: for each full key the value and its TTL, seconds or a timedelta. None or inf never expires (or expires
                after ``default_ttl``, if one was given, for None); 0 or less removes the key.

        Raises:
            TypeError: a key, pair or TTL has the wrong type.
            ValueError: a TTL is NaN.
            SerializationError: a value cannot be stored exactly; nothing was stored.
            ClosedError: the cache is closed.
        """
        if self._plain:
            # The usual write, with less ado than a batch: into a namespace that is there and has room (see
            # stores/memory.py), of values without a TTL, or with one whose second has been noted as due before.
            held: Held = None
            try:
                if len(keys) != 1:
                    if self._set_many(keys):
                        return
                else:
                    ((full_key, (value, ttl)),) = keys.items()
                    namespace, key = full_key
                    space = self._spaces[namespace]
                    counters = self._counters
                    if type(key) is not str or type(full_key) is not tuple:
                        pass
                    elif ttl is None:
                        kind = type(value)
                        if (kind is dict or kind is str) and not self._missed:
                            held = value if kind is str else self._pack(value)
                            taken = len(held) + len(key) + ENTRY_OVERHEAD
                        else:
                            held = self._held(value, full_key, None)
                            # As `size_of` has it for what is held at first.
                            taken = len(held[1] if type(held) is tuple else held) + len(key) + ENTRY_OVERHEAD
                        born = space.born
                        now = self._time.time()
                        # No thread switch can happen in the last lines of either branch, and no exception between what
                        # the very last one changes.
                        if key in space:
                            old = space[key]
                            if type(old) is tuple:
                                grown = taken - size_of(key, old)
                            else:
                                grown = taken - len(old) - len(key) - ENTRY_OVERHEAD
                            if space.room >= taken and space[key] is old:
                                space[key], born[key], space.room, counters.sets = held, now, space.room - grown, counters.sets + 1  # fmt: skip  # noqa: E501
                                return
                        elif space.room >= taken:
                            space[key], born[key], space.room, counters.sets = held, now, space.room - taken, counters.sets + 1  # fmt: skip  # noqa: E501
                            return
                    elif (type(ttl) is int or type(ttl) is float) and 0 < ttl < _LONGEST_TTL:
                        now = self._time.time()
                        expiry = now + ttl
                        second = int(expiry) + 1
                        if type(value) is dict and not self._missed:
                            held = DEFAULT_ENCODING, self._pack(value), expiry, 0.0, False
                        else:
                            held = self._held(value, full_key, expiry)
                        size = len(held[1])
                        grown = taken = size + len(key) + ENTRY_OVERHEAD
                        note: tuple[Any, ...] = space.name, key
                        born = space.born
                        old = space[key] if key in space else None  # noqa: SIM401 - a call would be a step of its own
                        if type(old) is tuple and len(old) == 5:
                            grown = size - len(old[1])  # as `size_of` would have it, of the same key
                            if old[2] is not None and second - 1 <= old[2] < second:
                                note = ()  # there is one
                        elif old is not None:
                            grown -= size_of(key, old)
                        # No thread switch from here on, as above. A note without its entry does no harm.
                        due = self._store.due
                        if (
                            space.room >= taken
                            and due.soonest > now
                            and due.spare > 0
                            and second in due.told
                            and (space[key] is old if key in space else old is None)
                        ):
                            due.told[second] += note
                            due.spare -= 1
                            space[key], born[key], space.room, counters.sets = held, now, space.room - grown, counters.sets + 1  # fmt: skip  # noqa: E501
                            return
            except Exception:  # noqa: S110 - another write, or a wrong one: below it is told which
                pass
            if held is not None:
                self._counters.sets += self._store.put([(space.name, key, held)])[0]  # pyright: ignore[reportPossiblyUnboundVariable]  # it was packed after these were bound
                return
        stored, removed = self._store.put(self._snapshot(keys))
        self._counters.sets += stored
        if removed:
            self._counters.deletes += removed

    def _set_many(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> bool:
        """Store the usual batch, of one namespace and one TTL, with less ado; False if it is another.

        All of them are packed before the first is stored.

        Raises:
            Exception: some entry is none that can be stored; none was.
        """
        pack = None if self._missed else self._pack
        last: Any = None
        space: Any = None
        ttl: Any = None
        expiry: float | None = None
        second = 0
        batch: list[tuple[str, Held]] = []
        for full_key, (value, its_ttl) in keys.items():
            namespace, key = full_key
            if namespace is not last:
                if last is None:
                    space = self._spaces[namespace]
                elif namespace != last:
                    return False
                last = namespace
            if type(key) is not str or type(full_key) is not tuple:
                return False
            if its_ttl is not ttl or not batch:
                if batch and (its_ttl != ttl or type(its_ttl) is not type(ttl)):
                    return False
                if its_ttl is not None and not batch:
                    if (type(its_ttl) is not int and type(its_ttl) is not float) or not 0 < its_ttl < _LONGEST_TTL:
                        return False
                    expiry = ends = self._time.time() + its_ttl
                    second = int(ends) + 1
                ttl = its_ttl
            if pack is not None and type(value) is dict:
                held: Held = pack(value) if second == 0 else (DEFAULT_ENCODING, pack(value), expiry, 0.0, False)
            else:
                held = self._held(value, full_key, expiry)
            batch.append((key, held))
        if space is None:
            return False
        self._counters.sets += self._store.put_alike(space, batch, second)
        return True

    def _held(self, value: Any, full_key: FullKey, expiry: float | None) -> Held:
        """Return the form in which a value is held at first.

        Raises:
            SerializationError: it cannot be stored exactly.
        """
        seconds = self._missed.seconds_since(full_key, self._clock()) if self._missed else 0.0
        kind = type(value)
        encoding: Any = None
        if not self._exact:
            encoding, payload = self._dump(value, full_key)  # type: ignore[arg-type]  # keys stay as they are
        elif kind is str or kind is bytes:
            payload = value
        else:
            if kind is list and self._trusts_lengths and (packed := pack_floats(value)) is not None:
                return _FLOATS, packed, expiry, seconds, False
            encoding, payload = self._dumps(value)
        # Bare bytes are read as the default encoding's, and a bare str as itself.
        if expiry is None and not seconds and (encoding == DEFAULT_ENCODING or (encoding is None and kind is str)):
            return payload
        return encoding, payload, expiry, seconds, False

    def _prepared(
        self, value: Any, encoded_key: Any, expiry: float | None, seconds: float, envelope: Envelope
    ) -> Entry:
        if envelope.mark:
            return super()._prepared(value, encoded_key, expiry, seconds, envelope)
        encoding, payload, *_ = spelled_out(self._held(value, encoded_key, expiry))
        return encoding, payload, expiry, seconds

    def _restored(self, entry: Any, encoded_key: Any, mark: str = "") -> Any:
        encoding, payload = entry[:2]
        if encoding is None:
            return payload
        if callable(encoding):
            return encoding(payload)
        return self._proven_floats(payload) if encoding == _FLOATS else self._load(entry, encoded_key, mark)

    @staticmethod
    def _is_stored_form(encoding: Any) -> bool:
        """Tell whether this is the name of an encoding, and not how only this cache holds a value."""
        return type(encoding) is str and encoding != _FLOATS

    def aset(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys; as ``set``.

        The values are taken as they are when this is called, not when the result is awaited, and are readable from then
        on. Errors are raised by the await.
        """
        try:
            InMemoryCache.set(self, keys)  # not that of a subclass, which has been here already
        except Exception as error:
            return _raise(error)
        return _done()

    def _snapshot(self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> list[tuple[Any, Any, Held | None]]:
        """Check and snapshot a whole batch before anything of it is stored."""
        if self._closed:
            self._refuse_closed()
        if type(pairs) is not dict:
            check_pairs(pairs)
        batch: list[tuple[Any, Any, Held | None]] = []
        for full_key, pair in pairs.items():
            try:
                namespace, key = full_key
                if namespace not in self._names or type(key) is not str or type(full_key) is not tuple:
                    namespace, key = plain_key(full_key)
                    self._names[namespace]
                value, ttl = pair
            except (TypeError, ValueError) as error:
                refuse_pair(full_key, error)
            expiry = None
            if ttl is not None or self._default_ttl is not None:
                now = self._time.time()
                expiry = expiry_of(self._default_ttl if ttl is None else ttl, now)
                if expiry is not None and expiry <= now:
                    batch.append((namespace, key, None))
                    continue
            try:
                batch.append((namespace, key, self._held(value, full_key, expiry)))
            except SerializationError as error:
                self._cannot_store(full_key, error)
                batch.append((namespace, key, None))  # the value it was to replace is not to be served in its place
        return batch

    def _encode_keys(self, keys: Iterable[FullKey]) -> list[Any]:
        """Check keys; in memory they are held as they are."""
        if self._closed:
            self._refuse_closed()
        return plain_keys(keys)

    def _encode_namespaces(self, namespaces: Sequence[Namespace] | None) -> list[Any] | None:
        if self._closed:
            self._refuse_closed()
        return None if namespaces is None else check_namespaces(namespaces)

    def _binding(self, encoded_key: Any, mark: str = "") -> bytes:
        namespace, key = encoded_key
        return super()._binding((self._names[namespace], encode_text(key)), mark)

    def _encode_prefix(self, prefix: Namespace) -> Any:
        if self._closed:
            self._refuse_closed()
        check_namespace(prefix)
        return prefix

    def _key_decoder(self) -> Callable[[Any, Any], FullKey]:
        return _as_it_is

    def close(self) -> None:
        """Close the cache and let go of its entries. Calling it again does nothing."""
        super().close()
        self._spaces = _ClosedSpaces()
        self._hot.clear()

    async def aclose(self) -> None:
        """Asynchronously close the cache; as ``close``."""
        self.close()


class _ClosedSpaces(dict[Any, Space]):
    """Stands for the entries of a closed cache, so that a read need not ask whether it is open."""

    def get(self, key: object, default: object = None) -> Any:
        self[key]

    def __missing__(self, key: object) -> Any:
        raise ClosedError("this InMemoryCache is closed; open another one")


def _as_it_is(namespace: Any, key: Any) -> FullKey:
    return namespace, key


async def _done() -> None:
    """Be awaited: what there was to do is done."""
