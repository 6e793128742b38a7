"""A flight: the computation of one key, which one call leads and any number of calls wait for; and how it ends."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from hitrate.base import FullKey
from hitrate.errors import DecodeError

_LOOK_SECONDS = 1.0
"""Seconds between two looks of a waiter whether its flight still has a leader: a loop that is closed wakes no one."""

led: ContextVar[tuple[Flight, ...]] = ContextVar("hitrate_flights", default=())
"""The flights that this thread or task computes; read to detect a computation that waits for itself."""


@dataclass(slots=True, eq=False)
class Outcome:
    """How a flight ended: with a value, with an exception, or with neither (``AGAIN``, ``APART``).

    Args:
        value: what was computed; it belongs to the caller that led the flight.
        copy: makes a value of its own for each caller that waited; None if the value is shared, since it cannot be
            copied.
        error: what was raised.
        is_for_one: whether the value is the leading caller's alone, since whoever takes it uses it up: those who waited
            are to ask again, each on its own.
    """

    value: Any = None
    copy: Callable[[], Any] | None = None
    error: BaseException | None = None
    is_for_one: bool = False

    def taken(self, *, leads: bool) -> Any:
        """Return the value for a caller, or raise."""
        if self.error is not None:
            raise self.error
        if leads or self.copy is None:
            return self.value
        try:
            return self.copy()
        except DecodeError:  # a serializer that stores what it cannot restore
            return self.value


AGAIN = Outcome()
"""The flight brought no result (its computation was cancelled): those who wait are to ask again."""

APART = Outcome()
"""What was raised was meant for the caller that computed: those who wait are to ask again, each on its own."""

LEFT_OUT = Outcome()
"""The function that computes many left this one out."""


class Boarding:
    """One call's part in flights: those that it leads, and those of others that it waits for.

    The call makes it before it takes part in a flight, and ends it in a ``finally``: so an exception at any line leaves
    no flight behind that nobody leads.

    Args:
        loop: the event loop whose task will carry out the flights that begin; None if this thread will.

    Attributes:
        mine: the flights that the call is to lead.
        others: those that others lead.
        within: the flights whose computation makes the call.
        blocked: the event loop that the call blocks.
        thread: the thread that leads the flights that begin, unless a task does.
        nested: whether the call interrupts another one of its thread, as a finaliser does, and so must not wait.
    """

    __slots__ = ("__weakref__", "blocked", "loop", "mine", "nested", "others", "thread", "within")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        self.mine: list[Flight] = []
        self.others: list[Flight] = []
        self.nested = False
        self.within = led.get()
        self.blocked = asyncio._get_running_loop() if loop is None else None
        self.thread = threading.get_ident() if loop is None else None


class Flight:
    """The computation of one key that is under way.

    Attributes:
        key: the full key.
        loop: the event loop whose task computes it; None if a thread does.
        thread: that thread.
        task: that task.
        companions: the flights that the same task carries out, this one among them.
        lease: the token under which a lease of the key was asked for and is not given back; None if there is none.
        revoked: whether what it computes is not to be stored, since the key was removed or computed anew meanwhile.
        waiters: the calls that wait for it; None if there was none so far.
        asks: the calls that its computation makes, and that wait for other flights; None if there was none so far.
    """

    __slots__ = (
        "_leader",
        "_wakes",
        "asks",
        "companions",
        "key",
        "lease",
        "loop",
        "outcome",
        "revoked",
        "task",
        "thread",
        "waiters",
    )

    def __init__(self, key: FullKey, leader: Boarding) -> None:
        self.key = key
        self.loop = leader.loop
        self.thread = leader.thread
        self.task: asyncio.Task[Any] | None = None
        self.companions: list[Flight] = [self]
        self.lease: bytes | None = None
        self.revoked = False
        # If a task computes it, the caller that started the task waits as others do.
        self.waiters: set[Boarding] | None = None if leader.loop is None else {leader}
        self.asks: set[Boarding] | None = None
        self.outcome: Outcome | None = None
        self._leader = weakref.ref(leader)
        self._wakes: list[Callable[[], object]] = []

    @property
    def waiting(self) -> int:
        """The number of calls that wait for it."""
        return len(self.waiters or ())

    @property
    def alive(self) -> bool:
        """False if nobody leads it any more: its call has ended, or its event loop does not run."""
        if self.loop is not None and not self.loop.is_running():
            return False
        return self.task is not None or self._leader() is not None

    def land(self, outcome: Outcome) -> None:
        """End the flight and wake those who wait."""
        # No lock: a waiter adds itself and then looks for the outcome; here the outcome is set before the waiters are
        # woken.
        if self.outcome is None:
            self.outcome = outcome
        while self._wakes:
            try:
                wake = self._wakes.pop()
            except IndexError:  # another thread lands it, too
                return
            wake()

    def _when_landed(self, wake: Callable[[], object]) -> bool:
        """Have a function called when the flight lands; return False if it has landed already."""
        self._wakes.append(wake)
        return self.outcome is None

    def forget_others(self) -> None:
        """Forget the waiters: in a forked child their threads are gone, and their locks would stay locked."""
        self._wakes = []
        self.waiters = None

    def wait(self) -> Outcome:
        """Wait on this thread until it has landed."""
        woken = threading.Lock()  # not an Event, which has a lock: a finaliser that lands this flight could wait for it
        woken.acquire()
        if self._when_landed(woken.release):
            while not woken.acquire(timeout=_LOOK_SECONDS) and self.outcome is None:
                if not self.alive:
                    return AGAIN
        assert self.outcome is not None
        return self.outcome

    async def await_(self) -> Outcome:
        """Wait in a task until it has landed."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        def landed() -> None:
            if asyncio._get_running_loop() is loop and asyncio.current_task(loop) is not None:
                wake()  # this is a step of the loop, which looks for ready callbacks before it sleeps
                return
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:  # the loop of the waiter was closed
                pass

        if self._when_landed(landed):
            if self.loop is loop:
                await woken
            while self.outcome is None:
                await asyncio.wait([woken], timeout=_LOOK_SECONDS)
                if self.outcome is None and not self.alive:
                    return AGAIN
        assert self.outcome is not None
        return self.outcome
