"""The in-memory cache.

A hit on an immutable value is the value itself; a hit on anything else is a copy of its own. What the copy is made
from is decided by use: the stored bytes at first, and from the second hit on a private original, wherever copying
that is faster than decoding.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from hitrate.base import TTL, FullKey, Namespace, ValueT
from hitrate.cache import _MISS, _raise
from hitrate.clock import OtherTime, wall_clock
from hitrate.compute.cache import ComputingCache
from hitrate.entry import DEFAULT_ENCODING, expiry_of
from hitrate.envelope import MARK
from hitrate.errors import ClosedError, DecodeError, SerializationError
from hitrate.failsafe import OnError
from hitrate.keys import check_pairs, plain_key, plain_keys, refuse_keys, refuse_pair
from hitrate.memory_codec import FLOATS, MemoryCodec
from hitrate.serde import SerializerProtocol
from hitrate.stats import REMEMBERED_MISSES, Counts
from hitrate.stores.base import Evict
from hitrate.stores.memory.due import NEVER
from hitrate.stores.memory.forms import Forms
from hitrate.stores.memory.space import ABSENT, ENTRY_OVERHEAD, SECONDS, Held, LargeSpace, Space
from hitrate.stores.memory.store import MemoryStore

_FLOAT_SIZE = sys.getsizeof(1.0)

_FOR_EVER = float("inf")

_NOBODY: dict[Any, Held] = {}
_TUPLES = {tuple}


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

    _codec: MemoryCodec
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
        super().__init__(store, serde=serde, default_ttl=default_ttl, on_error=on_error, clock=clock, codec=MemoryCodec)
        store.counters = self._counters
        self._time: Any = time if clock is wall_clock else OtherTime(clock)
        self._spaces: dict[Any, Space] = store.spaces
        self._quick: dict[Any, Space] = store.spaces  # for ``_fast_path``; empty while there is a hook for events
        self._exact = self._codec.exact
        self._plain = self._exact and default_ttl is None
        self._forms = Forms(store, self.serde.loads_typed)
        self._decoded = 0
        self._pause = self._forms.pause
        self._pack: Callable[[Any], bytes] = getattr(self.serde, "pack", bytes)
        self._loads = self.serde.loads_typed
        # What ``get`` needs, in one attribute.
        self._reads_by = self._spaces, self._missed, store, self._loads if self._exact else None

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
        spaces, missed, store, decodes = self._reads_by
        latest = store.latest_batch
        misses = 0
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
                            for value in InMemoryCache.get(self, [plain]).values():
                                values[full_key] = value
                            continue
                elif (make := held[0]) is None or type(make) is not str:
                    if held[2] is None or held[2] > self._time.time():
                        values[full_key] = held[1] if make is None else make(held[1])
                        if not held[4]:
                            self._store.visit(space, key, held)
                        space.counts.hits += 1
                        if held[3]:
                            space.counts.seconds_saved += held[3]
                        continue
                    self._store.expire(space, key, held)
                else:
                    if decodes and held[4] and not space.decoded and make != FLOATS:
                        # Fast path: the usual entry is decoded for each hit; one hit in many goes on below, to choose
                        # its form.
                        self._decoded = number = self._decoded + 1
                        if number & self._pause and (held[2] is None or held[2] > self._time.time()):
                            try:
                                values[full_key] = decodes((make, held[1]))
                                space.counts.hits += 1
                                if held[3]:
                                    space.counts.seconds_saved += held[3]
                                continue
                            except DecodeError:
                                pass  # counted and logged below
                    value = self._unpacked(space, full_key, held)
                    if value is not _MISS:
                        values[full_key] = value
                        space.counts.hits += 1
                        if held[3]:
                            space.counts.seconds_saved += held[3]
                        continue
                self._counters[namespace].misses += 1
                misses += 1
                missed[full_key] = self._time.time()
        except (TypeError, ValueError) as error:
            self._uncount(keys, values)
            refuse_keys(keys, error)
        if misses:
            if len(missed) > REMEMBERED_MISSES:
                missed.forget(misses)
        elif not values and self._closed:  # of an empty batch, no lookup has raised ClosedError
            self._refuse_closed()
        if store.latest_batch is not latest or latest is None:
            return self._get_whole(keys, values)
        return values

    def _get_whole(self, keys: Collection[FullKey], found: dict[FullKey, ValueT]) -> dict[FullKey, ValueT]:
        """Read keys again, since several entries were changed as one meanwhile: all as before that change, or all as
        after.

        Args:
            keys: full keys.
            found: what was found for them, and counted; what is found now is counted where it differs.
        """
        if not isinstance(keys, Collection):  # an iterator is used up; to miss is always right
            return {}
        if len(keys) == 1:
            return found
        plain = plain_keys(keys)
        values: dict[FullKey, ValueT] = {}
        for given, full_key, (space, held) in zip(keys, plain, self._store.look(plain), strict=True):
            counts = self._counters[full_key[0]]
            if space is None or held is None or (value := self._value(space, full_key, held)) is _MISS:
                if given in found:
                    counts.hits -= 1
                    counts.misses += 1
                    self._missed.note([full_key], self._time.time())
                continue
            values[given] = value
            if given not in found:
                seconds = held[SECONDS]
                counts.hits += 1
                counts.misses -= 1
                counts.seconds_saved += seconds
                self._missed.pop(full_key, None)
        return values

    def _value(self, space: Space, full_key: FullKey, held: Held) -> Any:
        """Return the value of an entry as a hit gets it; ``_MISS`` if it has none."""
        make, value, expiry = held[:3]
        if type(make) is str:
            return self._unpacked(space, full_key, held)
        if expiry is not None and expiry <= self._time.time():
            self._store.expire(space, full_key[1], held)
            return _MISS
        self._store.visit(space, full_key[1], held)
        return value if make is None else make(value)

    def _uncount(self, keys: Sequence[FullKey], values: Mapping[FullKey, Any]) -> None:
        """Take back what was counted of a read in which a key is wrong: a misuse counts nothing.

        Args:
            keys: that were asked for.
            values: what was found for those before the wrong one.
        """
        for full_key in keys:
            try:
                namespace, key = plain_key(full_key)
            except TypeError:
                return
            counts = self._counters[namespace]
            if full_key in values:
                seconds = self._spaces.get(namespace, _NOBODY).get(key, ABSENT)[SECONDS]
                counts.hits -= 1
                counts.seconds_saved -= seconds
            else:
                counts.misses -= 1

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Asynchronously get the cached values for the given keys; as ``get``, which never waits here."""
        return InMemoryCache.get(self, keys)  # not the method of a subclass, which may be the caller

    def _fast_path(self, counts: Counts | None = None) -> Callable[[FullKey], Any]:
        """Return a function that serves a hit faster than ``get``; after a miss of it, ``get`` has to be asked.

        It returns the value of a key whose entry is in the form that serves its hits best, and ``_MISS`` for any other.
        It raises KeyError where there is no entry, and ClosedError once the cache is closed.

        Args:
            counts: where hits are counted; None for the counts of the namespace.
        """

        def hit(full_key: FullKey) -> Any:
            namespace, key = full_key
            space = self._quick[namespace]
            held = space[key]
            make = held[0]
            if type(make) is str or not held[4]:
                return _MISS
            expiry = held[2]
            if expiry is not None and expiry <= self._time.time():
                return _MISS
            its_counts = space.counts if counts is None else counts
            its_counts.hits += 1
            if held[3]:
                its_counts.seconds_saved += held[3]
            return held[1] if make is None else make(held[1])

        return hit

    def _unpacked(self, space: Space, full_key: FullKey, held: Held) -> Any:
        """Return the value of an entry held as bytes; ``_MISS`` if it has none.

        Unless this is the first hit of the entry, choose the form that serves the next hits best. Choosing takes as
        long as dozens of hits, so ``get`` calls this for one hit in many; where decoding turns out to be best, that
        holds for the whole namespace.
        """
        encoding, payload, expiry, seconds, visited, created, _ = held
        if expiry is not None and expiry <= self._time.time():
            self._store.expire(space, full_key[1], held)
            return _MISS
        value: Any
        try:
            if encoding == FLOATS:
                value = self._codec.proven_floats(payload)
            elif self._exact:
                value = self._loads((encoding, payload))
            else:
                value = self._codec.load(held, full_key)
        except DecodeError as error:
            if encoding.startswith(MARK):
                return self._unwrapped(full_key, full_key, held)
            self._entry_failed(full_key, error)
            return _MISS
        if encoding == FLOATS:
            size = sys.getsizeof(value) + len(value) * _FLOAT_SIZE + len(full_key[1]) + ENTRY_OVERHEAD
            self._store.replace(space, full_key[1], held, (list.copy, value, expiry, seconds, True, created, size))
            value = value.copy()
        elif not visited:
            self._store.visit(space, full_key[1], held)
        elif self._exact:
            value = self._forms.choose(space, full_key[1], held, value)
            self._pause = self._forms.pause
        return value

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
            # Fast path: into a namespace that is there and has room (see the head of stores/memory/store.py).
            held: Held | None = None
            try:
                if len(keys) != 1:
                    if self._set_many(keys):
                        return
                else:
                    ((full_key, (value, ttl)),) = keys.items()
                    namespace, key = full_key
                    store = self._store
                    space = self._spaces[namespace]
                    counts = space.counts
                    now = self._time.time()
                    expiry = None if ttl is None else expiry_of(ttl, now)
                    latest = _FOR_EVER if expiry is None else expiry
                    if latest > now and type(key) is str and type(full_key) is tuple:
                        if type(value) is dict:
                            payload = self._pack(value)
                            seconds = self._missed.seconds_since(full_key, now) if self._missed else 0.0
                            size = len(payload) + len(key) + ENTRY_OVERHEAD  # as `size_of` has it
                            held = DEFAULT_ENCODING, payload, expiry, seconds, False, now, size
                        else:
                            seconds = self._missed.seconds_since(full_key, now) if self._missed else 0.0
                            held = self._codec.held(value, full_key, expiry, seconds, now)
                            size = held[6]
                        # One line, within which no thread switch and no exception can come. What is not noted as due
                        # must be due no sooner than something that is.
                        if space.room >= size and space.parts is None and now < store.due.soonest and store.due.begins <= latest and ((old := space[key] if key in space else ABSENT)[2] or NEVER) <= latest: space[key] = held; space.room += old[6] - size; counts.sets += 1; return  # fmt: skip  # noqa: E501, E701, E702, SIM401
                        if type(space) is LargeSpace and store.put_in_part(space, key, held, now, latest):
                            counts.sets += 1
                            return
            except Exception:  # noqa: S110 - another write, or a wrong one: below it is told which
                pass
            if held is not None:
                batch = [(space.name, key, held)]  # pyright: ignore[reportPossiblyUnboundVariable]  # bound before it
                stored, _ = self._store.put(batch)
                counts = self._counters[space.name]  # pyright: ignore[reportPossiblyUnboundVariable]  # as above
                counts.sets += stored
                return
        changes = self._snapshot(keys)
        stored, removed = self._store.put(changes)
        self._counters.count_sets([name for name, _, held in changes if held is not None], stored)
        self._counters.count_removed([name for name, _, held in changes if held is None], removed)

    def _set_many(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> bool:
        """Store the usual batch, of one namespace and one TTL, on a fast path; return False if it is another.

        All of them are packed before the first is stored.

        Raises:
            Exception: an entry cannot be stored; none of them was.
        """
        now = self._time.time()
        pack, held_form, missed = self._pack, self._codec.held, self._missed
        if not keys:
            return False
        ((namespace, _), (_, ttl)) = next(iter(keys.items()))
        space = self._spaces[namespace]
        expiry = None if ttl is None else expiry_of(ttl, now)
        latest = _FOR_EVER if expiry is None else expiry
        if latest <= now or {*map(type, keys)} != _TUPLES:
            return False
        batch: dict[str, Held] = {}
        total = 0
        for (its_namespace, key), (value, its_ttl) in keys.items():
            if its_namespace is not namespace and its_namespace != namespace:
                return False
            if its_ttl is not ttl and (its_ttl != ttl or type(its_ttl) is not type(ttl)):
                return False
            if type(key) is not str:
                return False
            if missed or type(value) is not dict:
                full_key = (namespace, key)
                seconds = missed.seconds_since(full_key, now) if missed else 0.0
                batch[key] = held = held_form(value, full_key, expiry, seconds, now)
                total += held[6]
                continue
            payload = pack(value)
            size = len(payload) + len(key) + ENTRY_OVERHEAD
            batch[key] = DEFAULT_ENCODING, payload, expiry, 0.0, False, now, size
            total += size
        stored = self._store.put_alike(space, batch, total, now, latest)
        counts = space.counts
        counts.sets += stored
        return True

    def aset(self, keys: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys; as ``set``.

        The values are taken as they are when this is called, not when the result is awaited, and are readable from then
        on. Errors are raised by the await.
        """
        try:
            InMemoryCache.set(self, keys)  # not the method of a subclass, which may be the caller
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
        names, held_form, missed = self._codec.names, self._codec.held, self._missed
        for full_key, pair in pairs.items():
            try:
                namespace, key = full_key
                if namespace not in names or type(key) is not str or type(full_key) is not tuple:
                    namespace, key = plain_key(full_key)
                    names[namespace]
                value, ttl = pair
            except (TypeError, ValueError) as error:
                refuse_pair(full_key, error)
            expiry = None
            now = self._time.time()
            if ttl is not None or self._default_ttl is not None:
                expiry = expiry_of(self._default_ttl if ttl is None else ttl, now)
                if expiry is not None and expiry <= now:
                    batch.append((namespace, key, None))
                    continue
            try:
                full = (namespace, key)
                seconds = missed.seconds_since(full, now) if missed else 0.0
                batch.append((namespace, key, held_form(value, full, expiry, seconds, now)))
            except SerializationError as error:
                self._cannot_store(full_key, error)
                batch.append((namespace, key, None))  # the old value must not be served in the place of this one
        return batch

    def _watch_store(self, told: Callable[[Any, Any, Any], None] | None) -> None:
        super()._watch_store(told)
        self._quick = self._spaces if told is None else {}

    def _count_in(self, namespace: Namespace) -> int:
        if self._closed:
            self._refuse_closed()
        now = self._time.time()
        space = self._spaces.get(namespace, _NOBODY)
        found = [space.get(key, ABSENT) for key in list(space)]  # not its values: it may be divided meanwhile
        return sum(each is not ABSENT and (each[2] is None or each[2] > now) for each in found)

    def close(self) -> None:
        """Close the cache and let go of its entries. Calling it again does nothing."""
        super().close()
        self._spaces = self._quick = _ClosedSpaces()
        self._reads_by = self._spaces, *self._reads_by[1:]
        self._forms.hot.clear()

    async def aclose(self) -> None:
        """Asynchronously close the cache; as ``close``."""
        self.close()


class _ClosedSpaces(dict[Any, Space]):
    """Stands for the entries of a closed cache, so that a read need not ask whether it is open."""

    def get(self, key: object, default: object = None) -> Any:
        self[key]

    def __missing__(self, key: object) -> Any:
        raise ClosedError("this InMemoryCache is closed; open another one")


async def _done() -> None:
    """Return at once when it is awaited: the work is done."""
