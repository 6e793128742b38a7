"""Single flight in a process: whoever misses a key that is being computed waits for that result.

The idea and the name are those of groupcache's ``singleflight``. A flight is led by the thread, or carried out by the
task, that found nothing; any number of threads and of tasks of any event loops wait for it. It is no longer found once
it has landed, so what its keys are asked for afterwards is read from the cache or computed anew.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Container
from contextvars import ContextVar
from typing import Any

from hitrate.base import FullKey
from hitrate.errors import DecodeError, ReentrancyError

_lock = threading.Lock()
"""Guards all flights and who waits for which; held for a few lines only, never over a wait or a computation."""

_LOOK_SECONDS = 1.0
"""How often those who wait for a task look whether its event loop still runs: a loop that was closed tells nobody."""

_blocked: dict[asyncio.AbstractEventLoop, list[Flight]] = {}
"""The flights that event loops wait for in calls that block them: until then none of their tasks goes on."""

led: ContextVar[tuple[Flight, ...]] = ContextVar("hitrate_flights", default=())
"""The flights that this thread or task is computing, for those that it calls to know."""


class Outcome:
    """How a flight ended: with a value, with an exception, or with neither (``AGAIN``, ``APART``).

    Args:
        value: what was computed, the caller's own who led the flight.
        copy: makes a value of their own for those who waited; None if the value is shared, since it has no copy.
        error: what was raised.
    """

    __slots__ = ("copy", "error", "value")

    def __init__(
        self, value: Any = None, copy: Callable[[], Any] | None = None, error: BaseException | None = None
    ) -> None:
        self.value = value
        self.copy = copy
        self.error = error

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
"""Nothing was learnt (whoever computed was cancelled): those who wait are to ask again."""

APART = Outcome()
"""What was raised was for the one who computed: those who wait are to ask again, each on its own."""

LEFT_OUT = Outcome()
"""The function that computes many left this one out."""


class Flight:
    """The computation of one key that is under way.

    Attributes:
        key: the full key.
        loop: the event loop whose task computes it; None if a thread does.
        task: that task.
        companions: the flights that the same task carries out, this one among them.
        revoked: whether what it computes is not to be stored, since the key was removed or computed anew meanwhile.
        waiting: how many wait for it.
    """

    __slots__ = (
        "_callbacks",
        "_landed",
        "awaited",
        "companions",
        "key",
        "loop",
        "outcome",
        "revoked",
        "task",
        "waiting",
    )

    def __init__(self, key: FullKey, loop: asyncio.AbstractEventLoop | None) -> None:
        self.key = key
        self.loop = loop
        self.task: asyncio.Task[Any] | None = None
        self.companions: list[Flight] = [self]
        self.revoked = False
        self.waiting = 0
        self.outcome: Outcome | None = None
        self.awaited: list[Flight] = []  # the flights that whoever computes this one waits for, once for each wait
        self._landed: threading.Event | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def alive(self) -> bool:
        """False if the event loop that was to carry it on does not run (any more)."""
        return self.loop is None or self.loop.is_running()

    def land(self, outcome: Outcome) -> None:
        """End the flight and wake those who wait."""
        with _lock:
            if self.outcome is not None:
                return
            self.outcome = outcome
            callbacks, self._callbacks = self._callbacks, []
            landed = self._landed
        if landed is not None:
            landed.set()
        for callback in callbacks:
            callback()

    def forget_others(self) -> None:
        """Forget who waits: after a fork they are not here, nor can a lock that one of them held be had."""
        self._landed, self._callbacks = None, []
        self.waiting = 0

    def wait(self) -> Outcome:
        """Wait on this thread until it has landed."""
        with _lock:
            if self.outcome is not None:
                return self.outcome
            if self._landed is None:
                self._landed = threading.Event()
            landed = self._landed
        while not landed.wait(None if self.loop is None else _LOOK_SECONDS):
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
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:  # the loop of the one who waited was closed
                pass

        with _lock:
            if self.outcome is not None:
                return self.outcome
            self._callbacks.append(landed)
        if self.loop is None or self.loop is loop:
            await woken
        else:
            while not woken.done():
                await asyncio.wait([woken], timeout=_LOOK_SECONDS)
                if self.outcome is None and not self.alive:
                    return AGAIN
        assert self.outcome is not None
        return self.outcome


class Flights:
    """The flights of one cache.

    Attributes:
        landed: how many have landed. Whoever read it before looking into the cache, found nothing and then leads a
            flight need not look again if it is unchanged.
    """

    def __init__(self) -> None:
        self._flights: dict[FullKey, Flight] = {}
        self._alone: set[Flight] = set()  # those that nobody else takes part in
        self.landed = 0

    def board(
        self,
        keys: list[FullKey],
        loop: asyncio.AbstractEventLoop | None,
        *,
        anew: bool = False,
        alone: Container[FullKey] = (),
    ) -> tuple[list[Flight], list[Flight]]:
        """Take part in the flights of some keys; begin those that are not under way.

        Args:
            keys: full keys, none of them twice.
            loop: the event loop whose task will carry out the flights that begin; None if this thread will.
            anew: whether to begin them all: what is under way began too early.
            alone: those of the keys to begin flights for that nobody else takes part in.

        Returns:
            The flights that the caller is to lead, and those that others lead.

        Raises:
            ReentrancyError: the computation of one of these keys is what asks, and would wait for itself.
        """
        blocked = asyncio._get_running_loop() if loop is None else None
        mine: list[Flight] = []
        others: list[Flight] = []
        current = led.get()
        with _lock:
            for key in keys:
                if current and any(each.key == key and each in self._alone for each in current):
                    raise _reentrancy(key, "computing its value asks for that value again")
                flight = self._flights.get(key)
                if flight is None or not flight.alive or key in alone:
                    continue
                if current or blocked is not None:
                    awaited = _awaited_by(flight)
                    if any(each in awaited for each in current):
                        raise _reentrancy(key, "computing its value asks for that value again, directly or by others")
                    if blocked is not None and not anew and any(each.loop is blocked for each in awaited):
                        raise _reentrancy(
                            key, "a task of this very event loop computes it; await aget_or_compute instead"
                        )
            for key in keys:
                flight = self._flights.get(key)
                if flight is None or anew or not flight.alive or key in alone:
                    if flight is not None and (anew or not flight.alive):
                        flight.revoked = True
                    flight = Flight(key, loop)
                    if key in alone:
                        self._alone.add(flight)
                    else:
                        self._flights[key] = flight
                    flight.waiting = 0 if loop is None else 1  # a task computes it, and its caller waits as others do
                    mine.append(flight)
                else:
                    flight.waiting += 1
                    others.append(flight)
                    for each in current:
                        each.awaited.append(flight)
                    if blocked is not None:
                        _blocked.setdefault(blocked, []).append(flight)
        return mine, others

    def leave(self, flight: Flight, *, cancelled: bool = False) -> None:
        """Wait no more for a flight; when all who did were cancelled, so is its task."""
        with _lock:
            flight.waiting -= 1
            for each in led.get():
                if flight in each.awaited:
                    each.awaited.remove(flight)
            if _blocked and (loop := asyncio._get_running_loop()) in _blocked and flight in _blocked[loop]:
                _blocked[loop].remove(flight)
                if not _blocked[loop]:
                    del _blocked[loop]
            task = flight.task
            if not cancelled or task is None or flight.outcome is not None:
                return
            if any(each.waiting > 0 and each.outcome is None for each in flight.companions):
                return
            for each in flight.companions:
                each.revoked = True  # a removal of its key would not find it any more
                self._forget(each)  # nobody is to wait for it from here on
        try:
            task.get_loop().call_soon_threadsafe(task.cancel)
        except RuntimeError:  # its loop was closed, and it with it
            pass

    def remove(self, flight: Flight) -> None:
        """Have a flight found no more. What it stored is stored by now."""
        with _lock:
            self.landed += 1
            self._forget(flight)

    def _forget(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        self._alone.discard(flight)

    def under_way(self, key: FullKey) -> bool:
        """Tell whether a key is being computed."""
        flight = self._flights.get(key)
        return flight is not None and flight.alive

    def revoke(self, concerns: Callable[[FullKey], bool]) -> None:
        """Have flights store nothing, since their keys are being removed."""
        with _lock:
            for flight in (*self._flights.values(), *self._alone):
                if concerns(flight.key):
                    flight.revoked = True

    def after_fork_in_child(self) -> None:
        """Forget the flights of threads that are not here."""
        for flight in self._flights.values():
            flight.forget_others()
        self._flights = {}
        self._alone = set()


def _awaited_by(flight: Flight) -> set[Flight]:
    """Return a flight and all that it waits for, near and far. The lock is held."""
    found = {flight}
    level = [flight]
    while level:
        level = [
            other
            for each in level
            for other in (*each.awaited, *(_blocked.get(each.loop, ()) if _blocked and each.loop is not None else ()))
            if other not in found
        ]
        found.update(level)
    return found


def _reentrancy(key: FullKey, why: str) -> ReentrancyError:
    return ReentrancyError(f"namespace {key[0]!r}, key {key[1]!r} would wait for itself for ever: {why}")


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()  # a thread that is not here may have held it
    _blocked.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
