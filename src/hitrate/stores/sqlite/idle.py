"""What stands in for the list of idle connections: one connection for all threads; none in a fork or once closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hitrate.errors import ClosedError, StoreError
from hitrate.exclusive import reentrant, within_step
from hitrate.stores.sqlite.handle import Handle

QUIET_SECONDS = 10.0
"""Seconds that a fork waits for operations to end: twice as long as an operation waits for another process."""

_TURN_SECONDS = 0.0001
_TURNS = 50


class MustNotWait(StoreError):
    """A finaliser that runs within another change or step asks for something that it would have to wait for."""


class SharedConnection:
    """The one connection of a ``:memory:`` cache, for one thread at a time."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._free = reentrant()
        self.is_mine: Callable[[], bool] = self._free._is_owned  # as `Condition` does
        self._waiting = 0  # threads; changed in one step of the interpreter
        self._closed = False

    def pop(self) -> Handle:
        if not self.acquire():
            raise ClosedError("the cache on :memory: is closed; open another one")
        return self._handle

    def append(self, handle: Handle) -> None:
        self._free.release()

    def acquire(self, *, over_fork: bool = False) -> bool:
        """Wait until nobody uses it; tell whether it is open still, and now held.

        Args:
            over_fork: whether this thread is about to fork, and has the lock of openings for that: whoever uses this
                does not wait for it.
        """
        if not self._free.acquire(blocking=False):
            if within_step() and not over_fork:
                raise MustNotWait(":memory: is in use, and a finaliser does not wait for it")
            self._waiting += 1
            try:
                self._free.acquire()
            finally:
                self._waiting -= 1
        if self._closed:
            self._free.release()
            return False
        return True

    def release(self) -> None:
        self._free.release()

    def give_turns(self) -> None:
        """Let threads that wait go first: a thread that releases a lock could take it again before they wake.

        For some milliseconds at most, since there may always be threads that wait.
        """
        for _ in range(_TURNS):
            time.sleep(_TURN_SECONDS)
            if not self._waiting:
                return

    def let_go(self) -> None:
        """Release the connection if this thread still holds it."""
        while self.is_mine():
            self._free.release()

    def close(self) -> None:
        if self.acquire():
            self._closed = True
            self._handle.close()
            self._free.release()


class ForkGate:
    """Stands for the idle connections while the process forks: whoever wants one waits."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def pop(self) -> Handle:
        self.opened.wait(QUIET_SECONDS)
        raise IndexError  # open a new one

    def append(self, handle: Handle) -> None:
        """Let go of it, which closes it."""


class Closed:
    """Stands for the idle connections of a closed cache."""

    def __init__(self, path: str) -> None:
        self._path = path

    def pop(self) -> Handle:
        raise ClosedError(f"the cache on {self._path} is closed; open another one")
