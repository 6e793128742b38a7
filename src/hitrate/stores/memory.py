"""Entries in this process: a dict a namespace, read without a lock.

What is held for a key is an immutable tuple, and whatever changes (a visited bit, another form of the value) replaces
the tuple under the lock. A reader therefore needs no lock: it sees one tuple or the other, each of them whole.
"""

from __future__ import annotations

import gc
import heapq
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, cast

from hitrate.entry import Entry
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.sieve import sweep
from hitrate.stores.base import Found, Store, Usage, check_limit

Held = tuple[Any, ...]
"""(encoding, payload, expiry, seconds, visited) and, if the payload's length does not tell it, the size in bytes.

A callable in the place of the encoding makes the value from the payload; None says that the payload is the value.
"""

ENTRY_OVERHEAD = 200
"""Bytes that an entry takes beyond its key and payload: its tuple, dict slot, place in the queue and object headers."""

_PURGED_PER_WRITE = 64
_DEAD_AT_LEAST = 1024
_FREED_AT_ONCE = 20_000
_NEVER = sys.float_info.max
_CLEARED = -1
_CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


class Space(dict[Hashable, Held]):
    """The entries of one namespace, and the bytes they take."""

    __slots__ = ("name", "size")

    def __init__(self, name: Any) -> None:
        super().__init__()
        self.name = name
        self.size = 0

    __hash__ = object.__hash__  # type: ignore[assignment]  # told apart by identity in the queue

    def __eq__(self, other: object) -> bool:
        return self is other


def size_of(key: Any, held: Held) -> int:
    """Return the bytes that an entry is counted as."""
    return held[5] if len(held) == 6 else len(held[1]) + len(key) + ENTRY_OVERHEAD


def footprint(value: Any) -> int:
    """Return about how many bytes a value takes as objects, with all that it refers to but classes and functions."""
    seen: dict[int, Any] = {}
    level = [value]
    while level:
        for each in level:
            seen[id(each)] = each
        level = [each for each in gc.get_referents(*level) if id(each) not in seen and not isinstance(each, _CODE)]
    return sum(map(sys.getsizeof, seen.values()))


