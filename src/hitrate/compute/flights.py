"""Single flight in a process: whoever misses a key that is being computed waits for that result.

The idea and the name are those of groupcache's ``singleflight``. A flight is led by the thread, or carried out by the
task, that found nothing; any number of threads and of tasks of any event loops wait for it. Once it has landed it is no
longer found: later calls for its keys read the cache or compute anew.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections import deque
from collections.abc import Callable, Container
from types import CoroutineType
from typing import Any

from hitrate import forking
from hitrate.base import FullKey
from hitrate.compute.flight import AGAIN, Boarding, Flight, led
from hitrate.errors import ReentrancyError
from hitrate.exclusive import a_few_lines, held, within_change, within_lines

# `a_few_lines` guards all flights and who waits for which. A finaliser may run within these lines: a coroutine that is
# collected lands its flight. So no set or dict is walked here while it can change.

_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

_blocked: dict[asyncio.AbstractEventLoop | None, set[Boarding]] = {}
"""For each event loop the sync calls that block it while they wait; until they return, none of its tasks goes on."""


class Flights:
    """The flights of one cache.

    Attributes:
        landed: how many have landed. A call that read this before it missed the cache, and now leads a flight, need not
            look into the cache again if the number is unchanged.
        forsaken: leases to be given back, as full key and token: their computations ended without it, since nothing can
            be awaited once an event loop is closed.
    """

    def __init__(self) -> None:
        self._flights: dict[FullKey, Flight] = {}
        self._alone: set[Flight] = set()  # those that no other call may join
        self._by_loop: dict[asyncio.AbstractEventLoop, set[Flight]] = {}
        self.landed = 0
        self.forsaken: deque[tuple[FullKey, bytes]] = deque()

    def board(
        self, boarding: Boarding, keys: list[FullKey], *, anew: bool = False, alone: Container[FullKey] = ()
    ) -> None:
        """Take part in the flights of some keys; begin those that are not under way.

        Args:
            boarding: of the call; the flights are noted there, and it is to be given to ``leave`` in any case.
            keys: full keys, none of them twice.
            anew: whether to begin a flight for each, though others are under way: those began too early.
            alone: those of the keys to begin flights for that nobody else takes part in.

        Raises:
            ReentrancyError: the computation of one of these keys makes this call, and would wait for itself.
        """
        if self._by_loop:
            self._let_go_of_closed_loops()
        if within_lines():
            # A finaliser has interrupted a change of flights: a flight that it waited for could not land.
            alone = keys
            boarding.nested = True
        elif self._flights and boarding.loop is None and within_change():
            # A finaliser has interrupted a change of a store, for which the thread that computes may be waiting, too.
            alone = keys
            boarding.nested = True
        with a_few_lines: self._board(boarding, keys, anew, alone)  # fmt: skip  # noqa: E701

    def _board(self, boarding: Boarding, keys: list[FullKey], anew: bool, alone: Container[FullKey]) -> None:
        current, blocked = boarding.within, boarding.blocked
        for key in keys if self._flights or current else ():
            if current and any(each.key == key and each in self._alone for each in current):
                raise _reentrancy(key, "computing its value asks for that value again")
            flight = self._flights.get(key)
            if flight is None or not flight.alive or key in alone:
                continue
            if boarding.loop is None or current:
                awaited = _awaited_by(flight)
                if any(each in awaited for each in current):
                    raise _reentrancy(key, "computing its value asks for that value again, directly or by others")
                if blocked is not None and not anew and any(each.loop is blocked for each in awaited):
                    raise _reentrancy(key, "a task of this very event loop computes it; await aget_or_compute instead")
                if not anew and any(each.thread == boarding.thread is not None for each in awaited):
                    # A finaliser has interrupted the thread that computes this: it must not wait for itself.
                    alone = (*(other for other in keys if other in alone), key)
                    boarding.nested = True
        for key in keys:
            flight = self._flights.get(key)
            if flight is not None and flight.alive and not anew and key not in alone:
                boarding.others.append(flight)
                flight.waiters = flight.waiters or set()
                flight.waiters.add(boarding)
                continue
            if flight is not None and (anew or not flight.alive):
                flight.revoked = True
            flight = Flight(key, boarding)
            boarding.mine.append(flight)  # before other calls can find it
            if boarding.loop is not None:
                self._by_loop.setdefault(boarding.loop, set()).add(flight)
            if key in alone:
                self._alone.add(flight)
            else:
                self._flights[key] = flight
        if boarding.others:
            for each in current:
                each.asks = each.asks or set()
                each.asks.add(boarding)
            if blocked is not None:
                _blocked.setdefault(blocked, set()).add(boarding)

    def leave(self, boarding: Boarding) -> None:
        """Wait no more for flights, and land those that the call led and did not land.

        A task that nobody waits for any more is cancelled.
        """
        if boarding.loop is None:
            if led.get() is not boarding.within:
                led.set(boarding.within)
            if not boarding.others:
                for flight in boarding.mine:
                    if flight.outcome is None:
                        break
                else:
                    return
        for task in held(a_few_lines, self._leave, boarding):
            try:
                task.get_loop().call_soon_threadsafe(task.cancel)
            except RuntimeError:  # its loop was closed, and it with it
                _let_go(task)
        for flight in boarding.mine:
            if flight.task is None and flight.outcome is None:
                self.remove(flight)
                flight.land(AGAIN)

    def _leave(self, boarding: Boarding) -> set[asyncio.Task[Any]]:
        """Return the tasks to cancel."""
        for each in boarding.within:
            if each.asks is not None:
                each.asks.discard(boarding)
        if boarding.blocked in _blocked:
            _blocked[boarding.blocked].discard(boarding)
            if not _blocked[boarding.blocked]:
                del _blocked[boarding.blocked]
        for flight in (*boarding.mine, *boarding.others):
            if flight.waiters is not None:
                flight.waiters.discard(boarding)
        deserted = set()
        for flight in (*boarding.mine, *boarding.others):
            if flight.task is None or flight.outcome is not None:
                continue
            if any(each.waiters and each.outcome is None for each in flight.companions):
                continue
            deserted.add(flight.task)
            for each in flight.companions:
                each.revoked = True  # since a removal of its key would no longer find it
                self._forget(each)  # from here on no call may begin to wait for it
        return deserted

    def remove(self, flight: Flight) -> None:
        """Take a flight out, so that no call finds it any more. Its result is stored by now, if it is to be."""
        self.landed += 1
        flights, key = self._flights, flight.key
        if flight.loop is not None or self._alone:
            held(a_few_lines, self._forget, flight)
        elif _GIL:
            # No thread switch can happen in this line; see the head of stores/memory/store.py.
            if key in flights and flights[key] is flight: del flights[key]  # fmt: skip  # noqa: E701
        elif flights.get(key) is flight:
            held(a_few_lines, self._forget, flight)

    def _forget(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        self._alone.discard(flight)
        if flight.loop is not None and (of_loop := self._by_loop.get(flight.loop)) is not None:
            of_loop.discard(flight)
            if not of_loop:
                del self._by_loop[flight.loop]

    def _let_go_of_closed_loops(self) -> None:
        """Land the flights of event loops that were closed, and drop their tasks."""
        for loop in [*self._by_loop]:
            if loop.is_closed():
                for flight in [*self._by_loop.get(loop, ())]:
                    flight.revoked = True
                    self.remove(flight)
                    self.forsake(flight)
                    flight.land(AGAIN)
                    if flight.task is not None:
                        _let_go(flight.task)
                    flight.task = None
                    flight.companions = []

    def forsake(self, flight: Flight) -> None:
        """Note the lease of a flight whose computation ended without giving it back; a later call gives it back."""
        token, flight.lease = flight.lease, None
        if token is not None:
            self.forsaken.append((flight.key, token))

    def revoke(self, concerns: Callable[[FullKey], bool]) -> None:
        """Have flights store nothing, since their keys are being removed."""
        if self._flights or self._alone:
            held(a_few_lines, self._revoke, concerns)

    def _revoke(self, concerns: Callable[[FullKey], bool]) -> None:
        for flight in (*self._flights.values(), *self._alone):
            if concerns(flight.key):
                flight.revoked = True

    def after_fork_in_child(self) -> None:
        """Forget the flights of threads of the parent, which the child does not have."""
        for flight in self._flights.values():
            flight.forget_others()
        self._flights = {}
        self._alone = set()
        self._by_loop = {}


def _awaited_by(flight: Flight) -> set[Flight]:
    """Return a flight and all flights that it waits for, directly or not. The caller holds the lock."""
    found = {flight}
    level = [flight]
    while level:
        further: list[Flight] = []
        for each in level:
            blocked = _blocked.get(each.loop, ()) if _blocked and each.loop is not None else ()
            for boarding in (*(each.asks or ()), *blocked):  # a tuple: a finaliser may change the sets
                further += [other for other in boarding.others if other not in found and other.outcome is None]
        level = [*dict.fromkeys(further)]
        found.update(level)
    return found


def _let_go(task: asyncio.Task[Any]) -> None:
    """Close the coroutine of a task that never began, since its loop was closed: else Python warns that it was never
    awaited."""
    coroutine = task.get_coro()
    if isinstance(coroutine, CoroutineType) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


def _reentrancy(key: FullKey, why: str) -> ReentrancyError:
    return ReentrancyError(f"namespace {key[0]!r}, key {key[1]!r} would wait for itself for ever: {why}")


forking.at_fork(forking.Turn.CACHES, after_in_child=_blocked.clear)
