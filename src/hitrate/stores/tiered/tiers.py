"""What the operations of one store of tiers share: its tiers, what is under way in them, and what they are owed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from hitrate.errors import StoreError
from hitrate.exclusive import Exclusive, held
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.plans import Plan, carry_out
from hitrate.stores.base import Changes, Store
from hitrate.stores.keeper import Keeper
from hitrate.stores.memory import MemoryStore
from hitrate.stores.tiered.memory_tier import MemoryTier
from hitrate.stores.tiered.sleep import Sleep
from hitrate.stores.tiered.tier import Tier
from hitrate.stores.tiered.under_way import Access, UnderWay

_AGAIN_SECONDS = 0.5
"""Seconds after a tier failed to take what it is owed until a read asks for it again."""


class Tiers:
    """The tiers of a ``TieredStore``.

    Args:
        stores: near to far.
        staleness: seconds that a copy may be used while a farther tier does not tell what changes in it.
        start: the first tier that reads look in; what is before it has been looked in by the cache above.
        report: is told what failed in one tier, such as ``"read"``, while the others went on; it may raise it.
        clock: returns the seconds since the epoch.
        near_hits: returns how many hits the first tier has had, if the cache above looks in it.

    Attributes:
        all: near to far.
        far: the farthest, whose entries count.
        lock: guards what is under way, the debts and every change to a tier in memory.
        exclusive: has this lock.
        under_way: what is under way.
        own: the ids of the mappings and lists that this store is giving to its tiers, whose echo is not news, each with
            the thread that does.
        strays: by their ids, copies that were given to a tier by a call that was cancelled, and are not there yet.
        channels: of the tiers that tell of changes.
        in_step: tells whether everything that changed was told.
        keeper: pays what tiers are owed, in the background.
        pay_at: a read does not ask for that earlier.
        sleep: whether copies pay.
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
        self.exclusive = Exclusive(outer=True)
        self.lock = self.exclusive.lock
        self.under_way = UnderWay()
        self.own: dict[int, int] = {}
        self.strays: dict[int, Changes] = {}
        self.staleness = staleness
        self.start = start
        self.report = report
        self._clock = clock
        whole = [MemoryTier(store) if isinstance(store, MemoryStore) else store for store in stores]
        self.all = [Tier(store, level, self) for level, store in enumerate(whole)]
        self.far = self.all[-1]
        self.keeper = Keeper(self.pay)
        self.pay_at = 0.0
        self.sleep = Sleep(near_hits)
        self._may_sleep = len(stores) == 2 and start == 1
        for tier in self.all[1:]:
            tier.channel = tier.store.listen(tier)
        for tier in self.all[1:-1]:
            if not tier.instant:  # a file, say: nobody was told what changed while nobody had it open
                tier.debts.owe("clear", None)
        self.channels = [tier.channel for tier in self.all if tier.channel is not None]
        self.in_step: Callable[[], bool] = self.channels[0].in_step if len(self.channels) == 1 else self._all_in_step
        self.catch_up()

    def end(self, access: Access) -> list[EncodedKey]:
        """Forget a read or write; return its keys of which copies may be kept. The lock is held."""
        self.regain()
        if not self.in_step():
            self.catch_up_all()
        return self.under_way.end(access)

    def abandon(self, access: Access) -> None:
        """Forget an access, and drop the copies of what it may have changed. The lock is held."""
        if access.writes:
            self.under_way.spoil(*access.change)
            self.drop(*access.change, self.far.level)
        self.under_way.end(access)
        self.under_way.passed_on(access)

    # What others changed

    def _all_in_step(self) -> bool:
        return all(channel.in_step() for channel in self.channels)

    def catch_up(self) -> bool:
        """Drop the copies of what may have changed without having been told.

        Returns:
            False if copies are not to be used now: a finaliser asks, or they would not pay.
        """
        if self.sleep.sleeps or self.exclusive.must_not_wait():
            return False
        held(self.lock, self.catch_up_all)
        self.exclusive.catch_up()
        return True

    def catch_up_all(self) -> None:
        """Drop the copies of what may have changed without having been told. The lock is held."""
        for tier in self.all:
            if tier.channel is not None and not tier.channel.in_step():
                tier.channel.catch_up(tier.empty_nearer)

    def hear(self, tier: Tier, do: str, what: Any) -> None:
        """Take note of a change in a tier, alone; it may be told within a change of ours, by ``catch_up_all``.

        To drop what is dropped already does no harm, and what is being changed is spoiled for whoever changes it.
        """
        held(self.lock, self._heard, tier, do, what)
        self.exclusive.catch_up()

    def _heard(self, tier: Tier, do: str, what: Any) -> None:
        if id(what) not in self.own:
            self.under_way.spoil(do, what)
            self.drop(do, what, tier.level)
            if do == "write" and self.strays.pop(id(what), None) is not None:
                tier.debts.owe(do, what)
        self.under_way.passed_on()

    def stands(self, state: int | None) -> bool:
        """Tell whether nothing was changed since ``under_way.state()`` was this.

        Then what a nearer tier held since, and what a farther one holds, is of one state.
        """
        if state is None or self.exclusive.must_not_wait():
            return False
        try:
            return held(self.lock, self._stands, state)
        finally:
            self.exclusive.catch_up()

    def _stands(self, state: int) -> bool:
        if not self.in_step():
            self.catch_up_all()
        return self.under_way.state() == state

    def emptied(self) -> None:
        """All copies were dropped, for a tier cannot tell what changed in it. The lock is held."""
        if self._may_sleep:
            self.sleep.dropped()

    def regain(self) -> None:
        """Try to be told of changes again, after a channel was lost."""
        for tier in self.all:
            if tier.channel is not None and not tier.channel.live:
                tier.channel.catch_up(tier.empty_nearer)

    def expect(self, keys: Collection[EncodedKey]) -> None:
        """Have the channels tell of changes of some keys."""
        for channel in self.channels:
            channel.expect(keys)

    def drop(self, do: str, what: Any, level: int) -> None:
        """Drop the copies that tiers nearer than a level hold of what was changed, as ``Change``. The lock is held."""
        for tier in self.all[:level]:
            if not tier.instant:
                tier.debts.owe(do, what)
            elif do == "write":
                tier.store.write(dict.fromkeys(what))
            else:
                getattr(tier.store, do)(what)

    def latest(self, level: int) -> float | None:
        """Return when a copy that a tier gets now expires at the latest."""
        if all(tier.is_told for tier in self.all[level + 1 :]):
            return None
        return self._clock() + self.staleness

    # What a tier is owed

    def giving(self, tier: Tier, do: str, what: Any, *more: Any) -> Plan[Any]:
        """Have a tier change something after what it was owed before; its echo is not news."""
        yield from self.paying(tier)
        try:
            return (yield from self._asking(tier, do, what, *more))
        except StoreError:
            raise
        except BaseException:
            if do == "write" and tier is not self.far and tier.is_told:
                self.strays[id(what)] = what  # cancelled: it may be done all the same, later than what comes next
            raise

    def _asking(self, tier: Tier, do: str, what: Any, *more: Any) -> Plan[Any]:
        try:
            self.own[id(what)] = threading.get_ident()
            return (yield tier.store, do, what, *more)
        finally:
            self.own.pop(id(what), None)

    def paying(self, tier: Tier) -> Plan[None]:
        """Carry out some of what a tier is owed, unless another is at it."""
        debts = tier.debts
        if not debts:
            return
        mine = False
        try:
            with self.lock:
                if debts.paying or not debts:
                    return
                mine = debts.paying = True
                changes, at = debts.bill()
            for do, what in changes:
                yield from self._asking(tier, do, what)
            with self.lock:
                debts.carried_out(changes, at)
        finally:
            if mine:
                debts.paying = False

    def pay(self) -> bool:
        """Carry out some of what tiers are owed; tell whether to go on."""
        more = False
        for tier in self.all:
            try:
                carry_out(self.paying(tier))
            except StoreError as error:
                self.pay_at = time.monotonic() + _AGAIN_SECONDS
                log.debug("what a tier is owed was put off: %s", error)
            else:
                more = more or (bool(tier.debts) and not tier.debts.paying)
        return more

    def after_fork_in_child(self) -> None:
        """Start anew: what was under way in the parent's other threads is not under way here."""
        self.under_way.spoil("clear", None)
        self.under_way = UnderWay()
        self.own = {}
        self.strays = {}
        self.keeper = Keeper(self.pay)
        for tier in self.all:
            tier.debts.forget_what_is_under_way()
            if tier.channel is not None:
                tier.channel.after_fork_in_child()
        self.drop("clear", None, self.far.level)
