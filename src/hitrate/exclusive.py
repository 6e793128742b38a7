"""Locks that withstand a finaliser, a signal handler or an exception at any line.

The collector may run a finaliser at nearly any step of a program, and Python a signal handler: on a thread that may be
in the midst of a change. If these use a cache, they must wait neither for a lock that this very thread holds, nor for
one whose holder waits for this thread. So there is an order among locks, and no thread waits against it:

1. the ``Exclusive`` of tiers, under which copies in memory are changed,
2. the ``Exclusive`` of any other store,
3. what takes longer than some lines and is a step of those: opening a file, the one connection of ``:memory:``,
4. ``a_few_lines``, one lock for all the rest, under which no thread waits for anything.

A thread that holds one of them waits only for those further down. If a finaliser asks for a change for which it would
have to wait all the same, that change is put off until the change that the finaliser interrupted is done.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial, wraps
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from hitrate import forking

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

log = logging.getLogger("hitrate")

a_few_lines: Any = threading.RLock()
"""Guards work of a few lines that wait for no lock, thread or answer.

There is one for all such lines, so that a finaliser that runs within some of them has the lock already.
"""

within_lines: Callable[[], bool] = a_few_lines._is_owned  # as `Condition` looks
"""Tells whether this thread is within such lines."""


class Live(Generic[T]):
    """The objects of a kind that are alive, which are added to and looked through on any thread, in finalisers too.

    A ``WeakSet`` cannot be walked while another thread adds to it.
    """

    def __init__(self) -> None:
        self._refs: tuple[weakref.ref[T], ...] = ()

    def add(self, one: T) -> None:
        with a_few_lines:
            while True:
                before = self._refs
                after = (*[ref for ref in before if ref() is not None], weakref.ref(one))
                if self._refs is before:  # else a finaliser has added one, too
                    self._refs = after
                    return

    def __iter__(self) -> Iterator[T]:
        for ref in self._refs:
            one = ref()
            if one is not None:
                yield one


_steps: Live[Any] = Live()


def reentrant() -> Any:
    """Return a lock for a step of a change; ``within_change`` knows of it. For a few lines there is ``a_few_lines``."""
    lock = threading.RLock()
    _steps.add(lock)
    return lock


def within_step() -> bool:
    """Tell whether this thread holds a lock of a step, or is within a few lines, and must wait for no step."""
    return within_lines() or any(lock._is_owned() for lock in _steps)


def within_change() -> bool:
    """Tell whether this thread holds a lock of hitrate: if so, the caller is a finaliser or a signal handler."""
    return within_step() or held_here() is not None


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
        self._set = True
        # though it was set before: that call may have been interrupted before it woke the waiter
        if self._told.empty():
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
    """Carries out the changes of one object, one at a time.

    Args:
        outer: whether it is that of tiers, under which those of other stores are waited for.

    Attributes:
        lock: is held during each.
        busy: whether a change is under way. False if ``run`` would not have to wait: no thread switch can happen from
            a look at this to the ``with`` of ``run``, nor between that and what is noted there.
        waiting: the changes that were put off.
    """

    def __init__(self, *, outer: bool = False) -> None:
        self.lock = threading.RLock()
        self.is_mine: Callable[[], bool] = self.lock._is_owned  # type: ignore[attr-defined]  # as `Condition` looks
        self.outer = outer
        self.busy = False
        self.waiting: deque[Callable[[], object]] = deque()
        _exclusives.add(self)

    def must_not_wait(self) -> bool:
        """Tell whether this thread is within a change, and so must put off another one if this is ``busy``.

        A thread that holds this very lock is within a change, too. A change of tiers has several steps, each of which
        may have to wait, so within a change it is put off whether this is busy or not.
        """
        if self.is_mine() or within_step():
            return True
        return any((self.outer or not each.outer) and each.is_mine() for each in _exclusives)

    def run(self, do: Callable[..., T], *args: Any) -> T:
        """Carry out a change, and then what was put off meanwhile. Not to be called within a change."""
        try:
            with self.lock: return self._noted(do, *args)  # fmt: skip  # noqa: E701
        finally:
            if self.waiting:
                self.catch_up()

    def _noted(self, do: Callable[..., T], *args: Any) -> T:
        try:
            self.busy = True
            return do(*args)
        finally:
            self.busy = False

    def put_off(self, change: Callable[[], object]) -> None:
        """Have a change carried out when the one that this thread is in is done.

        If this thread is within a step, or ``a_few_lines``, but in no change, it is carried out after the next change
        of this.
        """
        (held_here() or self).waiting.append(change)

    def catch_up(self) -> None:
        """Carry out what was put off, unless this thread is within a change still.

        Each change that is carried out calls ``catch_up`` itself as it ends. Such a nested call leaves its work to the
        outer one; else a hundred changes that were put off would make a hundred nested calls.
        """
        mine = _catching_up()
        mine.others.append(self)
        if not mine.lock._is_owned():
            held(mine.lock, self._carry_out_all, mine.others)

    @staticmethod
    def _carry_out_all(others: deque[Exclusive]) -> None:
        while others:
            others.popleft()._carry_out()

    def _carry_out(self) -> None:
        while self.waiting and not self.must_not_wait():
            try:
                change = self.waiting.popleft()
            except IndexError:  # another thread took the last
                return
            try:
                change()
            except Exception as error:  # the caller that asked for the change is gone
                when_free(log.warning, "what was asked for within a change failed: %s", error)


class _CatchingUp:
    """What a thread notes while it carries out what was put off.

    Attributes:
        lock: is held meanwhile, so that a nested ``catch_up`` is recognised. A flag would not do: an exception might
            keep it from being taken back, and then nothing that is put off on this thread would ever be carried out.
        others: whose changes this thread is to carry out next.
    """

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()
        self.others: deque[Exclusive] = deque()


_local = threading.local()


def _catching_up() -> _CatchingUp:
    # setdefault in one call: a finaliser may run between two lines, and ask for it.
    mine: _CatchingUp = _local.__dict__.get("mine") or _local.__dict__.setdefault("mine", _CatchingUp())
    return mine


def held_here() -> Exclusive | None:
    """Return one that this thread holds, if it holds any."""
    for each in _exclusives:
        if each.is_mine():
            return each
    return None


def when_free(do: Callable[..., object], *args: Any) -> None:
    """Call a function now or, if this thread is in the midst of a change, after that.

    Log lines go this way: a log handler has a lock, and a thread that holds it may run a finaliser that waits for us.
    """
    change = held_here()
    if change is None:
        do(*args)
    else:
        change.waiting.append(partial(when_free, do, *args))


_exclusives: Live[Exclusive] = Live()

# Held over a fork, so that a child never inherits it from a thread that is not there.
forking.at_fork(
    forking.Turn.LINES,
    before=a_few_lines.acquire,
    after_in_parent=a_few_lines.release,
    after_in_child=a_few_lines.release,
)


class HeldOverForks(Live[T]):
    """Objects whose ``lock`` is held over each fork, so that a child inherits no change that is half made.

    Args:
        turn: when that is, in relation to other locks.
        begin_anew: called in the child with each of them, before its lock is released.
    """

    def __init__(self, turn: forking.Turn, begin_anew: Callable[[T], object] = lambda one: None) -> None:
        super().__init__()
        self._begin_anew = begin_anew
        self._held: list[Any] = []
        self._forking = reentrant()  # held as long as those: two threads that fork take turns with the list
        forking.at_fork(turn, before=self._hold, after_in_parent=self._release, after_in_child=self._release_in_child)

    def _hold(self) -> None:
        self._forking.acquire()
        one: Any
        for one in self:
            one.lock.acquire()
            self._held.append(one)

    def _release(self) -> None:
        while self._held:
            self._held.pop().lock.release()
        self._forking.release()

    def _release_in_child(self) -> None:
        try:
            for one in self._held:
                self._begin_anew(one)
        finally:
            self._release()
