"""Entries in this process: a dict a namespace, read without a lock and usually written without one.

A writer without the lock spends the room that the store has granted to its namespace. It looks whether there is room,
exchanges what is held and takes the room in one line without a call. CPython switches threads only at calls and at
backward jumps, and a tracer (a debugger, coverage) only between lines: nobody else comes in between, and an exception
of a signal handler does not either. Whoever needs a namespace to stand still holds the lock and takes all of its room.
On an interpreter without the global lock no room is granted.

What changes several entries as one holds the lock, and notes it in ``Batches``. A reader of several entries looks there
before and after: if one was under way, some may be of before and others of after, and they are read again.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from hitrate import forking
from hitrate.clock import wall_clock
from hitrate.entry import Entry
from hitrate.exclusive import Exclusive, Live, reentrant, when_free
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.sieve import sweep
from hitrate.stats import Counters
from hitrate.stores.base import Capability, Evict, Found, Page, Usage, check_evict, check_limit
from hitrate.stores.memory import dividing, upkeep
from hitrate.stores.memory.arrivals import Arrivals, Compaction
from hitrate.stores.memory.due import NEVER, Due
from hitrate.stores.memory.ranks import Ranks
from hitrate.stores.memory.space import EXPIRY, SIZE, VISITED, Held, LargeSpace, Space, size_of
from hitrate.stores.paired import ImmediateStore

T = TypeVar("T")


_PURGED_PER_WRITE = 64
_PURGED_PER_STEP = 256
_NOTED_AT_ONCE = 1_000
_FEW = 16  # namespaces that a write may look at for what came before it
_FREED_AT_ONCE = 5_000
_FREED_PER_STEP = 1_000
_MOVED_PER_STEP = 1_000
_ROOM_AT_MOST = 1 << 20
_ROOM_AT_LEAST = 1 << 12
_SLACK = 256  # of what may be held, one part in so many is freed at once
_SLACK_AT_MOST = 1 << 18  # bytes: of small entries some 800, which takes 3 ms
_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

_NOTHING: dict[Any, Held] = {}

ABSENT: Held = (None, None, -1.0, 0.0, False, 0.0, 0)
"""Stands for what a new entry replaces: it takes no bytes, and has been noted as due already."""


class Batches:
    """Changes of several entries as one.

    Attributes:
        latest: another object after each; None during one.
    """

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest: object = object()


class MemoryStore(ImmediateStore):
    """Keeps entries in this process.

    Args:
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        clock: returns the seconds since the epoch.
        evict: ``"sieve"`` evicts what was not read lately, ``"cost"`` what saves the fewest seconds per byte.

    Attributes:
        spaces: the entries by namespace.
        counters: what is counted of each namespace; those of the cache, once that is there.
        batches: tells readers of several entries whether several were changed as one meanwhile.
    """

    offers: frozenset[Capability] = frozenset({"bounds", "forks under load"})

    def __init__(
        self,
        *,
        max_bytes: int | None,
        max_entries: int | None,
        clock: Callable[[], float],
        evict: Evict = "sieve",
    ) -> None:
        check_limit("max_bytes", max_bytes)
        check_limit("max_entries", max_entries)
        self.limits = (max_entries, max_bytes)
        check_evict(evict)
        self.spaces: dict[Any, Space] = {}
        self.counters = Counters()
        self.batches = Batches()
        # Guards what leaves, the order of arrival and what is due; never held while values are encoded or decoded.
        self._exclusive = Exclusive()
        self.lock = self._exclusive.lock
        self._clock = clock
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self._max_entries = sys.maxsize if max_entries is None else max_entries
        self._bounded = max_bytes is not None or max_entries is not None
        self._by_worth = evict == "cost" and self._bounded
        self._grants = max_entries is None and _GIL
        self._entries = 0  # of those that are queued
        self._granted = 0
        self._roomy: set[Space] = set()
        self._evictions = 0
        self._expirations = 0
        self._arrivals = Arrivals()
        self._ranks = Ranks()
        self.due = Due()
        self._due_before: Due | None = None  # while what is due is noted anew
        self._awaited = NEVER
        self._garbage: deque[Any] = deque()
        self._divided: deque[Space] = deque()  # whose entries are still to be moved to the parts
        _stores.add(self)

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        found: list[Found] = []
        seen = self.look(keys)
        now = self._clock()
        for (_, key), (space, held) in zip(keys, seen, strict=True):
            if space is None or held is None:
                found.append(None)
                continue
            if held[EXPIRY] is not None and held[EXPIRY] <= now:
                self.expire(space, key, held)
                found.append(None)
            else:
                self.visit(space, key, held)
                found.append(cast(Entry, held[:VISITED]))
        return found

    def look(self, keys: Sequence[tuple[Any, Any]]) -> list[tuple[Space | None, Held | None]]:
        """Return for each key its namespace and what is held for it, all of them of one state.

        Within a change, a finaliser cannot wait for one of several entries; it finds nothing then.
        """
        latest = self.batches.latest
        seen = self._look(keys)
        if len(keys) == 1 or (latest is not None and self.batches.latest is latest):
            return seen
        exclusive = self._exclusive
        if exclusive.busy and exclusive.must_not_wait():
            return [(None, None)] * len(keys)
        return exclusive.run(self._look_alone, keys)

    def _look(self, keys: Sequence[tuple[Any, Any]]) -> list[tuple[Space | None, Held | None]]:
        seen: list[tuple[Space | None, Held | None]] = []
        for name, key in keys:
            space = self.spaces.get(name)
            seen.append((space, None if space is None else space.get(key)))
        return seen

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        now = self._clock()
        held = [self.spaces.get(name, _NOTHING).get(key, ABSENT) for name, key in keys]
        return [each is not ABSENT and (each[EXPIRY] or NEVER) <= now for each in held]

    def write(self, changes: Mapping[Any, Any]) -> int:
        now = self._clock()
        batch = [
            (name, key, None if entry is None else (*entry, False, now, size_of(key, entry[1])))
            for (name, key), entry in changes.items()
        ]
        return self.put(batch)[1]

    def put(self, batch: Sequence[tuple[Any, Any, Held | None]]) -> tuple[int, int]:
        """Apply a batch as one: for each namespace and key what to hold, or None to remove the key.

        Returns:
            How many entries were stored and how many removed.
        """
        exclusive = self._exclusive
        if exclusive.busy and exclusive.must_not_wait():
            self._change(self._put, batch)
            there = [key in self.spaces.get(name, ()) for name, key, held in batch if held is None]
            return len(batch) - len(there), sum(there)
        try:  # as `Exclusive.run` does, with less ado
            with self.lock: return self._put(batch)  # fmt: skip  # noqa: E701
        finally:
            if exclusive.waiting:
                exclusive.catch_up()

    def put_in_part(self, space: LargeSpace, key: Any, held: Held, now: float, latest: float) -> bool:
        """Store an entry of a large namespace without the lock, if that has the room; tell whether it did.

        Args:
            space: the entries of the namespace.
            key: the key.
            held: what to hold.
            now: the time.
            latest: when it expires, infinity for never.
        """
        size, first, part = held[SIZE], space.first, space.part_of(key)
        # Each one line, as in ``InMemoryCache.set``. A key that was in the first of the parts may have left it.
        if space.room >= size and now < self.due.soonest and self.due.begins <= latest and key in part and ((old := part[key])[2] or NEVER) <= latest: part[key] = held; space.room += old[6] - size; return True  # fmt: skip  # noqa: E501, E701, E702
        if space.room >= size and now < self.due.soonest and self.due.begins <= latest and key not in part and part is not first: part[key] = held; space.room -= size; space.count += 1; space.latest[key] = None; return True  # fmt: skip  # noqa: E501, E701, E702
        return False

    def put_alike(self, space: Space, batch: Mapping[Any, Held], size: int, now: float, latest: float) -> int:
        """Store a batch of one namespace and one TTL: without settling the namespace, where that has the room.

        Args:
            space: the entries of the namespace.
            batch: for each key what to hold.
            size: bytes that all of these count as.
            now: the time.
            latest: when they expire, infinity for never.

        Returns:
            How many were stored.
        """
        exclusive = self._exclusive
        if not (exclusive.busy and exclusive.must_not_wait()):
            try:  # as `put`
                with self.lock: stored = self._put_alike(space, batch, size, now, latest)  # fmt: skip  # noqa: E701
            finally:
                if exclusive.waiting:
                    exclusive.catch_up()
            if stored:
                return stored
        return self.put([(space.name, key, held) for key, held in batch.items()])[0]

    def fits(self, key: Any, payload: bytes) -> bool:
        """Tell whether an entry is within ``max_bytes``, were it alone."""
        return size_of(key, payload) <= self._max_bytes

    def visit(self, space: Space, key: Any, held: Held) -> None:
        """Set the visited bit of an entry that was just read."""
        if held[VISITED]:
            return
        visited = _with_visited(held, True)
        if _GIL:
            space.exchange(key, held, visited)  # of the same size: there is nothing to count
        else:
            self.replace(space, key, held, visited)

    def replace(self, space: Space, key: Any, held: Held, other: Held) -> None:
        """Hold another form of the same entry, unless it was changed since it was read."""
        self._change(self._replace, space, key, held, other)

    def expire(self, space: Space, key: Any, held: Held) -> None:
        """Remove an entry that was read and found expired, unless it was changed since."""
        self._change(self._expire, space, key, held)

    def clear(self, namespaces: Sequence[Any] | None) -> None:
        garbage: list[Space] = []
        rest: list[Any] = []
        self._change(self._clear, namespaces, garbage, rest)
        self._let_go(garbage, rest)

    def clear_under(self, prefix: Any) -> None:
        garbage: list[Space] = []
        self._change(self._clear_under, prefix, garbage)
        self._let_go(garbage, [])

    def list_page(self, under: Any, after: Any, limit: int) -> Page:
        from hitrate.stores.memory.listing import begin, page_of

        return page_of(begin(self) if after is None else after, under, limit, self._clock())

    async def alist_page(self, under: Any, after: Any, limit: int) -> Page:
        from asyncio import sleep

        await sleep(0)  # the event loop serves others between two pages
        return self.list_page(under, after, limit)

    @property
    def keeps_order(self) -> bool:
        """Whether it is known in which order the entries of different namespaces arrived."""
        return self._bounded

    def settle_in_steps(self, most: int) -> None:
        """Give the latest entries of all namespaces their place in the order of arrival, without holding writers up.

        Args:
            most: how many namespaces at a time.
        """
        roomy = [*self._roomy]
        for start in range(0, len(roomy), most):
            self._change(self._settle_some, roomy[start : start + most])

    def copy_places(self) -> tuple[list[Any], bool] | None:
        """Return the order of arrival, as ``Arrivals.places``, and whether an entry may stand there twice.

        None within a change: a finaliser asks, while the order is not whole.
        """
        return self._change(self._copy_places)

    def described(self) -> str:
        # Without the lock, which the thread that asks may hold.
        spaces = list(self.spaces.values())
        return f"entries={sum(map(len, spaces))}, bytes={sum(space.size for space in spaces)}"

    def removals(self) -> tuple[int, int]:
        return self._evictions, self._expirations

    def usage(self) -> Usage:
        usage = self._change(self._usage)
        if self.due.soonest != NEVER and self.due.soonest <= self._clock():
            when_free(upkeep.request, self)
        return self._counted() if usage is None else usage

    def close(self) -> None:
        self.clear(None)

    # Upkeep, on a thread of its own

    def upkeep(self) -> Iterator[None]:
        """Do what there is to do beside the callers, in short steps."""
        while self._garbage:
            yield from _taken_apart(self._garbage.popleft())
        while self._change(self._purge, _PURGED_PER_STEP):
            yield
        while self._divided:
            while self._change(self._move, self._divided[0]):
                yield
            self._divided.popleft()
        compaction = self._change(self._begin_compaction)
        if compaction is not None:
            yield from compaction.steps()
            self._change(compaction.finish)
            yield from compaction.free()
        if self._ranks.wants_compacting:
            steps = self._ranks.compact()
            while self._change(next, steps, False) is None:
                yield
        if self._change(self._begin_noting):
            yield from self._note_all()

    def seconds_until_due(self) -> float | None:
        """Return after how many seconds something expires; None if nothing does, or the clock is not the machine's."""
        if self.due.soonest == NEVER or self._clock is not wall_clock:
            return None
        return self.due.soonest - self._clock()

    def _note_all(self) -> Iterator[None]:
        """Note of each entry anew when it is due: most of what was noted is out of date."""
        for space in list(self.spaces.values()):
            keys = list(space)
            for start in range(0, len(keys), _FREED_PER_STEP):
                self._change(self._note, space, keys[start : start + _FREED_PER_STEP])
                yield
        before, self._due_before = self._due_before, None
        if before is not None:
            yield from _taken_apart([*before.told.values()])

    def _let_go(self, spaces: list[Space], rest: list[Any]) -> None:
        """Let go of what was cleared: a little of it here, much of it in steps beside the caller."""
        parts = [part for space in spaces for each in (space, space.ranks) for part in each.dicts()]
        if sum(map(len, spaces)) + len(rest) > _FREED_AT_ONCE:
            self._garbage += [*parts, rest]
            when_free(upkeep.request, self)
            return
        for part in parts:  # the order of arrival refers to their namespaces until it is compacted
            part.clear()

    def _change(self, do: Callable[..., T], *args: Any) -> T | None:
        """Carry out a change, alone and whole; within another one of this thread, after that.

        Returns:
            What it returns; None if it was put off.
        """
        exclusive = self._exclusive
        if exclusive.busy and exclusive.must_not_wait():  # a finaliser asks for it
            exclusive.put_off(lambda: self._change(do, *args))
            return None
        result: T = exclusive.run(self._whole, do, *args)
        return result

    # All below: the lock is held.

    def _look_alone(self, keys: Sequence[tuple[Any, Any]]) -> list[tuple[Space | None, Held | None]]:
        if self.batches.latest is None:  # one was left half done, by two exceptions in a row
            self.batches.latest = object()
        return self._look(keys)

    def _whole(self, do: Callable[..., T], *args: Any) -> T:
        """Carry out a change; if an exception comes in between, count anew and carry it out all the same."""
        try:
            return do(*args)
        except BaseException:
            self._recount()
            do(*args)
            raise

    def _usage(self) -> Usage:
        self._settle_all()
        return self._counted()

    def _counted(self) -> Usage:
        return Usage(self._entries, self._granted, self._evictions, self._expirations)

    def _copy_places(self) -> tuple[list[Any], bool]:
        self._settle_all()
        return self._arrivals.places.copy(), self._arrivals.dead > 0

    def _settle_some(self, spaces: Sequence[Space]) -> None:
        for space in spaces:
            if space.live:
                self._settle(space)

    def _put(self, batch: Sequence[tuple[Any, Any, Held | None]], *, again: bool = True) -> tuple[int, int]:
        try:  # as `Exclusive` and `_whole` do, with less ado
            self._exclusive.busy = True
            if 0 < len(self._roomy) <= _FEW and batch:
                self._place_others(batch)
            stored = removed = 0
            touched: dict[Any, Space] = {}
            if len(batch) > 1:
                self.batches.latest = None
            for name, key, held in batch:
                space = touched.get(name) or self.spaces.get(name)
                if space is not None and name not in touched:
                    self._settle(space)
                    touched[name] = space
                if held is None:
                    if space is not None and key in space:
                        self._remove(space, key)
                        removed += 1
                    continue
                size = held[SIZE]
                if size > self._max_bytes:
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
                self.batches.latest = object()
            for space in touched.values():
                if space.live:
                    self._settle(space)
                    if space.queued > dividing.LARGE and space.parts is None:
                        self._divide(space)
            if self.due.soonest != NEVER:
                self._purge(_PURGED_PER_WRITE)
                self._await()
            if self._granted > self._max_bytes or self._entries > self._max_entries:
                self._evict({(name, key) for name, key, _ in batch})
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
            self._exclusive.busy = False

    def _put_alike(self, space: Space, batch: Mapping[Any, Held], size: int, now: float, latest: float) -> int:
        """Do ``put_alike`` if there is the room, and nothing is due; return how many were stored, or none."""
        try:
            self._exclusive.busy = True
            if not (now < self.due.soonest and self.due.begins <= latest):
                return 0
            room = space.take_room()
            if room < size:
                space.room += room
                return 0
            self.batches.latest = None
            before = space.put_all(batch)
            if latest < NEVER:
                for key, old in zip(batch, before, strict=True):
                    if old is not None and (old[EXPIRY] or NEVER) > latest:  # noted as due too late, or not at all
                        self.due.add(latest, space.name, key)
            self.batches.latest = object()
            space.room += room - size + sum([old[SIZE] for old in before if old is not None])
            return len(batch)
        except BaseException:
            self._recount()
            self._put([(space.name, key, held) for key, held in batch.items()])
            raise
        finally:
            self._exclusive.busy = False

    def _replace(self, space: Space, key: Any, held: Held, other: Held) -> None:
        if space.live and space.exchange(key, held, other):
            self._count(space, other[SIZE] - held[SIZE])

    def _expire(self, space: Space, key: Any, held: Held) -> None:
        if space.live:
            self._settle(space)
            if space.get(key) is held:
                self._drop_expired(space, key)
                self._tidy()

    def _clear(self, namespaces: Sequence[Any] | None, garbage: list[Space], rest: list[Any]) -> None:
        self._take_out(list(self.spaces) if namespaces is None else namespaces, garbage)
        if namespaces is None:
            rest += [self._arrivals.places, *self._ranks.parts, *self.due.told.values()]
            self._arrivals = Arrivals()
            self._ranks = Ranks()
            self.due = Due()
            self._due_before = None
        self._tidy()

    def _clear_under(self, prefix: Any, garbage: list[Space]) -> None:
        length = len(prefix)
        self._take_out([name for name in self.spaces if name[:length] == prefix], garbage)
        self._tidy()

    def _recount(self) -> None:
        """Count what is there: a change was left half done."""
        old, self._arrivals = self._arrivals, Arrivals()
        self._ranks = Ranks()
        self._due_before = None
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
            if self._by_worth:
                self._ranks.place(space, [*space])
        self.due = self._noted_anew()
        self._granted = sum(space.granted for space in self.spaces.values())
        self._entries = sum(space.queued for space in self.spaces.values())
        if self._bounded:
            self._arrivals.take_over(old, self.spaces.values())

    def _count(self, space: Space, grown: int) -> None:
        space.granted += grown
        self._granted += grown

    def _grant(self, space: Space) -> None:
        """Let a namespace take some entries without the lock, unless the limit is near or some have expired."""
        free = self._max_bytes - self._granted
        near = free if len(self.spaces) == 1 else free // 2  # what there is near the limit, others leave some of
        room = min(_ROOM_AT_MOST, max(free // 8, min(near, _ROOM_AT_MOST // 2)))
        if room >= _ROOM_AT_LEAST and space.live and (self.due.soonest == NEVER or self.due.soonest > self._clock()):
            self._count(space, room)
            space.room += room
            self._roomy.add(space)

    def _settle(self, space: Space) -> None:
        """Take back a namespace's room, and give its latest entries their place in the order of arrival."""
        room = space.take_room()
        if room:
            self._count(space, -room)
            self._roomy.discard(space)
        self._place(space)

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
            self._entries += arrived
            if self._bounded:
                places: list[Any] = [space] * (2 * arrived)
                places[1::2] = keys
                self._arrivals.places += places
                if self._by_worth:
                    self._ranks.place(space, keys)

    def _divide(self, space: Space) -> None:
        """Have a settled namespace, which has become large, lie in parts."""
        self._divided.append(space)
        space.divide()
        when_free(upkeep.request, self)

    def _move(self, space: Space) -> bool:
        return isinstance(space, LargeSpace) and space.live and space.move(_MOVED_PER_STEP)

    def _settle_all(self) -> None:
        for space in [*self._roomy]:
            self._settle(space)

    def _take_out(self, names: Sequence[Any], taken: list[Space]) -> None:
        """Take out namespaces, with all that is in them."""
        self.batches.latest = None
        for name in names:
            space = self.spaces.get(name)
            if space is not None:
                taken.append(space)
                self._bury(space)
                self.spaces.pop(name, None)
        self.batches.latest = object()

    def _bury(self, space: Space) -> None:
        """Let nothing more into a namespace; its bytes go with it."""
        space.bury()
        self._granted -= space.granted
        self._entries -= space.queued
        self._arrivals.dead += space.queued
        self._ranks.forget_all(space)
        self._roomy.discard(space)

    def _drop(self, space: Space, key: Any) -> None:
        """Drop an entry of a settled namespace, and the namespace when it was the last one there."""
        self._count(space, -space.pop(key)[SIZE])
        self._ranks.forget(space, key)
        space.queued -= 1
        self._entries -= 1
        self._arrivals.dead += 1
        if not space.queued:
            self._bury(space)
            del self.spaces[space.name]

    def _remove(self, space: Space, key: Any) -> None:
        """Drop an entry that may have come with the same batch."""
        if len(space) > space.queued:
            self._settle(space)
        self._drop(space, key)

    def _purge(self, most: int) -> bool:
        """Remove a bounded number of the entries whose TTL has passed; tell whether there are more."""
        now = self._clock()
        taken = 0
        for due in (self.due, self._due_before):
            if due is None or due.soonest > now:
                continue
            self._settle_all()  # what was stored without the lock is due no sooner, and is noted by this
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
        """Have the upkeep know of what is due, unless it does."""
        soonest = self.due.soonest
        if soonest < self._awaited or soonest <= self._clock():
            self._awaited = soonest
            when_free(upkeep.request, self)
        if self.due.is_stale(self._entries):
            self._settle_all()
            if self._entries <= _NOTED_AT_ONCE:
                self.due = self._noted_anew()
            elif self.due.is_stale(self._entries):
                when_free(upkeep.request, self)

    def _begin_noting(self) -> bool:
        """Begin to note anew what is due, if most of what is noted is out of date; tell whether that is so."""
        self._settle_all()
        if not self.due.is_stale(self._entries):
            return False
        self._due_before, self.due = self.due, Due()
        return True

    def _noted_anew(self) -> Due:
        due = Due()
        for name, space in self.spaces.items():
            for key, held in space.items():
                if held[EXPIRY] is not None:
                    due.add(held[EXPIRY], name, key)
        return due

    def _note(self, space: Space, keys: Sequence[Any]) -> None:
        for key in keys:
            held = space.get(key)
            if held is not None and held[EXPIRY] is not None and space.live:
                self.due.add(held[EXPIRY], space.name, key)

    def _tidy(self) -> None:
        """Have the places of what has left be forgotten, once they are most of all."""
        if self._arrivals.wants_compacting:
            if self._arrivals.is_short:
                self._arrivals.compact()
            else:
                when_free(upkeep.request, self)
        if self._ranks.wants_compacting:
            when_free(upkeep.request, self)

    def _begin_compaction(self) -> Compaction | None:
        return Compaction(self._arrivals) if self._arrivals.wants_compacting else None

    def _evict(self, fresh: set[tuple[Any, Any]]) -> None:
        """Make room; what has just been stored goes only if there is nothing else."""
        self._settle_all()
        if self._granted <= self._max_bytes and self._entries <= self._max_entries:
            return
        if self._evictions == 0:
            when_free(
                log.warning,
                "InMemoryCache is full (%s entries, %s bytes; max_entries=%s, max_bytes=%s) and evicts from now on",
                *(self._entries, self._granted, _limit(self._max_entries), _limit(self._max_bytes)),
            )
        # Some more at once, so that the next writes need not make room each, and can do without the lock.
        slack = min(self._max_bytes // _SLACK, _SLACK_AT_MOST) if self._granted > self._max_bytes else 0
        spared = {(space, key) for name, key in fresh if (space := self.spaces.get(name)) is not None}
        for spare, more in ((spared, slack), (set[tuple[Space, Any]](), 0)):
            if self._by_worth:  # the hand below takes what is left to evict after a bounded search: usually nothing
                self._evict_by_worth(spare, more)
            ring = (each for each in self._arrivals.ring(_state) if each[0] not in spare)
            decided = sweep(ring, self._granted + more - self._max_bytes, self._entries - self._max_entries)
            for (space, key), _ in decided.evicted:
                self._drop_for_room(space, key)
            for space, key in decided.cleared:
                self._clear_visited(space, key)
            if self._granted <= self._max_bytes and self._entries <= self._max_entries:
                return

    def _evict_by_worth(self, spare: set[tuple[Space, Any]], more: int) -> None:
        excess_bytes, excess_entries = self._granted + more - self._max_bytes, self._entries - self._max_entries
        for space, key in self._ranks.sweep(self._clear_visited, spare.__contains__, excess_bytes, excess_entries):
            self._drop_for_room(space, key)

    def _drop_for_room(self, space: Space, key: Any) -> None:
        self._drop(space, key)
        self._evictions += 1
        space.counts.evictions += 1
        if self.told is not None:
            self.told(space.name, key, "evicted")

    def _drop_expired(self, space: Space, key: Any) -> None:
        self._drop(space, key)
        self._expirations += 1
        if self.told is not None:
            self.told(space.name, key, "expired")

    def _clear_visited(self, space: Space, key: Any) -> None:
        held = space[key]
        if held[VISITED]:
            space.exchange(key, held, _with_visited(held, False))

    def _too_large(self, name: Any, key: Any, size: int) -> None:
        """Drop a value that the cache could never hold, and the one it was to replace."""
        line = "the value of namespace %r, key %r takes %s bytes, more than max_bytes=%s; not stored"
        when_free(log.warning, line, name, key, size, self._max_bytes)
        if self.told is not None:
            self.told(name, key, "too large")
        space = self.spaces.get(name)
        if space is not None and key in space:
            self._remove(space, key)


def _state(space: Space, key: Any) -> tuple[bool, int] | None:
    """Tell whether an entry was visited, and its size; None if it has left."""
    held = space.get(key)
    if held is None or not space.live:
        return None
    return held[VISITED], held[SIZE]


def _with_visited(held: Held, visited: bool) -> Held:
    return (*held[:VISITED], visited, *held[VISITED + 1 :])


def _taken_apart(container: Any) -> Iterator[None]:
    """Empty a dict, a list or a deque, or a list of those, in steps."""
    while container:
        if isinstance(container, dict):
            for _ in range(min(_FREED_PER_STEP, len(container))):
                container.popitem()
        elif isinstance(container, deque):
            for _ in range(min(_FREED_PER_STEP, len(container))):
                container.popleft()
        elif isinstance(container[-1], list | deque):
            yield from _taken_apart(container.pop())
        else:
            del container[-_FREED_PER_STEP:]
        yield


def _limit(limit: int) -> int | None:
    return None if limit == sys.maxsize else limit


_stores: Live[MemoryStore] = Live()
_held_over_fork: list[Any] = []
_forking = reentrant()  # held from before a fork until after it: two threads that fork take turns with the list


def _before_fork() -> None:
    """Hold every store's lock over a fork, so that the child never inherits a change half made."""
    _forking.acquire()
    for store in _stores:
        store.lock.acquire()
        _held_over_fork.append(store.lock)


def _after_fork() -> None:
    while _held_over_fork:
        _held_over_fork.pop().release()
    _forking.release()


def _after_fork_in_child() -> None:
    _after_fork()
    upkeep.after_fork_in_child()


forking.at_fork(
    forking.Turn.MEMORY, before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
