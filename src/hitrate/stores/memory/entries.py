"""The entries of a store in memory, and what is counted of them: bytes, places in the order of arrival, what is due.

Everything here but ``change`` is done while the lock is held. A namespace may be given room: bytes that writers take
without the lock. Once its room is taken back nobody writes to it without the lock, and each of its entries has its
place in the order of arrival.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from hitrate import forking
from hitrate.exclusive import Exclusive, HeldOverForks, when_free
from hitrate.failsafe import log
from hitrate.stats import Counters
from hitrate.stores.base import Evict, check_evict, check_limit
from hitrate.stores.memory import dividing, housekeeping
from hitrate.stores.memory.arrivals import Arrivals
from hitrate.stores.memory.due import NEVER, Due
from hitrate.stores.memory.limits import make_room
from hitrate.stores.memory.ranks import Ranks
from hitrate.stores.memory.space import ABSENT, EXPIRY, SIZE, Held, LargeSpace, Space

T = TypeVar("T")

_PURGED_PER_WRITE = 64
_NOTED_AT_ONCE = 1_000
_FEW = 16  # namespaces that a write may look at for what came before it
_MOVED_PER_STEP = 1_000
_ROOM_AT_MOST = 1 << 20
_ROOM_AT_LEAST = 1 << 12
GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


class Entries:
    """Entries in this process, as long as there is room for them.

    Args:
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        clock: returns the seconds since the epoch.
        evict: ``"sieve"`` evicts what was not read lately, ``"cost"`` what saves the fewest seconds per byte.

    Attributes:
        spaces: the entries by namespace.
        counters: what is counted of each namespace; those of the cache, once that is there.
        latest_batch: another object after each change of several entries as one, None during one: it tells readers of
            several entries whether there was one meanwhile.
        lock: guards what leaves, the order of arrival and what is due; never held while values are encoded or decoded.
        bounded: whether there is a limit; the order of arrival is kept only then.
        granted: bytes that count as taken, the room of all namespaces with them.
        queued: entries that have their place in the order of arrival.
        due: what expires when.
        due_before: what was noted before, while all that is due is noted anew.
        divided: large namespaces whose entries are still to be moved to the parts.
        garbage: what was cleared, to be taken apart in steps.
    """

    told: Callable[[Any, Any, Any], None] | None

    def __init__(
        self, *, max_bytes: int | None, max_entries: int | None, clock: Callable[[], float], evict: Evict = "sieve"
    ) -> None:
        check_limit("max_bytes", max_bytes)
        check_limit("max_entries", max_entries)
        check_evict(evict)
        self.spaces: dict[Any, Space] = {}
        self.counters = Counters()
        self.latest_batch: object = object()
        self.exclusive = Exclusive()
        self.lock = self.exclusive.lock
        self.clock = clock
        self.limits = (max_entries, max_bytes)
        self.max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self.max_entries = sys.maxsize if max_entries is None else max_entries
        self.bounded = max_bytes is not None or max_entries is not None
        self.by_worth = evict == "cost" and self.bounded
        self.granted = 0
        self.queued = 0
        self.evictions = 0
        self.expirations = 0
        self.arrivals = Arrivals()
        self.ranks = Ranks()
        self.due = Due()
        self.due_before: Due | None = None
        self.divided: deque[Space] = deque()
        self.garbage: deque[Any] = deque()
        self._grants = max_entries is None and GIL
        self._roomy: set[Space] = set()
        self._awaited = NEVER
        _all.add(self)

    def change(self, do: Callable[..., T], *args: Any) -> T | None:
        """Carry out a change, alone and whole. If this thread is within another change, carry it out after that.

        Returns:
            What it returns; None if it was put off.
        """
        exclusive = self.exclusive
        if exclusive.busy and exclusive.must_not_wait():  # a finaliser asks for it
            exclusive.put_off(lambda: self.change(do, *args))
            return None
        result: T = exclusive.run(self._whole, do, *args)
        return result

    def _whole(self, do: Callable[..., T], *args: Any) -> T:
        """Carry out a change; if an exception interrupts it, count anew what is there and carry it out once more."""
        try:
            return do(*args)
        except BaseException:
            self._recount()
            do(*args)
            raise

    def _put(self, batch: Sequence[tuple[Any, Any, Held | None]], *, again: bool = True) -> tuple[int, int]:
        try:  # fast path: what `Exclusive.run` and `_whole` do, written out
            self.exclusive.busy = True
            if 0 < len(self._roomy) <= _FEW and batch:
                self._place_others(batch)
            stored = removed = 0
            touched: dict[Any, Space] = {}
            if len(batch) > 1:
                self.latest_batch = None
            for name, key, held in batch:
                space = touched.get(name) or self.spaces.get(name)
                if space is not None and name not in touched:
                    self._take_back_room(space)
                    touched[name] = space
                if held is None:
                    if space is not None and key in space:
                        self._remove(space, key)
                        removed += 1
                    continue
                size = held[SIZE]
                if size > self.max_bytes:
                    self._too_large(name, key, size)
                    continue
                if space is None or not space.live:
                    space = self.spaces[name] = touched[name] = Space(name, self.counters[name])
                old = space.get(key, ABSENT)
                space[key] = held
                self._count(space, size - old[SIZE])
                stored += 1
                if held[EXPIRY] is not None and (old[EXPIRY] or NEVER) > held[EXPIRY]:
                    self.due.add(held[EXPIRY], name, key)
            if len(batch) > 1:
                self.latest_batch = object()
            for space in touched.values():
                if space.live:
                    self._take_back_room(space)
                    if space.queued > dividing.LARGE and space.parts is None:
                        self._divide(space)
            if self.due.soonest != NEVER:
                self.purge(_PURGED_PER_WRITE)
                self._await()
            if self.granted > self.max_bytes or self.queued > self.max_entries:
                make_room(self, {(name, key) for name, key, _ in batch})
            self._tidy()
            if self._grants and len(touched) == 1:
                self._grant(*touched.values())
            return stored, removed
        except BaseException:
            self._recount()
            if again:
                self._put(batch, again=False)
            raise
        finally:
            self.exclusive.busy = False

    def _recount(self) -> None:
        """Count what is there: a change was left half done."""
        old, self.arrivals = self.arrivals, Arrivals()
        self.ranks = Ranks()
        self.due_before = None
        self._roomy = set()
        for name, space in [*self.spaces.items()]:
            if not space.live or not space:
                space.bury()
                del self.spaces[name]
                continue
            space.room = 0
            space.granted = sum(held[SIZE] for held in space.values())
            space.queued = len(space)
            space.latest = {}
            space.ranks.clear()
            if self.by_worth:
                self.ranks.place(space, [*space])
        self.due = self._noted_anew()
        self.granted = sum(space.granted for space in self.spaces.values())
        self.queued = sum(space.queued for space in self.spaces.values())
        if self.bounded:
            self.arrivals.take_over(old, self.spaces.values())

    def _count(self, space: Space, grown: int) -> None:
        space.granted += grown
        self.granted += grown

    def _grant(self, space: Space) -> None:
        """Let a namespace take some entries without the lock, unless the limit is near or some have expired."""
        free = self.max_bytes - self.granted
        near = free if len(self.spaces) == 1 else free // 2  # near the limit others get some, too
        room = min(_ROOM_AT_MOST, max(free // 8, min(near, _ROOM_AT_MOST // 2)))
        if room >= _ROOM_AT_LEAST and space.live and (self.due.soonest == NEVER or self.due.soonest > self.clock()):
            self._count(space, room)
            space.room += room
            self._roomy.add(space)

    def _take_back_room(self, space: Space) -> None:
        """Take back a namespace's room, and give its latest entries their place in the order of arrival."""
        room = space.take_room()
        if room:
            self._count(space, -room)
            self._roomy.discard(space)
        self._place(space)

    def take_back_all_room(self) -> None:
        for space in [*self._roomy]:
            self._take_back_room(space)

    def _place_others(self, batch: Sequence[tuple[Any, Any, Held | None]]) -> None:
        """Give what came before a batch, in other namespaces, its place before that."""
        for space in [*self._roomy]:
            if len(space) > space.queued and space.name != batch[0][0]:
                room = space.take_room()
                self._place(space)
                space.room += room

    def _place(self, space: Space) -> None:
        """Give a namespace's latest entries their place in the order of arrival, and note when they are due.

        It has no room meanwhile.
        """
        arrived = len(space) - space.queued
        if arrived > 0:
            keys = space.arrived(arrived)
            for key in keys:
                expiry = space[key][EXPIRY]
                if expiry is not None:
                    self.due.add(expiry, space.name, key)
            space.queued += arrived
            self.queued += arrived
            if self.bounded:
                places: list[Any] = [space] * (2 * arrived)
                places[1::2] = keys
                self.arrivals.places += places
                if self.by_worth:
                    self.ranks.place(space, keys)

    def _divide(self, space: Space) -> None:
        """Divide a namespace that has become large, and that has no room, into parts."""
        self.divided.append(space)
        space.divide()
        when_free(housekeeping.request, self)

    def move(self, space: Space) -> bool:
        return isinstance(space, LargeSpace) and space.live and space.move(_MOVED_PER_STEP)

    def _take_out(self, chosen: Callable[[], Iterable[Any]], everything: bool, garbage: list[Any]) -> None:
        """Take out the chosen namespaces, with all that is in them, and add to the garbage what is to be taken apart.

        If that is everything, nothing is noted of any other namespace either.
        """
        self.latest_batch = None
        for name in [*chosen()]:
            space = self.spaces.get(name)
            if space is not None:
                garbage += [*space.dicts(), *space.ranks.dicts()]
                self._bury(space)
                self.spaces.pop(name, None)
        self.latest_batch = object()
        if everything:
            garbage += [self.arrivals.places, *self.ranks.queues, *self.due.told.values()]
            self.arrivals, self.ranks, self.due, self.due_before = Arrivals(), Ranks(), Due(), None
        self._tidy()

    def _bury(self, space: Space) -> None:
        """Let nothing more into a namespace; its bytes go with it."""
        space.bury()
        self.granted -= space.granted
        self.queued -= space.queued
        self.arrivals.dead += space.queued
        self.ranks.forget_all(space)
        self._roomy.discard(space)

    def _drop(self, space: Space, key: Any) -> None:
        """Drop an entry of a namespace that has no room, and the namespace when it was the last one there."""
        self._count(space, -space.pop(key)[SIZE])
        self.ranks.forget(space, key)
        space.queued -= 1
        self.queued -= 1
        self.arrivals.dead += 1
        if not space.queued:
            self._bury(space)
            del self.spaces[space.name]

    def _remove(self, space: Space, key: Any) -> None:
        """Drop an entry that may have come with the same batch."""
        if len(space) > space.queued:
            self._take_back_room(space)
        self._drop(space, key)

    def drop_for_room(self, space: Space, key: Any) -> None:
        self._drop(space, key)
        self.evictions += 1
        space.counts.evictions += 1
        if self.told is not None:
            self.told(space.name, key, "evicted")

    def _drop_expired(self, space: Space, key: Any) -> None:
        self._drop(space, key)
        self.expirations += 1
        if self.told is not None:
            self.told(space.name, key, "expired")

    def _too_large(self, name: Any, key: Any, size: int) -> None:
        """Drop a value that the cache could never hold, and the one it was to replace."""
        line = "the value of namespace %r, key %r takes %s bytes, more than max_bytes=%s; not stored"
        when_free(log.warning, line, name, key, size, self.max_bytes)
        if self.told is not None:
            self.told(name, key, "too large")
        space = self.spaces.get(name)
        if space is not None and key in space:
            self._remove(space, key)

    def purge(self, most: int) -> bool:
        """Remove a bounded number of the entries whose TTL has passed; tell whether there are more."""
        now = self.clock()
        taken = 0
        for due in (self.due, self.due_before):
            if due is None or due.soonest > now:
                continue
            self.take_back_all_room()  # what was stored without the lock is due no sooner, and is noted by this
            for name, key in due.pop(now, most - taken):
                taken += 1
                space = self.spaces.get(name)
                held = None if space is None else space.get(key)
                if space is None or held is None or held[EXPIRY] is None:
                    continue
                if held[EXPIRY] <= now:
                    self._drop_expired(space, key)
                else:  # its TTL was set anew
                    self.due.add(held[EXPIRY], name, key)
        return taken == most

    def _await(self) -> None:
        """Tell the housekeeping when the next entries expire, unless it knows."""
        soonest = self.due.soonest
        if soonest < self._awaited or soonest <= self.clock():
            self._awaited = soonest
            when_free(housekeeping.request, self)
        if self.due.is_stale(self.queued):
            self.take_back_all_room()
            if self.queued <= _NOTED_AT_ONCE:
                self.due = self._noted_anew()
            elif self.due.is_stale(self.queued):
                when_free(housekeeping.request, self)

    def begin_noting(self) -> bool:
        """Begin to note anew what is due, if most of what is noted is out of date; tell whether that is so."""
        self.take_back_all_room()
        if not self.due.is_stale(self.queued):
            return False
        self.due_before, self.due = self.due, Due()
        return True

    def _noted_anew(self) -> Due:
        due = Due()
        for name, space in self.spaces.items():
            for key, held in space.items():
                if held[EXPIRY] is not None:
                    due.add(held[EXPIRY], name, key)
        return due

    def note(self, space: Space, keys: Sequence[Any]) -> None:
        for key in keys:
            held = space.get(key)
            if held is not None and held[EXPIRY] is not None and space.live:
                self.due.add(held[EXPIRY], space.name, key)

    def _tidy(self) -> None:
        """Compact the orders of arrival and of worth, once most of their places are of entries that have left."""
        if self.arrivals.wants_compacting:
            if self.arrivals.is_short:
                self.arrivals.compact()
            else:
                when_free(housekeeping.request, self)
        if self.ranks.wants_compacting:
            when_free(housekeeping.request, self)


_all: HeldOverForks[Entries] = HeldOverForks(forking.Turn.MEMORY)
forking.at_fork(forking.Turn.MEMORY, after_in_child=housekeeping.after_fork_in_child)
