"""The housekeeping of the stores in memory, on one thread for all of them, which runs while there is something to do.

It removes expired entries, compacts the order of arrival and frees what was cleared, in steps so short that nobody
waits for them. The thread holds stores by weak references alone.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hitrate.clock import wall_clock
from hitrate.exclusive import Signal
from hitrate.stores.background import Background
from hitrate.stores.memory.arrivals import Compaction
from hitrate.stores.memory.due import NEVER

if TYPE_CHECKING:
    from hitrate.stores.memory.entries import Entries

_PURGED_PER_STEP = 256
_FREED_PER_STEP = 1_000
_NOTED_PER_STEP = 1_000

_LINGER_SECONDS = 1.0
_AT_MOST_SECONDS = 60.0
"""Seconds that the thread waits at most: an interrupt may have kept a request from waking it."""

_DELAY_SECONDS = 0.002
"""Seconds before the thread begins, so that it does not take the GIL from the caller that asked for it."""

_asked: dict[int, weakref.ref[Entries]] = {}
_wanted = Signal()


def request(store: Entries) -> None:
    """Have the housekeeping of a store done soon, and again whenever entries of it expire."""
    _asked[id(store)] = weakref.ref(store)
    _wanted.set()  # before the look: a thread that is about to end looks here last
    if _background.thread is None:
        _background.try_to_start("housekeeping was put off")


def after_fork_in_child() -> None:
    """Forget the thread, which stayed with the parent, and look after the child's stores by another."""
    global _wanted  # noqa: PLW0603 - a queue that the parent's thread may have held at the fork
    _background.after_fork_in_child()
    _wanted = Signal()
    for reference in list(_asked.values()):
        if (store := reference()) is not None:
            request(store)


def _run() -> None:
    seconds = 0.0
    while True:
        if not _wanted.wait(seconds) and not _asked and _background.ended(lambda: _asked):
            return
        if _wanted.is_set():
            time.sleep(_DELAY_SECONDS)
        _wanted.clear()
        waits = [_looked_after(number, reference) for number, reference in list(_asked.items())]
        seconds = min((each for each in waits if each is not None), default=_LINGER_SECONDS)


def _looked_after(number: int, reference: weakref.ref[Entries]) -> float | None:
    """Do what there is to do for a store; return after how many seconds there is more, None if that is not known."""
    asked = _asked.pop(number, None)  # first: it may ask again meanwhile
    if asked is not None and asked is not reference:  # it is gone, and another store that has its number has asked
        _asked.setdefault(number, asked)
    store = reference()
    if store is None:
        return None
    for _ in _steps(store):
        time.sleep(0)  # other threads run first
    if store.due.soonest == NEVER or store.clock is not wall_clock:  # nobody knows how long to wait by that
        return None
    _asked.setdefault(number, reference)
    return min(max(store.due.soonest - store.clock(), 0.0), _AT_MOST_SECONDS)


def _steps(store: Entries) -> Iterator[None]:
    """Do what there is to do for a store, in short steps."""
    while store.garbage:
        yield from _taken_apart(store.garbage.popleft())
    while store.change(store.purge, _PURGED_PER_STEP):
        yield
    while store.divided:
        while store.change(store.move, store.divided[0]):
            yield
        store.divided.popleft()
    compaction = store.change(_compaction, store)
    if compaction is not None:
        yield from compaction.steps()
        store.change(compaction.finish)
        yield from compaction.free()
    if store.ranks.wants_compacting:
        steps = store.ranks.compact()
        while store.change(next, steps, False) is None:
            yield
    if store.change(store.begin_noting):
        yield from _note_all(store)


def _compaction(store: Entries) -> Compaction | None:
    return Compaction(store.arrivals) if store.arrivals.wants_compacting else None


def _note_all(store: Entries) -> Iterator[None]:
    """Note of each entry anew when it is due: most of what was noted is out of date."""
    for space in list(store.spaces.values()):
        keys = list(space)
        for start in range(0, len(keys), _NOTED_PER_STEP):
            store.change(store.note, space, keys[start : start + _NOTED_PER_STEP])
            yield
    before, store.due_before = store.due_before, None
    if before is not None:
        yield from _taken_apart([*before.told.values()])


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


_background = Background("hitrate-housekeeping", _run)
