"""Computing what a cache does not hold, once: for one key or many, by sync and async methods."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hitrate import forking, runs
from hitrate.base import FullKey
from hitrate.compute.control_flow import is_resumed
from hitrate.compute.flight import AGAIN, APART, LEFT_OUT, Boarding, Flight, Outcome, led
from hitrate.compute.flights import Flights
from hitrate.compute.leading import Leading, Work, close_unawaited
from hitrate.compute.looking import Look, look
from hitrate.compute.refreshing import Refresher
from hitrate.compute.terms import Terms, refresh_is_due
from hitrate.errors import SerializationError, StoreError
from hitrate.exclusive import within_change
from hitrate.failsafe import log
from hitrate.keys import plain_key
from hitrate.plans import Plan, acarry_out, carry_out

if TYPE_CHECKING:
    from hitrate.compute.cache import ComputingCache

_NOTHING: Any = object()
"""Returned in place of a value: the caller is to ask the cache again."""

_APART: Any = object()
"""Returned in place of a value: the caller is to ask the cache again and, if it misses, to compute the value alone."""


class Computing:
    """Computes for one cache; its flights are what is being computed."""

    def __init__(self, cache: ComputingCache[Any]) -> None:
        self.cache = cache
        self.flights = Flights()
        self._refresher = Refresher(type(cache).__name__)
        self._types_logged: frozenset[str] = frozenset()
        self._overdue_logged = False
        forking.begin_anew(self, forking.Turn.CACHES)

    # One key

    def one(self, full_key: FullKey, compute: Callable[[], Any], terms: Terms, *, alone: bool = False) -> Any:
        """Return the value of a key, computing it on this thread if nobody else does, or in any case if ``alone``."""
        if runs.is_used and (mode := runs.current_mode()):
            return compute() if mode == runs.BYPASS else self.recompute(full_key, compute, terms)
        while True:
            seen = self.flights.landed
            if terms.looks_closer:
                found = carry_out(self._looking(full_key, terms))
                if found is not None:
                    if self._is_old(found, terms):
                        self._refresher.submit(full_key, partial(self._refresh, found, full_key, compute, terms))
                    return _taken(found)
            else:
                for value in self.cache.get((full_key,)).values():
                    return value
            value = self._by_flight(full_key, compute, terms, seen, alone=alone)
            if value is _APART:
                alone = True
            elif value is not _NOTHING:
                return value

    def missed(self, full_key: FullKey, compute: Callable[[], Any], terms: Terms, seen: int) -> Any:
        """Return the value of a key that was missed; ``seen``: how many flights had landed before that read."""
        value = self._by_flight(full_key, compute, terms, seen)
        if value is _NOTHING or value is _APART:
            return self.one(full_key, compute, terms, alone=value is _APART)
        return value

    def recompute(self, full_key: FullKey, compute: Callable[[], Any], terms: Terms) -> Any:
        """Compute the value of a key whether it is in the cache or not, and return it."""
        return self._by_flight(full_key, compute, terms, anew=True)

    def _by_flight(
        self,
        full_key: FullKey,
        compute: Callable[[], Any],
        terms: Terms,
        seen: int | None = None,
        *,
        anew: bool = False,
        alone: bool = False,
        newer_than: float | None = None,
    ) -> Any:
        """Return the value by a flight, of this thread or of others; the arguments are those of ``Leading``.

        Returns:
            The value; ``_NOTHING`` or ``_APART`` if the cache is to be asked again. Of a refresh (``newer_than``)
            ``_NOTHING`` where the flight is led by others, for which it does not wait.
        """
        full_key = plain_key(full_key)
        keys = [full_key]
        boarding = Boarding(None)
        try:
            alone = alone or (newer_than is None and is_resumed())
            self.flights.board(boarding, keys, anew=anew, alone=keys if alone else ())
            if not boarding.mine:
                return _value(boarding.others[0].wait()) if newer_than is None else _NOTHING
            work = Work(lambda keys: {full_key: compute()})
            nested = boarding.nested or (terms.lease is not None and within_change())
            run = Leading(self, boarding.mine, work, terms, seen=seen, anew=anew, newer_than=newer_than, nested=nested)
            carry_out(run.plan())
            return _value(run.outcomes[full_key], leads=True)
        finally:
            self.flights.leave(boarding)

    async def aone(self, full_key: FullKey, compute: Callable[[], Any], terms: Terms, *, alone: bool = False) -> Any:
        """Return the value of a key, computing it in a task if nobody else does, or in any case if ``alone``."""
        if runs.is_used and (mode := runs.current_mode()):
            if mode == runs.REFRESH:
                return await self.arecompute(full_key, compute, terms)
            return await _awaited(compute)
        while True:
            seen = self.flights.landed
            if terms.looks_closer:
                found = await acarry_out(self._looking(full_key, terms))
                if found is not None:
                    if self._is_old(found, terms):
                        self._refresher.start(full_key, partial(self._arefresh, found, full_key, compute, terms))
                    return _taken(found)
            else:
                for value in (await self.cache.aget((full_key,))).values():
                    return value
            value = await self._aby_flight(full_key, compute, terms, seen, alone=alone)
            if value is _APART:
                alone = True
            elif value is not _NOTHING:
                return value

    async def amissed(self, full_key: FullKey, compute: Callable[[], Any], terms: Terms, seen: int) -> Any:
        """Return the value of a key that was missed; as ``missed``."""
        value = await self._aby_flight(full_key, compute, terms, seen)
        if value is _NOTHING or value is _APART:
            return await self.aone(full_key, compute, terms, alone=value is _APART)
        return value

    async def arecompute(self, full_key: FullKey, compute: Callable[[], Any], terms: Terms) -> Any:
        """Compute the value of a key whether it is in the cache or not, and return it."""
        return await self._aby_flight(full_key, compute, terms, anew=True)

    async def _aby_flight(
        self,
        full_key: FullKey,
        compute: Callable[[], Any],
        terms: Terms,
        seen: int | None = None,
        *,
        anew: bool = False,
        alone: bool = False,
        newer_than: float | None = None,
    ) -> Any:
        full_key = plain_key(full_key)
        keys, boarding = [full_key], Boarding(asyncio.get_running_loop())
        try:
            alone = alone or (newer_than is None and is_resumed())
            self.flights.board(boarding, keys, anew=anew, alone=keys if alone else ())
            if not boarding.mine:
                return _value(await boarding.others[0].await_()) if newer_than is None else _NOTHING

            async def computed(keys: list[FullKey]) -> Mapping[FullKey, Any]:
                return {full_key: await _awaited(compute)}

            run = Leading(self, boarding.mine, Work(computed), terms, seen=seen, anew=anew, newer_than=newer_than)
            await self._await_own(run, boarding.mine)
            return _value(run.outcomes[full_key], leads=True)
        finally:
            self.flights.leave(boarding)

    async def _await_own(self, run: Leading, flights: list[Flight]) -> None:
        """Have a task carry out flights: the caller may be cancelled, and the work goes on while anyone waits."""
        task = asyncio.get_running_loop().create_task(_carried(run.plan()), name="hitrate-flight")
        task.add_done_callback(lambda task: run.abandon())  # it may be cancelled before its first step
        for flight in flights:
            flight.companions = flights
            flight.task = task
        for flight in flights:
            await flight.await_()
        if not _has_ended_well(task):
            await asyncio.wait([task])  # it ends at once, unless an interrupt ends this loop
        failure = task.result()  # CancelledError, if it was cancelled and this caller was not
        if failure is not None:
            raise failure

    # Many keys

    def many(
        self, full_keys: Sequence[FullKey], compute: Callable[[list[FullKey]], Mapping[FullKey, Any]], terms: Terms
    ) -> dict[FullKey, Any]:
        """Return the values of keys, computing on this thread those that nobody else does."""
        found: dict[FullKey, Any] = {}
        missing = [*dict.fromkeys(map(plain_key, full_keys))]
        mode = runs.current_mode()
        if mode == runs.BYPASS:
            return _in_order(full_keys, compute(missing) if missing else found)
        anew = mode == runs.REFRESH
        alone = {*missing} if is_resumed() else set()
        if not missing:
            self.cache.get(missing)  # raises if it is closed
        while missing:
            seen = self.flights.landed
            if not anew:
                found |= self.cache.get(missing)
                missing = [key for key in missing if key not in found]
            boarding = Boarding(None)
            try:
                self.flights.board(boarding, missing, anew=anew, alone=alone)
                nested = boarding.nested or (terms.lease is not None and within_change())
                run = Leading(self, boarding.mine, Work(compute), terms, seen=seen, anew=anew, nested=nested)
                if boarding.mine:
                    carry_out(run.plan())
                others = {flight.key: flight.wait() for flight in boarding.others}
            finally:
                self.flights.leave(boarding)
            missing = _sorted_out(found, run.outcomes, others, alone)
        return _in_order(full_keys, found)

    async def amany(
        self, full_keys: Sequence[FullKey], compute: Callable[[list[FullKey]], Any], terms: Terms
    ) -> dict[FullKey, Any]:
        """Return the values of keys, computing in a task those that nobody else does."""
        found: dict[FullKey, Any] = {}
        missing = [*dict.fromkeys(map(plain_key, full_keys))]
        mode = runs.current_mode()
        if mode == runs.BYPASS:
            return _in_order(full_keys, await _awaited(compute, missing) if missing else found)
        anew = mode == runs.REFRESH
        alone = {*missing} if is_resumed() else set()
        if not missing:
            await self.cache.aget(missing)  # raises if it is closed
        while missing:
            seen = self.flights.landed
            if not anew:
                found |= await self.cache.aget(missing)
                missing = [key for key in missing if key not in found]
            boarding = Boarding(asyncio.get_running_loop())
            try:
                self.flights.board(boarding, missing, anew=anew, alone=alone)
                run = Leading(self, boarding.mine, Work(compute), terms, seen=seen, anew=anew)
                if boarding.mine:
                    await self._await_own(run, boarding.mine)
                others = {flight.key: await flight.await_() for flight in boarding.others}
            finally:
                self.flights.leave(boarding)
            missing = _sorted_out(found, run.outcomes, others, alone)
        return _in_order(full_keys, found)

    # Old values

    def _looking(self, full_key: FullKey, terms: Terms) -> Plan[Look | None]:
        """Look for the value of a key, which may be stale or an exception; count it, and tell the hook for events."""
        watch = self.cache._watch
        look = self._look(full_key, terms)
        return (yield from look) if watch is None else (yield from watch.looking(full_key, look))

    def _look(self, full_key: FullKey, terms: Terms) -> Plan[Look | None]:
        cache = self.cache
        (encoded,) = cache._encode_keys([full_key])
        counts = cache._counters[encoded[0]]
        try:
            (entry,) = yield *cache._read_call, [encoded]
        except StoreError as error:
            cache._failsafe.failed("read", error)
            entry = None
        found = look(cache, full_key, encoded, entry, terms)
        if found is None or not (found.fresh or self._may_be_served(found, terms)):
            counts.misses += 1
            if terms.counts is not None:
                terms.counts.misses += 1
            return None
        counts.hits += 1
        if terms.counts is not None:
            terms.counts.hits += 1
        if found.error is None:
            counts.seconds_saved += found.seconds
        return found

    def _may_be_served(self, found: Look, terms: Terms) -> bool:
        """Tell whether a value that has expired may still be served, by these terms and not those it was stored on."""
        return found.fresh_until is not None and self.cache._clock() < found.fresh_until + terms.stale

    def _is_old(self, found: Look, terms: Terms) -> bool:
        """Tell whether a value is to be refreshed."""
        if not found.fresh:
            return True
        return found.error is None and refresh_is_due(
            self.cache._clock(), found.fresh_until, found.seconds, terms.early, terms.chance() if terms.early else 0.0
        )

    def _refresh(self, found: Look, full_key: FullKey, compute: Callable[[], Any], terms: Terms) -> None:
        """Replace an old value, unless a flight for its key is under way."""
        led.set(())  # this context is the refresh's own: the computation that saw the old value does not wait for it
        terms = terms._replace(cache_errors=())  # if it fails, the old value is served on, and not the exception
        self._by_flight(full_key, compute, terms, newer_than=found.fresh_until)

    async def _arefresh(self, found: Look, full_key: FullKey, compute: Callable[[], Any], terms: Terms) -> None:
        """Replace an old value; as ``_refresh``."""
        led.set(())
        await self._aby_flight(full_key, compute, terms._replace(cache_errors=()), newer_than=found.fresh_until)

    # The whole

    def not_stored(self, full_key: FullKey, error: SerializationError) -> None:
        """Log that a result cannot be stored, once for each type."""
        self.cache._counters.errors += 1
        if self.cache._watch is not None:
            self.cache._watch.refused(full_key, error)
        if error.type_name in self._types_logged:
            return
        self._types_logged |= {error.type_name}
        namespace, key = full_key
        log.warning(
            "%s: the result for namespace %r, key %r is returned and not cached, nor are others with a %s (logged "
            "once): %s",
            *(type(self.cache).__name__, namespace, key, error.type_name or "value of this kind", error),
        )

    def came_late(self, full_key: FullKey, seconds: float, lease: float | None) -> None:
        """Log, once, that a result came after its lease was over."""
        if self._overdue_logged:
            return
        self._overdue_logged = True
        log.warning(
            "%s: namespace %r, key %r took %.3g s to compute, and its lease was over after %s s: the result is "
            "returned and not cached, for another may have computed it since; give a longer lease (logged once)",
            *(type(self.cache).__name__, *full_key, seconds, lease),
        )

    def close(self) -> None:
        """End what goes on in the background."""
        self._refresher.close()

    async def aclose(self) -> None:
        """Do ``close`` without blocking the event loop."""
        await self._refresher.aclose()

    def after_fork_in_child(self) -> None:
        """Forget what threads of the parent were computing: the child does not have them."""
        self.flights.after_fork_in_child()
        self._refresher.after_fork_in_child()


async def _carried(plan: Plan[None]) -> Exception | None:
    """Carry out a plan in a task of its own; return how it failed, for a caller that still waits."""
    try:
        await acarry_out(plan)
    except Exception as error:
        return error
    return None


def _has_ended_well(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _awaited(compute: Callable[..., Any], *args: Any) -> Any:
    """Call a function, await what it returns if that is to be awaited, and return the result."""
    value = None
    try:
        value = compute(*args)
        return await value if inspect.isawaitable(value) else value
    except BaseException:
        close_unawaited(value)
        raise


def _value(outcome: Outcome, *, leads: bool = False) -> Any:
    if outcome is APART or (outcome.is_for_one and not leads):
        return _APART
    return _NOTHING if outcome is AGAIN or outcome is LEFT_OUT else outcome.taken(leads=leads)


def _taken(found: Look) -> Any:
    if found.error is not None:
        raise found.error
    return found.value


def _sorted_out(
    found: dict[FullKey, Any],
    mine: Mapping[FullKey, Outcome],
    others: Mapping[FullKey, Outcome],
    alone: set[FullKey],
) -> list[FullKey]:
    """Add what was computed to what was found; return the keys to ask for again, and note those to compute alone."""
    again = []
    for outcomes, leads in ((mine, True), (others, False)):
        for key, outcome in outcomes.items():
            value = _value(outcome, leads=leads)
            if value is _APART:
                alone.add(key)
            elif value is not _NOTHING:
                found[key] = value
            if outcome is AGAIN or value is _APART:
                again.append(key)
    return again


def _in_order(full_keys: Sequence[FullKey], found: Mapping[FullKey, Any]) -> dict[FullKey, Any]:
    return {key: found[plain] for key in full_keys if (plain := plain_key(key)) in found}
