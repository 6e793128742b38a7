"""What the stores in memory do beside their callers: one thread for all of them, while there is something to do.

It removes what has expired, compacts the order of arrival and lets go of what was cleared, each in steps so short that
nobody waits for them. A store that nothing else refers to goes as if the thread was not there.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING

from hitrate.exclusive import Signal
from hitrate.failsafe import log
from hitrate.stores.background import Background

if TYPE_CHECKING:
    from hitrate.stores.memory.store import MemoryStore

_LINGER_SECONDS = 1.0
_AT_MOST_SECONDS = 60.0
"""How long the thread waits at most: a request may have been interrupted before it was told."""

_AFTER_YOU_SECONDS = 0.002
"""How long the thread lets whoever asked go on first; a caller is not to wait for it at the interpreter's lock."""

_asked: dict[int, weakref.ref[MemoryStore]] = {}
_wanted = Signal()


def request(store: MemoryStore) -> None:
    """Have a store looked after soon, and again whenever something of it is due."""
    _asked[id(store)] = weakref.ref(store)
    _wanted.set()  # before the look: a thread that is about to end looks here last
    if _background.thread is None:
        try:
            _background.start()
        except RuntimeError as error:  # no thread is to be had, or the interpreter is about to exit
            log.debug("housekeeping was put off: %s", error)


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
            time.sleep(_AFTER_YOU_SECONDS)
        _wanted.clear()
        waits = [_looked_after(number, reference) for number, reference in list(_asked.items())]
        seconds = min((each for each in waits if each is not None), default=_LINGER_SECONDS)


def _looked_after(number: int, reference: weakref.ref[MemoryStore]) -> float | None:
    """Do what there is to do for a store; return after how many seconds there is more, None if that is not known."""
    _asked.pop(number, None)  # first: it may ask again meanwhile
    store = reference()
    if store is None:
        return None
    for _ in store.upkeep():
        time.sleep(0)  # others first
    soonest = store.seconds_until_due()
    if soonest is None:
        return None
    _asked.setdefault(number, reference)
    return min(max(soonest, 0.0), _AT_MOST_SECONDS)


_background = Background("hitrate-upkeep", _run)
