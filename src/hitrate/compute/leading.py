"""Leading a flight: look again, take the lease, compute, store, and land it, in this order; a plan (``plans.py``)."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from hitrate.base import FullKey
from hitrate.callables import refuse_coroutine
from hitrate.compute.control_flow import is_control_flow, watched_answers
from hitrate.compute.exceptions import described
from hitrate.compute.flight import AGAIN, APART, LEFT_OUT, Flight, Outcome, led
from hitrate.compute.looking import Look, look
from hitrate.compute.terms import Terms
from hitrate.compute.used_up import is_used_up, refuse_what_is_used_up
from hitrate.entry import Entry
from hitrate.envelope import Envelope
from hitrate.errors import ClosedError, SerializationError, StoreError
from hitrate.plans import Plan

if TYPE_CHECKING:
    from hitrate.compute.computing import Computing

_POLL_SECONDS = 0.005
"""Seconds after which a caller first asks again for what another process computes; each wait is half as long again."""

_POLL_SECONDS_AT_MOST = 0.1

Computed = Mapping[FullKey, Any]


class Work:
    """A function that computes the values of keys, or returns an awaitable of them, in the context of their flights.

    Attributes:
        took_answer: whether it may have taken a person's answer, which is for this run alone.
    """

    def __init__(self, function: Callable[[list[FullKey]], Any]) -> None:
        self._function = function
        self.took_answer = False

    def run(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Compute on this thread; return the values, or what was raised."""
        before = led.set((*led.get(), *flights))
        answers = watched_answers()
        try:
            computed: Computed = self._function([flight.key for flight in flights])
        except BaseException as error:
            return error
        finally:
            led.reset(before)
            if answers is not None:
                self.took_answer = answers.may_be_taken()
        return computed

    async def arun(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Compute in this task; return the values, or what was raised."""
        before = led.set((*led.get(), *flights))
        computed: Any = None
        answers = watched_answers()
        try:
            computed = self._function([flight.key for flight in flights])
            if inspect.isawaitable(computed):
                computed = await computed
        except GeneratorExit:  # the loop was closed: nothing can be awaited any more
            raise
        except BaseException as error:
            close_unawaited(computed)
            return error
        finally:
            if answers is not None:
                self.took_answer = answers.may_be_taken()
            try:
                led.reset(before)
            except ValueError:  # the loop was closed, and the coroutine is collected in another context
                pass
        return computed  # type: ignore[no-any-return]


def close_unawaited(made: Any) -> None:
    """Close a coroutine if an interrupt came before its await; after the await it is closed already.

    Else Python would warn, wherever the collector finds it, that it was never awaited.
    """
    if isinstance(made, CoroutineType):
        made.close()


class _Pause:
    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    async def apause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_PAUSE = _Pause()


@dataclass(eq=False, repr=False)
class Leading:
    """Carries out the flights that a caller leads.

    Args:
        computing: whose flights they are.
        flights: those to land, none of a key twice.
        work: computes their values.
        terms: the terms on which they are computed and kept.
        seen: how many flights had landed before the caller looked into the cache; None to look again in any case.
        anew: whether to compute whatever the cache holds.
        newer_than: of a refresh, until when the old value is fresh, in seconds since the epoch: one in the cache is
            taken only if it is fresh for longer, and what another process computes is left to that. Else None.
        nested: whether the call interrupts another one of its thread, which may have the lease.
    """

    computing: Computing
    flights: InitVar[Sequence[Flight]]
    work: Work
    terms: Terms
    seen: int | None = None
    anew: bool = False
    newer_than: float | None = None
    nested: bool = False

    def __post_init__(self, flights: Sequence[Flight]) -> None:
        self._cache = self.computing.cache
        self._left = {flight.key: flight for flight in flights}
        self._encoded: dict[FullKey, Any] = {}
        self._refused: set[FullKey] = set()
        self._leased: dict[FullKey, Flight] = {}  # those that may have a lease to give back
        self._seconds = 0.0  # how long computing took
        self.outcomes: dict[FullKey, Outcome] = {}

    def plan(self) -> Plan[None]:
        """Land all flights, whatever happens."""
        try:
            keys = list(self._left)
            self._encoded.update(zip(keys, self._cache._encode_keys(keys), strict=True))  # raises if it was closed
            if not self.anew and self.computing.flights.landed != self.seen:
                yield from self._look_again(keys)
            if self._left and self.terms.lease is not None and not self.nested:
                yield from self._compute_under_lease(self.terms.lease)
            elif self._left:
                yield from self._compute(list(self._left), fenced=self.terms.lease is None)
        finally:
            if self._left:
                self.abandon()
            for flight in self._leased.values():  # an interrupt, or a closed loop: a later call gives the lease back
                self.computing.flights.forsake(flight)

    def abandon(self) -> None:
        """Land the flights that have not landed: calls that wait for them are to ask again."""
        for key in list(self._left):
            self._land(key, AGAIN)

    def _land(self, key: FullKey, outcome: Outcome) -> None:
        flight = self._left.get(key)
        if flight is None:  # `abandon` was faster
            return
        self.outcomes.setdefault(key, outcome)
        self.computing.flights.remove(flight)
        flight.land(outcome)
        self._left.pop(key, None)  # last: until then `abandon` lands it if this is interrupted

    def _look_again(self, keys: Sequence[FullKey]) -> Plan[list[FullKey]]:
        """Land the flights whose values are in the cache by now; return their keys."""
        try:
            found = yield self._cache._store, "get", [self._encoded[key] for key in keys]
        except StoreError as error:
            self._cache._failsafe.failed("read", error)
            return []
        except ClosedError:  # it was closed meanwhile
            return []
        landed, codec = [], self._cache._codec
        for key, each in zip(keys, found, strict=True):
            seen = look(self._cache, key, self._encoded[key], each, self.terms)
            if seen is not None and seen.fresh and not self._is_known(seen):
                copy = None if seen.error is not None else partial(codec.opened_value, each, self._encoded[key])
                self._land(key, Outcome(seen.value, copy, seen.error))
                landed.append(key)
        return landed

    def _is_known(self, seen: Look) -> bool:
        """Tell whether an entry is the old one, which this refresh is to replace."""
        return None not in (self.newer_than, seen.fresh_until) and seen.fresh_until <= self.newer_than  # type: ignore[operator]

    def _compute_under_lease(self, seconds: float) -> Plan[None]:
        """Compute the keys whose leases are granted; wait for those that other processes compute."""
        token = os.urandom(16)
        poll = _POLL_SECONDS
        held: list[FullKey] = []
        try:
            while self._left:
                if self.computing.flights.forsaken:
                    yield from self._give_back()
                keys = list(self._left)
                for key in keys:
                    self._leased[key] = self._left[key]
                    self._leased[key].lease = token
                try:
                    waits = yield self._cache._store, "lease", [self._encoded[key] for key in keys], token, seconds
                except (StoreError, ClosedError) as error:  # without the store processes cannot wait for each other
                    if isinstance(error, StoreError):
                        self._cache._failsafe.failed("lease", error)
                    yield from self._compute(keys, token, fenced=False)
                    return
                held = []
                for key, wait in zip(keys, waits, strict=True):
                    if wait:
                        self._leased.pop(key).lease = None
                    else:
                        held.append(key)
                if held:
                    found = [] if self.anew else (yield from self._look_again(held))
                    if found:
                        yield from self._settle(token, dict.fromkeys(found))
                    mine, held = [key for key in held if key in self._left], []
                    if mine:
                        yield from self._compute(mine, token)
                    continue
                if self.newer_than is not None:
                    return
                yield _PAUSE, "pause", min(poll, *waits)
                poll = min(poll * 1.5, _POLL_SECONDS_AT_MOST)
                if not self.anew:
                    yield from self._look_again(keys)
        except GeneratorExit:
            raise
        except BaseException:
            if held:
                yield from self._settle(token, dict.fromkeys(held))
            raise

    def _settle(self, token: bytes, results: Mapping[FullKey, Entry | None]) -> Plan[Any]:
        """Store results and end leases; return the encoded keys for which that was too late, or failed."""
        entries = {self._encoded[key]: entry for key, entry in results.items()}
        try:
            late = yield self._cache._store, "settle", entries, token
        except StoreError as error:
            yield from self._cache._dropped("write", error, [key for key, entry in entries.items() if entry])
            late = entries
        except ClosedError:  # it was closed meanwhile
            late = entries
        for key in results:
            flight = self._leased.pop(key, None)
            if flight is not None:
                flight.lease = None
        return late

    def _give_back(self) -> Plan[None]:
        """End the leases of computations of this process that ended without giving them back."""
        forsaken = self.computing.flights.forsaken
        while forsaken:
            try:
                key, token = forsaken.popleft()
            except IndexError:  # another thread has taken the last
                return
            (encoded,) = self._cache._encode_keys([key])
            try:
                yield self._cache._store, "settle", {encoded: None}, token
            except (StoreError, ClosedError):  # the lease then ends by itself
                return

    def _compute(self, keys: list[FullKey], token: bytes | None = None, *, fenced: bool = True) -> Plan[None]:
        """Compute the values of keys, store what may be stored, and land.

        Args:
            keys: of flights.
            token: under which leases of them were asked for; None if none are wanted.
            fenced: False if it is not known whether leases were granted. Then nothing is stored: another process may
                have computed the keys since, or removed them.
        """
        cache = self._cache
        flights = [self._left[key] for key in keys]
        work: Any = self.work
        for around in cache._around:
            work = around(work)
        started = cache._clock()
        try:
            computed = yield work, "run", flights
        except GeneratorExit:
            raise
        except BaseException as error:
            computed = error
        if isinstance(computed, BaseException) and is_control_flow(computed):
            if token is not None:
                yield from self._settle(token, dict.fromkeys(keys))
            for key in keys:
                self._land(key, APART if isinstance(computed, Exception) else AGAIN)
            raise computed
        now = cache._clock()
        try:
            self._seconds = max(0.0, now - started)
            for observe in cache._observers:
                observe(self._seconds, isinstance(computed, Exception))
            # Each value gets its share of the time: else hits on all of them would save more seconds than computing
            # took.
            entries = self._entries(keys, computed, now, self._seconds / len(keys))
        except Exception as error:  # raised by cache_if, or because of what the function returned
            computed, entries = error, {}
        outdated: list[FullKey] = []
        if (self.anew or self.newer_than is not None) and not isinstance(computed, Exception):
            # If a value was computed anew and is not to be kept, the older one is removed; a refresh removes it if the
            # new value cannot be stored.
            outdated = [key for key in keys if key not in entries and (self.anew or key in self._refused)]
        try:
            if fenced:
                yield from self._store(keys, entries, outdated, token)
            elif token is not None and not cache._closed:  # the store may have granted the leases all the same
                yield from self._settle(token, dict.fromkeys(keys))
                if self.anew and not isinstance(computed, Exception):  # the old value must not be served on
                    yield from self._write("delete", dict.fromkeys(keys))
        finally:
            for flight in flights:
                self.computing.flights.remove(flight)  # no call can join any more: the number of waiters is final
            for key in keys:
                self._land(key, self._outcome(key, computed, entries.get(key)))

    def _entries(
        self, keys: Sequence[FullKey], computed: Computed | Exception, now: float, seconds: float
    ) -> dict[FullKey, Entry]:
        """Return what is to be stored."""
        terms = self.terms
        entries = {}
        if type(computed) is not dict and not isinstance(computed, (Exception, Mapping)):
            advice = "; await aget_or_compute_many instead" if isinstance(computed, CoroutineType) else ""
            close_unawaited(computed)
            raise TypeError(
                f"the function that computes {len(keys)} {'key' if len(keys) == 1 else 'keys'} is to return a mapping "
                f"of keys to values, not a {type(computed).__name__}{advice}"
            )
        for key in keys:
            entry = None
            if isinstance(computed, Exception):
                if isinstance(computed, terms.cache_errors) and not self.work.took_answer:
                    entry = self._entry(key, described(computed), now, seconds, error=True)
            elif key in computed:
                refuse_what_is_used_up(key, computed[key])
                if self.work.took_answer:
                    continue
                if self._is_wanted(computed[key]):
                    entry = self._entry(key, computed[key], now, seconds)
            if entry is not None:
                entries[key] = entry
        return entries

    def _is_wanted(self, value: Any) -> bool:
        """Tell whether a value is to be stored."""
        if self.terms.cache_if is None:
            return True
        wanted = self.terms.cache_if(value)
        refuse_coroutine("cache_if", wanted)  # it is true, and so would have everything stored
        return wanted

    def _outcome(self, key: FullKey, computed: Computed | Exception, entry: Entry | None) -> Outcome:
        if isinstance(computed, Exception):
            return Outcome(error=computed)
        if key not in computed:
            return LEFT_OUT
        value = computed[key]
        if entry is None and self._left[key].waiting and key not in self._refused:
            # though it is not stored, those who wait get copies of it
            entry = self._prepared(key, value, None, 0.0, Envelope())
        if entry is None:
            return Outcome(value, is_for_one=self._left[key].waiting > 0 and is_used_up(value))
        return Outcome(value, partial(self._cache._codec.opened_value, entry, self._encoded[key]))

    def _entry(self, key: FullKey, value: Any, now: float, seconds: float, *, error: bool = False) -> Entry | None:
        """Return what is to be stored for a value; None for nothing."""
        cache, terms = self._cache, self.terms
        expiry = cache._expiry(terms.error_ttl if error else terms.ttl, now)
        if expiry is not None and expiry <= now:
            return None
        fresh_until = None
        if expiry is not None and terms.stale and not error:
            fresh_until, expiry = expiry, expiry + terms.stale
        return self._prepared(key, value, expiry, seconds, Envelope(fresh_until, error))

    def _prepared(
        self, key: FullKey, value: Any, expiry: float | None, seconds: float, envelope: Envelope
    ) -> Entry | None:
        """Return a value as a store keeps it; None if that cannot be exact, which is logged."""
        try:
            if envelope.error and value is None:
                raise SerializationError("an exception of this kind could not be raised again exactly")
            encoded = self._encoded[key]
            self._cache._missed.pop(encoded, None)
            return *self._cache._codec.encoded(value, encoded, expiry, envelope), expiry, seconds
        except SerializationError as refusal:
            self._refused.add(key)
            self.computing.not_stored(key, refusal)
            return None

    def _store(
        self, keys: Sequence[FullKey], entries: dict[FullKey, Entry], outdated: list[FullKey], token: bytes | None
    ) -> Plan[None]:
        """Store entries, unless their keys were removed since their flights began, and remove what is outdated."""
        cache = self._cache
        if cache._closed:  # it was closed while the value was computed
            return
        wanted = {key: entry for key, entry in entries.items() if not self._left[key].revoked}
        written: dict[FullKey, Entry | None] = dict.fromkeys(outdated)
        late: set[Any] = set()
        if token is not None:
            if written:
                yield from self._write("delete", written)
            late.update(
                (yield from self._settle(token, {key: wanted.get(key) for key in keys}))
            )  # settle also ends the leases of keys that are not stored
            self._count_sets({key: entry for key, entry in wanted.items() if self._encoded[key] not in late})
            overdue = [key for key in wanted if self._encoded[key] in late]
            if overdue and self._seconds >= (self.terms.lease or 0.0):
                self.computing.came_late(overdue[0], self._seconds, self.terms.lease)
        elif written or wanted:
            if not (yield from self._write("write", written | wanted)):
                return
            self._count_sets(wanted)
        # Keys that were removed while they were being stored, and keys computed anew whose results came too late.
        removed = [k for k in wanted if self._left[k].revoked or (self.anew and self._encoded[k] in late)]
        if removed:
            yield from self._write("delete", dict.fromkeys(removed))

    def _count_sets(self, stored: Mapping[FullKey, Entry]) -> None:
        self._cache._counters.count_sets([self._encoded[key][0] for key in stored], len(stored))
        if self._cache._watch is not None:
            self._cache._watch.computed(stored, self._seconds)

    def _write(self, doing: str, changes: Mapping[FullKey, Entry | None]) -> Plan[bool]:
        """Write to the store; return whether it took the changes."""
        try:
            yield self._cache._store, "write", {self._encoded[key]: entry for key, entry in changes.items()}
        except StoreError as error:
            yield from self._cache._dropped(doing, error, [self._encoded[key] for key in changes])
            return False
        except ClosedError:  # it was closed meanwhile
            return False
        return True
