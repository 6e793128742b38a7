"""The store in memory: a dict a namespace, read without a lock and usually written without one.

A writer without the lock spends the room that the store has granted to its namespace. It looks whether there is room,
exchanges what is held and takes the room in one line without a call. CPython switches threads only at calls and at
backward jumps, and a tracer (a debugger, coverage) only between lines: nobody else comes in between, and an exception
of a signal handler does not either. Whoever needs a namespace to stand still holds the lock and takes all of its room.
On an interpreter without the global lock no room is granted.

What changes several entries as one holds the lock, and notes it in ``latest_batch``. A reader of several entries looks
there before and after: if one was under way, some may be of before and others of after, and they are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from hitrate.entry import Entry
from hitrate.exclusive import when_free
from hitrate.keys import EncodedKey
from hitrate.stores.base import Capability, Found, Page, Usage
from hitrate.stores.memory import housekeeping
from hitrate.stores.memory.due import NEVER
from hitrate.stores.memory.entries import GIL, Entries
from hitrate.stores.memory.listing import begin, page_of
from hitrate.stores.memory.space import ABSENT, EXPIRY, SIZE, VISITED, Held, LargeSpace, Space, size_of, with_visited
from hitrate.stores.paired import ImmediateStore

_FREED_AT_ONCE = 5_000

_NOTHING: dict[Any, Held] = {}


class MemoryStore(Entries, ImmediateStore):
    """Keeps entries in this process; see ``Entries`` for the arguments."""

    offers: frozenset[Capability] = frozenset({"bounds", "forks under load"})

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        found: list[Found] = []
        seen = self.look(keys)
        now = self.clock()
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
        latest = self.latest_batch
        seen = self._look(keys)
        if len(keys) == 1 or (latest is not None and self.latest_batch is latest):
            return seen
        exclusive = self.exclusive
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
        now = self.clock()
        held = [self.spaces.get(name, _NOTHING).get(key, ABSENT) for name, key in keys]
        return [each is not ABSENT and (each[EXPIRY] or NEVER) <= now for each in held]

    def write(self, changes: Mapping[Any, Any]) -> int:
        now = self.clock()
        batch = [
            (name, key, None if entry is None else (*entry, False, now, size_of(key, entry[1])))
            for (name, key), entry in changes.items()
        ]
        return self.put(batch)[1]

    def put(self, batch: Sequence[tuple[Any, Any, Held | None]]) -> tuple[int, int]:
        """Store what to hold for each namespace and key, or remove it for None; return how many of both."""
        exclusive = self.exclusive
        if exclusive.busy and exclusive.must_not_wait():
            self.change(self._put, batch)
            there = [key in self.spaces.get(name, ()) for name, key, held in batch if held is None]
            return len(batch) - len(there), sum(there)
        try:  # fast path: what `Exclusive.run` does, written out
            with self.lock: return self._put(batch)  # fmt: skip  # noqa: E701
        finally:
            if exclusive.waiting:
                exclusive.catch_up()

    def put_in_part(self, space: LargeSpace, key: Any, held: Held, now: float, latest: float) -> bool:
        """Store an entry of a large namespace without the lock, if that has the room; tell whether it did."""
        size, first, part = held[SIZE], space.first, space.part_of(key)
        # Each one line, as in ``InMemoryCache.set``. A key that was in the first of the parts may have left it.
        if space.room >= size and now < self.due.soonest and self.due.begins <= latest and key in part and ((old := part[key])[2] or NEVER) <= latest: part[key] = held; space.room += old[6] - size; return True  # fmt: skip  # noqa: E501, E701, E702
        if space.room >= size and now < self.due.soonest and self.due.begins <= latest and key not in part and part is not first: part[key] = held; space.room -= size; space.count += 1; space.latest[key] = None; return True  # fmt: skip  # noqa: E501, E701, E702
        return False

    def put_alike(self, space: Space, batch: Mapping[Any, Held], size: int, now: float, latest: float) -> int:
        """Store a batch of one namespace and one TTL; tell how many. Where there is room, arrivals are not looked at.

        Args:
            space: the entries of the namespace.
            batch: for each key what to hold.
            size: bytes that all of these count as.
            now: the time.
            latest: when they expire, infinity for never.
        """
        exclusive = self.exclusive
        if not (exclusive.busy and exclusive.must_not_wait()):
            try:  # fast path, as in `put`
                with self.lock: stored = self._put_alike(space, batch, size, now, latest)  # fmt: skip  # noqa: E701
            finally:
                if exclusive.waiting:
                    exclusive.catch_up()
            if stored:
                return stored
        return self.put([(space.name, key, held) for key, held in batch.items()])[0]

    def fits(self, key: Any, payload: bytes) -> bool:
        """Tell whether an entry is within ``max_bytes``, were it alone."""
        return size_of(key, payload) <= self.max_bytes

    def visit(self, space: Space, key: Any, held: Held) -> None:
        """Set the visited bit of an entry that was just read."""
        if held[VISITED]:
            return
        visited = with_visited(held, True)
        if GIL:
            space.exchange(key, held, visited)  # of the same size: there is nothing to count
        else:
            self.replace(space, key, held, visited)

    def replace(self, space: Space, key: Any, held: Held, other: Held) -> None:
        """Hold another form of the same entry, unless it was changed since it was read."""
        self.change(self._replace, space, key, held, other)

    def expire(self, space: Space, key: Any, held: Held) -> None:
        """Remove an entry that was read and found expired, unless it was changed since."""
        self.change(self._expire, space, key, held)

    def clear(self, namespaces: Sequence[Any] | None) -> None:
        self._clear(lambda: self.spaces if namespaces is None else namespaces, everything=namespaces is None)

    def clear_under(self, prefix: Any) -> None:
        self._clear(lambda: [name for name in self.spaces if name[: len(prefix)] == prefix])

    def _clear(self, chosen: Callable[[], Iterable[Any]], *, everything: bool = False) -> None:
        """Take out namespaces; free a few entries here, and many on the housekeeping's thread, in steps."""
        garbage: list[Any] = []
        self.change(self._take_out, chosen, everything, garbage)
        if sum(map(len, garbage)) > _FREED_AT_ONCE:
            self.garbage += garbage
            when_free(housekeeping.request, self)
            return
        for part in garbage:
            if isinstance(part, dict):  # the order of arrival refers to their namespaces until it is compacted
                part.clear()

    def list_page(self, under: Any, after: Any, limit: int) -> Page:
        return page_of(begin(self) if after is None else after, under, limit, self.clock())

    async def alist_page(self, under: Any, after: Any, limit: int) -> Page:
        from asyncio import sleep

        await sleep(0)  # the event loop serves others between two pages
        return self.list_page(under, after, limit)

    def copy_places(self, at_once: int) -> tuple[list[Any], bool] | None:
        """Return the order of arrival, as ``Arrivals.places``, and whether an entry may stand there twice.

        None if there are no limits, and so no order among namespaces, and within a change: a finaliser asks, while the
        order is not whole.

        Args:
            at_once: for how many namespaces to hold writers up, to give their latest entries their places.
        """
        if not self.bounded:
            return None
        roomy = [*self._roomy]
        for start in range(0, len(roomy), at_once):
            self.change(self._take_back_rooms, roomy[start : start + at_once])
        return self.change(self._copy_places)

    def described(self) -> str:
        # A finaliser asks, whose thread may hold the lock: so the lock is not taken.
        spaces = list(self.spaces.values())
        return f"entries={sum(map(len, spaces))}, bytes={sum(space.size for space in spaces)}"

    def removals(self) -> tuple[int, int]:
        return self.evictions, self.expirations

    def usage(self) -> Usage:
        usage = self.change(self._usage)
        if self.due.soonest != NEVER and self.due.soonest <= self.clock():
            when_free(housekeeping.request, self)
        return self._counted() if usage is None else usage

    def close(self) -> None:
        self.clear(None)

    # All below: the lock is held.

    def _look_alone(self, keys: Sequence[tuple[Any, Any]]) -> list[tuple[Space | None, Held | None]]:
        if self.latest_batch is None:  # one was left half done, by two exceptions in a row
            self.latest_batch = object()
        return self._look(keys)

    def _usage(self) -> Usage:
        self.take_back_all_room()
        return self._counted()

    def _counted(self) -> Usage:
        return Usage(self.queued, self.granted, self.evictions, self.expirations)

    def _copy_places(self) -> tuple[list[Any], bool]:
        self.take_back_all_room()
        return self.arrivals.places.copy(), self.arrivals.dead > 0

    def _take_back_rooms(self, spaces: Sequence[Space]) -> None:
        for space in spaces:
            if space.live:
                self._take_back_room(space)

    def _put_alike(self, space: Space, batch: Mapping[Any, Held], size: int, now: float, latest: float) -> int:
        """Do ``put_alike`` if there is the room, and nothing is due; return how many were stored, or none."""
        try:
            self.exclusive.busy = True
            if not (now < self.due.soonest and self.due.begins <= latest):
                return 0
            room = space.take_room()
            if room < size:
                space.room += room
                return 0
            self.latest_batch = None
            before = [*map(space.get, batch)]
            space.update(batch)
            if any(before):
                for key, old in zip(batch, before, strict=True):
                    if old is not None:
                        size -= old[SIZE]
                        if (old[EXPIRY] or NEVER) > latest:  # noted as due too late, or not at all
                            self.due.add(latest, space.name, key)
            self.latest_batch = object()
            space.room += room - size
            return len(batch)
        except BaseException:
            self._recount()
            self._put([(space.name, key, held) for key, held in batch.items()])
            raise
        finally:
            self.exclusive.busy = False

    def _replace(self, space: Space, key: Any, held: Held, other: Held) -> None:
        if space.live and space.exchange(key, held, other):
            self._count(space, other[SIZE] - held[SIZE])

    def _expire(self, space: Space, key: Any, held: Held) -> None:
        if space.live:
            self._take_back_room(space)
            if space.get(key) is held:
                self._drop_expired(space, key)
                self._tidy()