class MemoryStore(Store):
    """Keeps entries in this process.

    Args:
        max_bytes: bytes held at most, None for no limit.
        max_entries: entries held at most, None for no limit.
        clock: returns the seconds since the epoch.
    """

    def __init__(self, *, max_bytes: int | None, max_entries: int | None, clock: Callable[[], float]) -> None:
        check_limit("max_bytes", max_bytes)
        check_limit("max_entries", max_entries)
        self.spaces: dict[Any, Space] = {}
        # Guards everything below and every change of a space; never held while values are encoded or decoded.
        self.lock = threading.Lock()
        self._clock = clock
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self._max_entries = sys.maxsize if max_entries is None else max_entries
        self._bounded = max_bytes is not None or max_entries is not None
        self._entries = 0
        self._size = 0
        self._evictions = 0
        self._expirations = 0
        self._queue = _Queue()
        self._due = _Due()
        _stores.add(self)

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        found: list[Found] = []
        now = self._clock()
        for name, key in keys:
            space = self.spaces.get(name)
            held = None if space is None else space.get(key)
            if space is None or held is None:
                found.append(None)
            elif held[2] is not None and held[2] <= now:
                self.expire(space, key, held)
                found.append(None)
            else:
                self.visit(space, key, held)
                found.append(cast(Entry, held[:4]))
        return found

    async def aget(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return self.get(keys)

    def write(self, changes: Mapping[Any, Any]) -> int:
        batch = [(name, key, None if entry is None else (*entry, False)) for (name, key), entry in changes.items()]
        return self.put(batch)[1]

    def put(self, batch: Sequence[tuple[Any, Any, Held | None]]) -> tuple[int, int]:
        """Apply a batch as one: for each namespace and key what to hold, or None to remove the key.

        Returns:
            How many entries were stored and how many removed.
        """
        stored = removed = 0
        with self.lock:
            for name, key, held in batch:
                space = self.spaces.get(name)
                if held is None:
                    if space is not None and key in space:
                        self._drop(space, key)
                        removed += 1
                    continue
                size = grown = len(held[1]) + len(key) + ENTRY_OVERHEAD
                if size > self._max_bytes:
                    self._too_large(name, key, size)
                    continue
                if space is None:
                    space = self.spaces[name] = Space(name)
                old = space.get(key)
                if old is None:
                    self._entries += 1
                    if self._bounded:
                        self._queue.append(space, key)
                else:
                    grown -= size_of(key, old)
                space[key] = held
                stored += 1
                if grown:
                    space.size += grown
                    self._size += grown
                if held[2] is not None:
                    self._due.add(held[2], name, key)
            if self._due.soonest != _NEVER:
                self._purge()
            if self._size > self._max_bytes or self._entries > self._max_entries:
                self._evict({(name, key) for name, key, _ in batch})
        return stored, removed

    def put_one(self, space: Space, key: Any, held: Held) -> bool:
        """Hold an entry without an expiry, unless that takes an eviction or a purge or the space is no longer ours.

        Returns:
            Whether it is held now.
        """
        grown = len(held[1]) + len(key) + ENTRY_OVERHEAD
        # The longer way to write ``with self.lock``, and the functions of this file written out: together half a set.
        self.lock.acquire()
        try:
            old = space.get(key)
            if old is None:
                if self._entries >= self._max_entries:
                    return False
            else:
                grown -= old[5] if len(old) == 6 else len(old[1]) + len(key) + ENTRY_OVERHEAD
            if self._size + grown > self._max_bytes or self._due.soonest != _NEVER or space.size == _CLEARED:
                return False
            if old is None:
                self._entries += 1
                if self._bounded:
                    queue = self._queue
                    if queue.dead > _DEAD_AT_LEAST:
                        queue.compact()
                    queue.spaces.append(space)
                    queue.keys.append(key)
            space[key] = held
            if grown:
                space.size += grown
                self._size += grown
        finally:
            self.lock.release()
        return True

    async def awrite(self, changes: Mapping[Any, Any]) -> int:
        return self.write(changes)

    def visit(self, space: Space, key: Any, held: Held) -> None:
        """Set the visited bit of an entry that was just read."""
        if not held[4]:
            self.replace(space, key, held, (*held[:4], True, *held[5:]))

    def replace(self, space: Space, key: Any, held: Held, other: Held) -> None:
        """Hold another form of the same entry, unless it was changed since it was read."""
        with self.lock:
            if space.get(key) is held and self._is_live(space):
                space[key] = other
                grown = size_of(key, other) - size_of(key, held)
                space.size += grown
                self._size += grown

    def expire(self, space: Space, key: Any, held: Held) -> None:
        """Remove an entry that was read and found expired, unless it was changed since."""
        with self.lock:
            if space.get(key) is held and self._is_live(space):
                self._drop(space, key)
                self._expirations += 1

    def clear(self, namespaces: Sequence[Any] | None) -> None:
        with self.lock:
            if namespaces is None:
                garbage = list(self.spaces.values())
                self.spaces.clear()
                self._entries = self._size = 0
                queue, self._queue = self._queue, _Queue()
                self._due = _Due()
                rest: list[list[Any]] = [queue.spaces, queue.keys]
            else:
                garbage = [space for name in namespaces if (space := self.spaces.pop(name, None)) is not None]
                for space in garbage:
                    self._entries -= len(space)
                    self._size -= space.size
                    self._queue.dead += len(space)
                rest = []
            for space in garbage:
                space.size = _CLEARED
        _free(garbage, rest)

    async def aclear(self, namespaces: Sequence[Any] | None) -> None:
        self.clear(namespaces)

    def usage(self) -> Usage:
        return Usage(self._entries, self._size, self._evictions, self._expirations)

    def close(self) -> None:
        self.clear(None)

    # All below: the lock is held.

    @staticmethod
    def _is_live(space: Space) -> bool:
        """Tell whether a space is still this store's, and has not been cleared since it was looked up."""
        return space.size != _CLEARED

    def _drop(self, space: Space, key: Any) -> None:
        """Drop an entry, and its namespace when it was the last one there."""
        size = size_of(key, space.pop(key))
        space.size -= size
        self._size -= size
        self._entries -= 1
        self._queue.dead += 1
        if not space:
            del self.spaces[space.name]
            space.size = _CLEARED

    def _purge(self) -> None:
        """Remove a bounded number of the entries whose TTL has passed."""
        now = self._clock()
        if self._due.soonest > now and not self._due.stale(self._entries):
            return
        for name, key in self._due.pop(now, _PURGED_PER_WRITE):
            space = self.spaces.get(name)
            held = None if space is None else space.get(key)
            if space is not None and held is not None and held[2] is not None and held[2] <= now:
                self._drop(space, key)
                self._expirations += 1
        if self._due.stale(self._entries):
            self._due = _Due()
            for name, space in self.spaces.items():
                for key, held in space.items():
                    if held[2] is not None:
                        self._due.add(held[2], name, key)

    def _evict(self, fresh: set[tuple[Any, Any]]) -> None:
        """Make room; what has just been stored goes only if there is nothing else."""
        if self._evictions == 0:
            log.warning(
                "InMemoryCache is full (%s entries, %s bytes; max_entries=%s, max_bytes=%s) and evicts from now on",
                *(self._entries, self._size, _limit(self._max_entries), _limit(self._max_bytes)),
            )
        spared = {(space, key) for name, key in fresh if (space := self.spaces.get(name)) is not None}
        for spare in (spared, set[tuple[Space, Any]]()):
            ring = (each for each in self._queue.ring(size_of) if each[0] not in spare)
            decided = sweep(ring, self._size - self._max_bytes, self._entries - self._max_entries)
            for (space, key), _ in decided.evicted:
                self._drop(space, key)
                self._evictions += 1
            for space, key in decided.cleared:
                held = space[key]
                space[key] = (*held[:4], False, *held[5:])
        self._queue.compact()

    def _too_large(self, name: Any, key: Any, size: int) -> None:
        """Drop a value that the cache could never hold, and the one it was to replace."""
        log.warning(
            "the value of key %r takes %s bytes, more than max_bytes=%s; not stored", key, size, self._max_bytes
        )
        space = self.spaces.get(name)
        if space is not None and key in space:
            self._drop(space, key)


class _Queue:
    """The order of arrival, and the hand. Two lists rather than one of pairs: a pair an entry would cost 56 bytes."""

    __slots__ = ("dead", "hand", "keys", "spaces")

    def __init__(self) -> None:
        self.spaces: list[Space] = []
        self.keys: list[Any] = []
        self.hand = 0
        self.dead = 0

    def append(self, space: Space, key: Any) -> None:
        self.compact()
        self.spaces.append(space)
        self.keys.append(key)

    def ring(self, size_of: Callable[[Any, Held], int]) -> Iterator[tuple[tuple[Space, Any], bool, int]]:
        """Yield the live entries from the hand on, twice round, moving the hand past each."""
        for _ in range(2 * len(self.keys)):
            if self.hand >= len(self.keys):
                self.hand = 0
            space, key = self.spaces[self.hand], self.keys[self.hand]
            self.hand += 1
            held = space.get(key)
            if held is not None and space.size != _CLEARED:
                yield (space, key), held[4], size_of(key, held)

    def compact(self) -> None:
        """Forget the places of entries that have left, once they are half of all."""
        if self.dead <= _DEAD_AT_LEAST or self.dead * 2 <= len(self.keys):
            return
        seen: set[tuple[Space, Any]] = set()
        kept = [False] * len(self.keys)
        for place in reversed(range(len(self.keys))):
            space, key = self.spaces[place], self.keys[place]
            if space.size != _CLEARED and key in space and (space, key) not in seen:
                seen.add((space, key))
                kept[place] = True
        self.hand = sum(kept[: self.hand])
        self.spaces = [space for space, keep in zip(self.spaces, kept, strict=True) if keep]
        self.keys = [key for key, keep in zip(self.keys, kept, strict=True) if keep]
        self.dead = 0


class _Due:
    """Which entries expire in which second; an entry whose TTL was set anew is found there too, and passed over."""

    __slots__ = ("_count", "_seconds", "_told", "soonest")

    def __init__(self) -> None:
        self.soonest = _NEVER
        self._told: dict[int, list[Any]] = {}
        self._seconds: list[int] = []
        self._count = 0

    def add(self, expiry: float, name: Any, key: Any) -> None:
        second = int(expiry) + 1
        due = self._told.get(second)
        if due is None:
            due = self._told[second] = []
            heapq.heappush(self._seconds, second)
            self.soonest = self._seconds[0]
        due.append(name)
        due.append(key)
        self._count += 1

    def pop(self, now: float, most: int) -> list[tuple[Any, Any]]:
        """Take out a bounded number of those that are due."""
        taken: list[tuple[Any, Any]] = []
        while self._seconds and self._seconds[0] <= now and len(taken) < most:
            due = self._told[self._seconds[0]]
            while due and len(taken) < most:
                key = due.pop()
                taken.append((due.pop(), key))
            if not due:
                del self._told[heapq.heappop(self._seconds)]
        self.soonest = self._seconds[0] if self._seconds else _NEVER
        self._count -= len(taken)
        return taken

    def stale(self, entries: int) -> bool:
        """Tell whether most of what is noted here has been overwritten or removed since."""
        return self._count > 2 * entries + 4096


def _limit(limit: int) -> int | None:
    return None if limit == sys.maxsize else limit


def _free(spaces: list[Space], rest: list[list[Any]]) -> None:
    """Let go of what was cleared: a little of it here, much of it in steps on a thread, so that nobody waits."""
    if sum(map(len, spaces)) <= _FREED_AT_ONCE:
        return

    def free() -> None:
        for space in spaces:
            while space:
                space.popitem()
        for queue in rest:
            while queue:
                del queue[-1000:]

    threading.Thread(target=free, name="hitrate-free", daemon=True).start()


_stores: weakref.WeakSet[MemoryStore] = weakref.WeakSet()
_held_over_fork: list[threading.Lock] = []
_forking = threading.Lock()  # held from before a fork until after it: two threads that fork take turns with the list


def _before_fork() -> None:
    """Hold every store's lock over a fork, so that the child never inherits a change half made."""
    _forking.acquire()
    for store in list(_stores):
        store.lock.acquire()
        _held_over_fork.append(store.lock)


def _after_fork() -> None:
    while _held_over_fork:
        _held_over_fork.pop().release()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
