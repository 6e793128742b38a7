"""Entries in several stores at once, near to far: the farthest is the one that counts, the others hold copies.

A copy is kept only while nothing can have changed it: by this process (``flights.py`` tells what overlapped), by others
(the ``Channel`` of each farther store tells), or by a write that a tier did not take (``debts.py`` remembers it).

Each operation is a plan: a generator that says which store to call and is sent what it answered, or how it failed. The
sync and the async face differ in how they carry a plan out. The lock is held between the calls, never over one.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from hitrate import forking
from hitrate.entry import Entry
from hitrate.errors import HitrateError, StoreError
from hitrate.events import noting
from hitrate.exclusive import Exclusive, held, reentrant
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stores.base import Amounts, Changes, Found, LookedAt, Page, Problem, Store, Usage
from hitrate.stores.keeper import Keeper
from hitrate.stores.memory import MemoryStore
from hitrate.stores.tiered.flights import Flight, Flights
from hitrate.stores.tiered.near import MemoryTier, until
from hitrate.stores.tiered.sleep import Sleep
from hitrate.stores.tiered.tier import Tier

T = TypeVar("T")

_AGAIN_SECONDS = 0.5
"""How long after a tier failed to take what it is owed a read asks for that again."""


class TieredStore(Store):
    """Keeps entries in several stores.

    Args:
        stores: near to far.
        staleness: seconds that a copy may be used while a farther tier does not tell what changes in it.
        start: the first tier that reads look in; what is before it has been looked in by the cache above.
        report: is told what failed in one tier, such as ``"read"``, while the others went on; it may raise it.
        clock: returns the seconds since the epoch.
        near_hits: returns how many hits the first tier has had, if the cache above looks in it.

    Attributes:
        lock: guards the flights, the debts and every change to a tier in memory.
        own: the ids of the mappings and lists that this store is giving to its tiers, whose echo is not news, each with
            the thread that does.
        strays: by their ids, copies that were given to a tier by a call that was cancelled, and are not there yet.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        *,
        staleness: float,
        start: int,
        report: Callable[[str, StoreError], None],
        clock: Callable[[], float],
        near_hits: Callable[[], int] = lambda: 0,
    ) -> None:
        self._exclusive = Exclusive(outer=True)
        self.lock = self._exclusive.lock
        self.flights = Flights()
        self.own: dict[int, int] = {}
        self.strays: dict[int, Changes] = {}
        self._staleness = staleness
        self._start = start
        self._report = report
        self._clock = clock
        whole = [MemoryTier(store) if isinstance(store, MemoryStore) else store for store in stores]
        self.offers = frozenset.intersection(*(store.offers for store in stores))
        self._tiers = [Tier(store, level, self) for level, store in enumerate(whole)]
        self._far = self._tiers[-1]
        self._keeper = Keeper(self._settle)
        self._settle_at = 0.0
        self._sleep = Sleep(near_hits)
        self._may_sleep = len(stores) == 2 and start == 1
        for tier in self._tiers[1:]:
            tier.listen()
        for tier in self._tiers[1:-1]:
            if not tier.instant:  # a file, say: nobody was told what changed while nobody had it open
                tier.debts.owe_namespaces(None)
        self._channels = [tier.channel for tier in self._tiers if tier.channel is not None]
        self.in_step: Callable[[], bool] = self._channels[0].in_step if len(self._channels) == 1 else self._all_in_step
        self.catch_up()
        _stores.add(self)

    # What others changed

    def _all_in_step(self) -> bool:
        return all(channel.in_step() for channel in self._channels)

    def catch_up(self) -> bool:
        """Drop the copies of what may have changed without having been told.

        Returns:
            False if copies are not to be used now: a finaliser asks, or they would not pay.
        """
        if self._sleep.sleeps or self._exclusive.must_not_wait():
            return False
        held(self.lock, self._catch_up)
        self._exclusive.catch_up()
        return True

    def _catch_up(self) -> None:
        for tier in self._tiers:
            if tier.channel is not None and not tier.channel.in_step():
                tier.channel.catch_up(tier.empty_nearer)

    def hear(self, change: Callable[[Any], None], what: Any) -> None:
        """Take note of a change in a tier, alone; it may be told within a change of ours, by ``_catch_up``.

        To drop what is dropped already does no harm, and what is being changed is spoiled for whoever changes it.
        """
        held(self.lock, self._heard, change, what)
        self._exclusive.catch_up()

    def _heard(self, change: Callable[[Any], None], what: Any) -> None:
        change(what)
        self.flights.passed_on()

    def emptied(self) -> None:
        """All copies were dropped, for a tier cannot tell what changed in it. The lock is held."""
        if self._may_sleep:
            self._sleep.dropped()

    def _regain(self) -> None:
        """Try to be told of changes again, after a channel was lost."""
        for tier in self._tiers:
            if tier.channel is not None and not tier.channel.live:
                tier.channel.catch_up(tier.empty_nearer)

    def _expect(self, keys: Collection[EncodedKey]) -> None:
        for channel in self._channels:
            channel.expect(keys)

    def drop(self, keys: Collection[EncodedKey], level: int) -> None:
        """Drop copies of keys that tiers nearer than a level hold. The lock is held."""
        for tier in self._tiers[:level]:
            if tier.instant:
                tier.store.write(dict.fromkeys(keys))
            else:
                tier.debts.owe(keys)

    def drop_namespaces(self, names: Sequence[bytes] | None, level: int) -> None:
        """Drop copies of namespaces, or all for None, that tiers nearer than a level hold. The lock is held."""
        for tier in self._tiers[:level]:
            if tier.instant:
                tier.store.clear(names)
            else:
                tier.debts.owe_namespaces(names)

    def drop_under(self, prefix: bytes, level: int) -> None:
        """Drop copies that tiers nearer than a level hold in namespaces that begin with a prefix. The lock is held."""
        for tier in self._tiers[:level]:
            if tier.instant:
                tier.store.clear_under(prefix)
            else:
                tier.debts.owe_under(prefix)

    def _latest(self, level: int) -> float | None:
        """Return when a copy that a tier gets now expires at the latest."""
        if all(tier.is_told for tier in self._tiers[level + 1 :]):
            return None
        return self._clock() + self._staleness

    # Reading

    def get(self, keys: Sequence[EncodedKey], start: int | None = None) -> Sequence[Found]:
        if self._exclusive.must_not_wait():  # a finaliser asks: it is told, and leaves no copies
            asked = [key for key in keys if not self._far.debts.doubts(key)]
            there = dict(zip(asked, self._far.store.get(asked) if asked else (), strict=True))
            return [there.get(key) for key in keys]
        if self._passes(keys):
            try:
                return self._far.store.get(keys)
            except StoreError as error:
                self._report("read", error)
                return [None] * len(keys)
        flight = Flight(dict.fromkeys(keys), (), writes=False)
        return self._carried(flight, self._reading(keys, flight, start))

    async def aget(self, keys: Sequence[EncodedKey], start: int | None = None) -> Sequence[Found]:
        if self._passes(keys):
            try:
                return await self._far.store.aget(keys)
            except StoreError as error:
                self._report("read", error)
                return [None] * len(keys)
        flight = Flight(dict.fromkeys(keys), (), writes=False)
        return await self._acarried(flight, self._reading(keys, flight, start))

    def _passes(self, keys: Sequence[EncodedKey]) -> bool:
        """Tell whether a read is to go to the farthest tier alone, which is owed nothing, and to leave no copies."""
        return self._sleep.sleeps and self._sleep.passes(len(keys)) and not self._far.debts

    def look(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Do ``get`` in all tiers, also in those that the cache above has looked in."""
        return self.get(keys, 0)

    async def alook(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Do ``look`` without blocking the event loop."""
        return await self.aget(keys, 0)

    def state(self) -> int | None:
        """Return what ``stands`` is to be asked of after a look at the copies; None while anything is being changed."""
        return self.flights.state()

    def stands(self, state: int | None) -> bool:
        """Tell whether nothing was changed since ``state()`` was this.

        Then what a nearer tier held since, and what a farther one holds, is of one state.
        """
        if state is None or self._exclusive.must_not_wait():
            return False
        try:
            return held(self.lock, self._stands, state)
        finally:
            self._exclusive.catch_up()

    def _stands(self, state: int) -> bool:
        if not self.in_step():
            self._catch_up()
        return self.flights.state() == state

    def _reading(self, keys: Sequence[EncodedKey], flight: Flight, start: int | None) -> Plan[Sequence[Found]]:
        """Look in one tier after the other for what is still missing, and leave copies in the nearer ones."""
        missing = list(flight.keys)
        found: dict[EncodedKey, Found] = {}
        copies: dict[int, dict[EncodedKey, Entry]] = {}
        failed: list[StoreError] = []
        try:
            with self.lock:
                self._catch_up()
                self._expect(missing)
                self.flights.begin(flight)
                state = self.flights.state()
            levels = set()
            for tier in self._tiers[self._start if start is None else start :]:
                if tier.debts and time.monotonic() >= self._settle_at:
                    self._keeper.request()  # a read does not wait for it
                try:
                    with self.lock:
                        asked = [key for key in missing if not tier.debts.doubts(key)] if tier.debts.any else missing
                    answers = (yield tier.store, "get", asked) if asked else ()
                except StoreError as error:
                    failed.append(error)
                    continue
                for key, answer in zip(asked, answers, strict=True):
                    if type(answer) is tuple:
                        if tier.level:
                            copies.setdefault(tier.level, {})[key] = answer
                        found[key] = answer
                        levels.add(tier.level)
                    elif answer is not None:
                        found[key] = answer
                left = [key for key in missing if type(found.get(key)) is not tuple]
                self._note_tier(tier.level, set(missing).difference(left))
                missing = left
                if not missing:
                    break
            nearer = bool(levels - {self._far.level})
            # What was found nearer may be of before a change, and what was looked for farther of after it.
            if nearer and (missing or len(levels) > 1) and not self.stands(state):
                copies.clear()
                found = yield from self._reading_far(keys, failed)
            yield from self._filling(flight, copies, failed)
        finally:
            self._end_read(flight, copies)
        for failure in failed:
            self._report("read", failure)
        return [found.get(key) for key in keys]

    def _reading_far(self, keys: Sequence[EncodedKey], failed: list[StoreError]) -> Plan[dict[EncodedKey, Found]]:
        """Look in the farthest tier alone, in one step."""
        with self.lock:
            asked = [key for key in dict.fromkeys(keys) if not self._far.debts.doubts(key)]
        try:
            answers: Sequence[Found] = (yield self._far.store, "get", asked) if asked else ()
        except StoreError as error:
            failed.append(error)
            return {}
        self._note_tier(self._far.level, asked)
        return dict(zip(asked, answers, strict=True))

    @staticmethod
    def _note_tier(level: int, found: Collection[EncodedKey]) -> None:
        """Tell whoever watches this call in which tier keys were found."""
        notes = noting.get()
        if notes is not None:
            notes.tiers.update(dict.fromkeys(found, level))

    def _filling(
        self, flight: Flight, copies: dict[int, dict[EncodedKey, Entry]], failed: list[StoreError]
    ) -> Plan[None]:
        """Leave copies in the nearer tiers that wait; those in memory get theirs as the flight ends."""
        for tier in self._tiers[: max(copies, default=0)]:
            if tier.instant:
                continue
            with self.lock:
                latest = self._latest(tier.level)
                clean = set(self.flights.clean(flight))
                changes = {
                    key: until(entry, latest)
                    for level, entries in copies.items()
                    if level > tier.level
                    for key, entry in entries.items()
                    if key in clean
                }
                if latest is not None and self._staleness <= 0:
                    changes = {}
            if changes:
                try:
                    yield from self._copying(tier, flight, changes)
                except StoreError as error:
                    failed.append(error)

    def _copying(self, tier: Tier, flight: Flight, changes: Changes) -> Plan[Any]:
        """Write copies to a nearer tier that waits; nobody reads them before it is known that they were not spoiled."""
        since, good = 0, False
        try:
            with self.lock:
                since = tier.debts.begin(flight, changes)
            result = yield from self._giving(tier, "write", changes)
            good = True
        finally:
            with self.lock:
                tier.debts.end(flight)
                clean = self.flights.clean(flight) if good else ()
                tier.debts.paid([key for key in clean if key in changes], since)
                tier.debts.owe(set(changes).difference(clean))
        return result

    def _end_read(self, flight: Flight, copies: dict[int, dict[EncodedKey, Entry]]) -> None:
        with self.lock:
            self._regain()
            if not self.in_step():
                self._catch_up()
            clean = self.flights.end(flight)
            if not copies or not clean:
                return
            for tier in self._tiers[: max(copies)]:
                if not tier.instant:
                    continue
                latest = self._latest(tier.level)
                if latest is not None and self._staleness <= 0:
                    continue
                further = [entries for level, entries in copies.items() if level > tier.level]
                left = {key: until(entries[key], latest) for key in clean for entries in further if key in entries}
                tier.store.write(left)
                self._sleep.copies += len(left)

    # Writing

    def write(self, changes: Changes) -> int:
        if self._exclusive.must_not_wait():
            there = [self._far.store.get([key])[0] for key, entry in changes.items() if entry is None]
            self._put_off(self.write, changes)
            return len(there) - there.count(None)
        flight = Flight(changes, (), writes=True)
        return self._carried(flight, self._writing(changes, flight))

    async def awrite(self, changes: Changes) -> int:
        flight = Flight(changes, (), writes=True)
        return await self._acarried(flight, self._writing(changes, flight))

    def _writing(self, changes: Changes, flight: Flight) -> Plan[int]:
        """Write to the farthest tier first, and to those in memory as the flight ends."""
        removed: list[int] = []
        failed: list[StoreError] = []
        try:
            with self.lock:
                self._expect(changes)
                self.flights.begin(flight)
            try:
                removed.append((yield from self._writing_far(changes)))
            except StoreError as error:
                failed.append(error)
            removed += yield from self._passing_on(flight, changes, failed)
        except BaseException:
            with self.lock:
                self.flights.spoil(changes)
            raise
        finally:
            there = self._end_write(flight, changes, taken=not failed)
        for failure in failed:
            self._report("write", failure)
        return removed[0] if removed else there

    def _writing_far(self, changes: Changes) -> Plan[Any]:
        tier = self._far
        with self.lock:
            since = tier.debts.now()
        try:
            answer = yield from self._giving(tier, "write", changes)
        except StoreError:
            with self.lock:
                tier.debts.owe(changes)
            raise
        with self.lock:
            tier.debts.paid(changes, since)
        return answer

    def _passing_on(self, flight: Flight, changes: Changes, failed: list[StoreError]) -> Plan[list[int]]:
        """Leave what was written in the nearer tiers that wait; return how many keys that removed in each."""
        removed = []
        for tier in reversed(self._tiers[:-1]):
            if not tier.instant:
                try:
                    removed.append((yield from self._copying(tier, flight, self._copies_for(tier, changes))))
                except StoreError as error:
                    failed.append(error)
        return removed

    def _copies_for(self, tier: Tier, changes: Changes, *, taken: bool = True) -> Changes:
        """Return what a write leaves in a nearer tier, as a mapping of its own.

        Where the write itself will be told as a change, some time later, nothing: the next read leaves the copy.
        """
        if taken and any(farther.echoes for farther in self._tiers[tier.level + 1 :]):
            return dict.fromkeys(changes)
        latest = self._latest(tier.level)
        if latest is None:
            return dict(changes)
        if self._staleness <= 0:
            return dict.fromkeys(changes)
        return {key: until(entry, latest) for key, entry in changes.items()}

    def _end_write(self, flight: Flight, changes: Changes, *, taken: bool) -> int:
        """Leave in memory what was written, unless another write overlapped; return how many keys that removed.

        Args:
            flight: of the write.
            changes: what was written.
            taken: whether all the tiers that wait took it.
        """
        removed = 0
        with self.lock:
            self._regain()
            if not self.in_step():
                self._catch_up()
            clean = self.flights.end(flight)
            spoiled = set(changes).difference(clean) if len(clean) < len(changes) else ()
            for tier in self._tiers[:-1]:
                if not tier.instant:
                    if spoiled:
                        tier.debts.owe(spoiled)
                    continue
                copies = self._copies_for(tier, changes, taken=taken)
                if spoiled:
                    copies = {**copies, **dict.fromkeys(spoiled)}
                removed = tier.store.write(copies)
            self.flights.passed_on(flight)
        return removed

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        if self._exclusive.must_not_wait():
            self._put_off(self.clear, namespaces)
            return
        flight = _clearing(namespaces)
        self._carried(flight, self._clearing(namespaces, flight))

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        flight = _clearing(namespaces)
        await self._acarried(flight, self._clearing(namespaces, flight))

    def clear_under(self, prefix: bytes) -> None:
        if self._exclusive.must_not_wait():
            self._put_off(self.clear_under, prefix)
            return
        flight = Flight((), (), writes=True, prefix=prefix)
        self._carried(flight, self._clearing_under(prefix, flight))

    async def aclear_under(self, prefix: bytes) -> None:
        flight = Flight((), (), writes=True, prefix=prefix)
        await self._acarried(flight, self._clearing_under(prefix, flight))

    def _clearing(self, names: Sequence[bytes] | None, flight: Flight) -> Plan[None]:
        with self.lock:
            self.flights.begin(flight)
            # What a nearer tier that waits holds is not read until it is cleared, below or by a later call.
            self.drop_namespaces(names, self._far.level)
        yield from self._clearing_tiers(flight, "clear", names, self._far.debts.owe_namespaces)

    def _clearing_under(self, prefix: bytes, flight: Flight) -> Plan[None]:
        with self.lock:
            self.flights.begin(flight)
            self.drop_under(prefix, self._far.level)
        yield from self._clearing_tiers(flight, "clear_under", prefix, self._far.debts.owe_under)

    def _clearing_tiers(self, flight: Flight, do: str, what: Any, owe: Callable[[Any], None]) -> Plan[None]:
        """Clear the tiers that wait; those in memory are cleared already."""
        failed: list[StoreError] = []
        try:
            for tier in reversed(self._tiers):
                if tier.instant and tier is not self._far:
                    continue
                try:
                    if tier is self._far:
                        yield from self._giving(tier, do, what)
                    else:
                        yield from self._settling(tier)
                except StoreError as error:
                    failed.append(error)
                    if tier is self._far:
                        with self.lock:
                            owe(what)
        finally:
            with self.lock:
                self._regain()
                self.flights.end(flight)
                self.flights.passed_on(flight)
        for failure in failed:
            self._report("clear", failure)

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        if self._exclusive.must_not_wait():
            raise StoreError("a finaliser asks for a lease within a change of the tiers by this very thread")
        return carry_out(self._leasing(keys, token, seconds))

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return await acarry_out(self._leasing(keys, token, seconds))

    def _leasing(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[Sequence[float]]:
        """Take leases where what counts is, after what would end them."""
        yield from self._settling(self._far)
        left: Sequence[float] = yield self._far.store, "lease", keys, token, seconds
        return left

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        if self._exclusive.must_not_wait():
            raise StoreError("a finaliser settles a lease within a change of the tiers by this very thread")
        flight = _settling(results)
        return self._carried(flight, self._settling_leases(results, token, flight))

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        flight = _settling(results)
        return await self._acarried(flight, self._settling_leases(results, token, flight))

    def _settling_leases(self, results: Changes, token: bytes, flight: Flight) -> Plan[Collection[EncodedKey]]:
        """Store results in the farthest tier, and in the others what it did not refuse."""
        failed: list[StoreError] = []
        # What is not known to be stored far is dropped near: it may be, and what is there may be another's by then.
        given: Changes = dict.fromkeys(flight.keys)
        try:
            with self.lock:
                self._expect(given)
                self.flights.begin(flight)
                since = self._far.debts.now()
            late: Collection[EncodedKey] = yield from self._giving(self._far, "settle", results, token)
            stored = {key: entry for key, entry in results.items() if entry is not None and key not in late}
            with self.lock:
                self._far.debts.paid(stored, since)
            given = {**given, **stored}
            yield from self._passing_on(flight, given, failed)
        except BaseException:
            with self.lock:
                self.flights.spoil(given)
            raise
        finally:
            self._end_write(flight, given, taken=not failed)
        for failure in failed:
            self._report("write", failure)
        return late

    # What a tier is owed

    def _giving(self, tier: Tier, do: str, what: Any, *more: Any) -> Plan[Any]:
        """Have a tier change something after what it was owed before; its echo is not news."""
        yield from self._settling(tier)
        try:
            return (yield from self._asking(tier, do, what, *more))
        except StoreError:
            raise
        except BaseException:
            if do == "write" and tier is not self._far and tier.is_told:
                self.strays[id(what)] = what  # cancelled: it may be done all the same, later than what comes next
            raise

    def _asking(self, tier: Tier, do: str, what: Any, *more: Any) -> Plan[Any]:
        try:
            self.own[id(what)] = threading.get_ident()
            return (yield tier.store, do, what, *more)
        finally:
            self.own.pop(id(what), None)

    def _settling(self, tier: Tier) -> Plan[None]:
        """Carry out some of what a tier is owed, unless another is at it."""
        debts = tier.debts
        if not debts:
            return
        mine = False
        try:
            with self.lock:
                if debts.settling or not debts:
                    return
                mine = debts.settling = True
                bill = debts.bill()
            under = [("clear_under", prefix) for prefix in bill.prefixes]
            for do, what in (("clear", bill.names), *under, ("write", dict.fromkeys(bill.keys))):
                if what is None or what:
                    yield from self._asking(tier, do, what)
            with self.lock:
                debts.settle(bill)
        finally:
            if mine:
                debts.settling = False

    # Carrying out, whatever comes in between

    def _carried(self, flight: Flight, plan: Plan[T]) -> T:
        """Carry out a plan; an exception at any line leaves no flight, no lock and no copy in doubt behind."""
        try:
            return carry_out(plan)
        except HitrateError:  # in its turn
            raise
        except BaseException:
            self._interrupted(flight)
            raise
        finally:
            self._exclusive.catch_up()

    async def _acarried(self, flight: Flight, plan: Plan[T]) -> T:
        """Do ``_carried`` by the async faces."""
        try:
            return await acarry_out(plan)
        except HitrateError:  # in its turn
            raise
        except BaseException as error:
            if isinstance(error, GeneratorExit) and self._exclusive.must_not_wait():  # collected, in another's change
                self._exclusive.put_off(lambda: held(self.lock, self._abandon, flight))
            else:
                self._interrupted(flight)
            raise
        finally:
            self._exclusive.catch_up()

    def _interrupted(self, flight: Flight) -> None:
        try:
            held(self.lock, self._abandon, flight)
            here = threading.get_ident()
            for given in [given for given, thread in self.own.copy().items() if thread == here]:
                self.own.pop(given, None)
        finally:
            while self._exclusive.is_mine():  # a tracer's exception comes even between the last line and the release
                self.lock.release()

    def _abandon(self, flight: Flight) -> None:
        """Forget a flight, and drop the copies of what it may have changed. The lock is held."""
        if flight.writes:
            self.flights.spoil_what_is_written(flight)
            level = self._far.level
            if flight.keys:
                self.drop(flight.keys, level)
            elif flight.prefix is not None:
                self.drop_under(flight.prefix, level)
            else:
                self.drop_namespaces(flight.names if flight.names is None else list(flight.names), level)
        self.flights.end(flight)
        self.flights.passed_on(flight)

    def _put_off(self, do: Callable[[Any], object], what: Any) -> None:
        self._exclusive.put_off(partial(do, what))

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._owed_left_out(self._far.store.list_page(under, after, limit))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._owed_left_out(await self._far.store.alist_page(under, after, limit))

    def _owed_left_out(self, page: Page) -> Page:
        """Leave out what the farthest tier, whose entries count, is still to remove."""
        with nullcontext() if self._exclusive.must_not_wait() else self.lock:
            debts = self._far.debts
            if not debts.any:
                return page
            return page._replace(entries=[each for each in page.entries if not debts.doubts((each.name, each.key))])

    # Keeping

    def count_expired(self) -> int:
        return sum(tier.store.count_expired() for tier in self._tiers)

    def remove_expired(self) -> int:
        return sum(tier.store.remove_expired() for tier in self._tiers)

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem] | None:
        """Check the farthest tier, whose entries count."""
        return self._far.store.check(repair, looked_at)

    def compact(self) -> bool:
        gave = [tier.store.compact() for tier in self._tiers]  # each of them, whatever the first says
        return any(gave)

    # The whole

    @property
    def limits(self) -> tuple[int | None, int | None]:  # type: ignore[override]
        """The limits of the farthest tier, which is what ``usage`` tells of."""
        return self._tiers[-1].store.limits

    def usage(self) -> Usage:
        """Return what the farthest tier that answers holds."""
        failed = []
        for tier in reversed(self._tiers):
            try:
                return tier.store.usage()
            except StoreError as error:
                failed.append(error)
        raise failed[0]

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self._far.store.expired(keys)

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return await self._far.store.aexpired(keys)

    def removals(self) -> tuple[int, int]:
        return self._far.store.removals()

    def add_counts(self, amounts: Amounts) -> bool:
        return self._far.store.add_counts(amounts)

    def read_counts(self) -> Amounts | None:
        return self._far.store.read_counts()

    def close(self) -> None:
        """Settle what can be, and stop listening; the tiers are the cache's to close."""
        self._keeper.stop()
        if not self._exclusive.must_not_wait():
            self._settle()
        for channel in self._channels:
            channel.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def _settle(self) -> bool:
        """Carry out some of what tiers are owed; tell whether to go on."""
        more = False
        for tier in self._tiers:
            try:
                carry_out(self._settling(tier))
            except StoreError as error:
                self._settle_at = time.monotonic() + _AGAIN_SECONDS
                log.debug("what a tier is owed was put off: %s", error)
            else:
                more = more or (bool(tier.debts) and not tier.debts.settling)
        return more

    def after_fork_in_child(self) -> None:
        """Start anew: what was under way in the parent's other threads is not under way here."""
        self.flights.spoil_namespaces(None)
        self.flights = Flights()
        self.own = {}
        self.strays = {}
        self._keeper = Keeper(self._settle)
        for tier in self._tiers:
            tier.debts.forget_what_is_under_way()
            if tier.channel is not None:
                tier.channel.after_fork_in_child()
        self.drop_namespaces(None, self._far.level)


def _clearing(names: Sequence[bytes] | None) -> Flight:
    return Flight((), names if names is None else frozenset(names), writes=True)


def _settling(results: Changes) -> Flight:
    return Flight([key for key, entry in results.items() if entry is not None], (), writes=True)


_stores: weakref.WeakSet[TieredStore] = weakref.WeakSet()
_held_over_fork: list[Any] = []
_forking = reentrant()


def _before_fork() -> None:
    """Hold every lock over a fork."""
    _forking.acquire()
    for store in list(_stores):
        store.lock.acquire()
        _held_over_fork.append(store)


def _after_fork_in_parent() -> None:
    while _held_over_fork:
        _held_over_fork.pop().lock.release()
    _forking.release()


def _after_fork_in_child() -> None:
    while _held_over_fork:
        store = _held_over_fork.pop()
        store.after_fork_in_child()
        store.lock.release()
    _forking.release()


forking.at_fork(
    forking.Turn.TIERS, before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
