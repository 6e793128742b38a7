"""Locks that bear what comes in between: a finaliser, a signal handler, an exception at any line.

The collector runs finalisers, and a signal its handler, at nearly any step, on a thread that may be in the midst of a
change; what they ask of a cache must not wait for a lock that this very thread holds. So every lock that they can reach
is re-entrant, and a change that is asked for within another is put off until that one is done.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import wraps
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


def reentrant() -> Any:
    """Return a lock that its own thread may take again, and that ``within_change`` knows of."""
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def within_change() -> bool:
    """Tell whether this thread holds one of our locks: a finaliser is asking.

    It must not wait for what another thread does, who may be waiting for that lock.
    """
    return any(lock._is_owned() for lock in list(_locks))  # as `Condition` looks


_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def held(lock: Any, do: Callable[..., T], *args: Any) -> T:
    """Call a function while a lock is held.

    The ``with`` is on one line, so that no exception of a tracer comes between the last line and the release.
    """
    with lock: return do(*args)  # fmt: skip  # noqa: E701


def locked(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Have a method run while the ``lock`` of its object is held."""

    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.lock: return method(self, *args, **kwargs)  # type: ignore[attr-defined]  # fmt: skip  # noqa: E701

    return run


class Signal:
    """A ``threading.Event`` for a thread that waits, which a finaliser may set at any moment.

    An event has a lock, and allocates while it holds that.
    """

    def __init__(self) -> None:
        self._set = False
        self._told: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        if not self._set:
            self._set = True
            self._told.put(None)

    def clear(self) -> None:
        self._set = False

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, so many seconds at most; tell whether it is."""
        end = time.monotonic() + seconds
        while not self._set and (left := end - time.monotonic()) > 0:
            try:
                self._told.get(timeout=left)
            except Empty:
                break
        return self._set


class Exclusive:
    """Changes of one thing, one at a time.

    Attributes:
        lock: is held during each.
        waiting: the changes that were put off.
    """

    def __init__(self) -> None:
        self.lock = reentrant()
        self.is_mine: Callable[[], bool] = self.lock._is_owned  # as `Condition` does
        self.waiting: deque[Callable[[], object]] = deque()

    def run(self, do: Callable[..., T], *args: Any) -> T:
        """Carry out a change, and then what was put off meanwhile. Not to be called within a change."""
        try:
            with self.lock: return do(*args)  # fmt: skip  # noqa: E701
        finally:
            if self.waiting:
                self.catch_up()

    def put_off(self, change: Callable[[], object]) -> None:
        """Have a change carried out when the one that this thread is in is done."""
        self.waiting.append(change)

    def catch_up(self) -> None:
        """Carry out what was put off."""
        while self.waiting and not self.is_mine():
            try:
                change = self.waiting.popleft()
            except IndexError:  # another thread was faster
                return
            change()
