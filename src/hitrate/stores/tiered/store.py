"""The store of tiers: what a cache calls, sync and async, and what is undone if an exception comes in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from hitrate import forking
from hitrate.errors import HitrateError, StoreError
from hitrate.exclusive import HeldOverForks, held
from hitrate.keys import EncodedKey
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stores.base import Amounts, Changes, Found, LookedAt, Page, Problem, Store, Usage
from hitrate.stores.salvaged import Salvaged, UnreadableRows
from hitrate.stores.tiered.clearing import clearing
from hitrate.stores.tiered.leasing import leasing, settling
from hitrate.stores.tiered.reading import reading
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access
from hitrate.stores.tiered.writing import writing

T = TypeVar("T")


class TieredStore(Store):
    """Keeps entries in several stores.

    Attributes:
        lock: guards what the operations share.
        in_step: tells whether everything that changed was told.
        catch_up: see ``Tiers.catch_up``.
        stands: see ``Tiers.stands``.
    """

    def __init__(self, tiers: Tiers) -> None:
        self.offers = frozenset.intersection(*(tier.store.offers for tier in tiers.all))
        self._tiers = tiers
        self._exclusive = tiers.exclusive
        self._far = tiers.far
        self.lock = tiers.lock
        self.in_step = tiers.in_step
        self.catch_up = tiers.catch_up
        self.stands = tiers.stands
        _stores.add(self)

    # Reading

    def get(self, keys: Sequence[EncodedKey], start: int | None = None) -> Sequence[Found]:
        if self._exclusive.must_not_wait():  # a finaliser asks: it gets the values, and no copies are made
            asked = [key for key in keys if not self._far.debts.doubts(key)]
            there = dict(zip(asked, self._far.store.get(asked) if asked else (), strict=True))
            return [there.get(key) for key in keys]
        if self._passes(keys):
            try:
                return self._far.store.get(keys)
            except StoreError as error:
                self._tiers.report("read", error)
                return [None] * len(keys)
        return self._carried(reading, Access("get", dict.fromkeys(keys)), keys, start)

    async def aget(self, keys: Sequence[EncodedKey], start: int | None = None) -> Sequence[Found]:
        if self._passes(keys):
            try:
                return await self._far.store.aget(keys)
            except StoreError as error:
                self._tiers.report("read", error)
                return [None] * len(keys)
        return await self._acarried(reading, Access("get", dict.fromkeys(keys)), keys, start)

    def _passes(self, keys: Sequence[EncodedKey]) -> bool:
        """Tell whether a read is to go to the farthest tier alone, which is owed nothing, and to leave no copies."""
        return self._tiers.sleep.sleeps and self._tiers.sleep.passes(len(keys)) and not self._far.debts

    def look(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Do ``get`` in all tiers, also in those that the cache above has looked in."""
        return self.get(keys, 0)

    async def alook(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Do ``look`` without blocking the event loop."""
        return await self.aget(keys, 0)

    def state(self) -> int | None:
        """Return what ``stands`` is to be asked of after a look at the copies; None while anything is being changed."""
        return self._tiers.under_way.state()

    # Writing

    def write(self, changes: Changes) -> int:
        if self._exclusive.must_not_wait():
            there = [self._far.store.get([key])[0] for key, entry in changes.items() if entry is None]
            self._exclusive.put_off(partial(self.write, changes))
            return len(there) - there.count(None)
        return self._carried(writing, Access("write", changes), changes)

    async def awrite(self, changes: Changes) -> int:
        return await self._acarried(writing, Access("write", changes), changes)

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._clear("clear", namespaces)

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._acarried(clearing, Access("clear", namespaces))

    def clear_under(self, prefix: bytes) -> None:
        self._clear("clear_under", prefix)

    async def aclear_under(self, prefix: bytes) -> None:
        await self._acarried(clearing, Access("clear_under", prefix))

    def _clear(self, do: str, what: Any) -> None:
        if self._exclusive.must_not_wait():
            self._exclusive.put_off(partial(self._clear, do, what))
        else:
            self._carried(clearing, Access(do, what))

    # Leases

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        if self._exclusive.must_not_wait():
            raise StoreError("a finaliser asks for a lease within a change of the tiers by this very thread")
        return carry_out(leasing(self._tiers, keys, token, seconds))

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return await acarry_out(leasing(self._tiers, keys, token, seconds))

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        if self._exclusive.must_not_wait():
            raise StoreError("a finaliser settles a lease within a change of the tiers by this very thread")
        return self._carried(settling, _settlement(results), results, token)

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return await self._acarried(settling, _settlement(results), results, token)

    # Carrying out, whatever comes in between

    def _carried(self, planned: Callable[..., Plan[T]], access: Access, *more: Any) -> T:
        """Carry out a plan. Whatever exception comes, at any line, the access ends and doubtful copies are dropped."""
        try:
            return carry_out(planned(self._tiers, access, *more))
        except HitrateError:  # raised by the plan itself, which has ended the access
            raise
        except BaseException:
            self._interrupted(access)
            raise
        finally:
            self._exclusive.catch_up()

    async def _acarried(self, planned: Callable[..., Plan[T]], access: Access, *more: Any) -> T:
        """Do ``_carried`` by the async methods of the stores."""
        try:
            return await acarry_out(planned(self._tiers, access, *more))
        except HitrateError:  # raised by the plan itself, which has ended the access
            raise
        except BaseException as error:
            if isinstance(error, GeneratorExit) and self._exclusive.must_not_wait():  # collected within another change
                self._exclusive.put_off(lambda: held(self.lock, self._tiers.abandon, access))
            else:
                self._interrupted(access)
            raise
        finally:
            self._exclusive.catch_up()

    def _interrupted(self, access: Access) -> None:
        try:
            held(self.lock, self._tiers.abandon, access)
            here = threading.get_ident()
            for given in [given for given, thread in self._tiers.own.copy().items() if thread == here]:
                self._tiers.own.pop(given, None)
        finally:
            while self._exclusive.is_mine():  # a tracer's exception comes even between the last line and the release
                self.lock.release()

    # Listing

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._owed_left_out(self._far.store.list_page(under, after, limit))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._owed_left_out(await self._far.store.alist_page(under, after, limit))

    def _owed_left_out(self, page: Page) -> Page:
        """Leave out the entries whose removal is owed to the farthest tier."""
        with nullcontext() if self._exclusive.must_not_wait() else self.lock:
            debts = self._far.debts
            if not debts.any:
                return page
            return page._replace(entries=[each for each in page.entries if not debts.doubts((each.name, each.key))])

    # Keeping

    def count_expired(self) -> int:
        return sum(tier.store.count_expired() for tier in self._tiers.all)

    def remove_expired(self) -> int:
        return sum(tier.store.remove_expired() for tier in self._tiers.all)

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem] | None:
        """Check the farthest tier, whose entries count."""
        return self._far.store.check(repair, looked_at)

    def salvage(self, under: bytes) -> Iterator[Salvaged | UnreadableRows] | None:
        return self._far.store.salvage(under)

    def compact(self) -> bool:
        gave = [tier.store.compact() for tier in self._tiers.all]  # all of them, though the first one may return True
        return any(gave)

    # The whole

    @property
    def limits(self) -> tuple[int | None, int | None]:  # type: ignore[override]
        """The limits of the farthest tier, which is what ``usage`` tells of."""
        return self._far.store.limits

    def usage(self) -> Usage:
        """Return what the farthest tier that answers holds."""
        failed = []
        for tier in reversed(self._tiers.all):
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
        """Pay what can be, and stop listening; the tiers are the cache's to close."""
        self._tiers.keeper.stop()
        if not self._exclusive.must_not_wait():
            self._tiers.pay()
        for channel in self._tiers.channels:
            channel.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def after_fork_in_child(self) -> None:
        """Start anew, as ``Tiers.after_fork_in_child``."""
        self._tiers.after_fork_in_child()


def _settlement(results: Changes) -> Access:
    return Access("write", [key for key, entry in results.items() if entry is not None])


_stores: HeldOverForks[TieredStore] = HeldOverForks(forking.Turn.TIERS, TieredStore.after_fork_in_child)
