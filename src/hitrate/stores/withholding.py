"""Keeps this process from serving what a store still holds because it did not take a write or a removal.

A full server or disk refuses a new value and still has the old one. When that happens, the cache puts a
``WithholdingStore`` in the place of its store until the store has removed all such old values. Meanwhile their keys are
misses; a later write to a key makes it readable again. What is remembered is bounded (``debts.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hitrate import forking
from hitrate.errors import ClosedError, StoreError
from hitrate.exclusive import a_few_lines
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Amounts, Changes, Channel, Found, Listener, LookedAt, Page, Problem, Store, Usage
from hitrate.stores.debts import KEYS_AT_MOST, Change, Debts, concerned_by
from hitrate.stores.paired import PlannedStore

if TYPE_CHECKING:
    from hitrate.breaker import BreakerState
    from hitrate.stores.salvaged import Salvaged, UnreadableRows

_AGAIN_SECONDS = 1.0
"""Seconds after which a store that could not remove what it should is asked again."""


class WithholdingStore(PlannedStore):
    """A store whose reads leave out what it should no longer hold.

    Args:
        store: the one that holds it.
        when_done: called with this object once there is nothing to withhold any more.
    """

    def __init__(self, store: Store, when_done: Callable[[WithholdingStore], None]) -> None:
        self.store = store
        self.offers = store.offers
        self._when_done = when_done
        self._debts = Debts()
        self._written: dict[EncodedKey, None] = {}  # taken since their namespace came to be owed: these are served
        self._pay_at = 0.0
        forking.begin_anew(self, forking.Turn.CACHES)

    # What comes to be owed

    def owe(self, do: str, what: Any) -> None:
        """What is held of what a ``Change`` was to drop is not to be served."""
        with a_few_lines:
            self._debts.owe(do, what)
            for key in [*filter(concerned_by(do, what), self._written)]:
                del self._written[key]

    def _doubts(self, key: EncodedKey) -> bool:
        return key not in self._written and self._debts.doubts(key)

    # What is paid

    def paying(self, owed: Collection[EncodedKey] = ()) -> Plan[None]:
        """Remove some of what is owed, unless another call does so now, or the store failed to do so a moment ago.

        Args:
            owed: keys that have just come to be owed. Where they cannot be removed, those that the store does not hold
                are forgotten: of an outage no more is to be remembered than need be.

        Raises:
            StoreError: the store was waited for in vain. The call that this is part of has then taken as long as it
                may, and asks the store for nothing more.
        """
        since = self._now()
        yield from self._removing()
        if owed:
            with a_few_lines:
                left = [key for key in owed if self._debts.doubts(key)]
            if left:
                try:
                    found = yield self.store, "get", left
                except (StoreError, ClosedError):
                    return
                self._paid([key for key, each in zip(left, found, strict=True) if each is None], since)
        self._end_if_done()

    def _removing(self, before: Collection[EncodedKey] = ()) -> Plan[None]:
        """Remove some of what is owed.

        Args:
            before: keys that are about to be written. A clear that comes later would take their new entries, too, so
                where one is owed, the store is asked however lately it failed.
        """
        debts = self._debts
        with a_few_lines:
            if debts.paying or not debts:
                return
            if time.monotonic() < self._pay_at and not any(map(debts.clears, before)):
                return
            debts.paying = True
            changes, at = debts.bill()
        try:
            for do, what in changes:
                yield self.store, do, what
        except (StoreError, ClosedError) as error:
            self._pay_at = time.monotonic() + _AGAIN_SECONDS
            log.debug("what is not served could not be removed yet: %s", error)
            if isinstance(error, StoreError) and error.timed_out:
                raise
        else:
            self._strike_out(changes, at)
        finally:
            debts.paying = False

    def _strike_out(self, changes: Iterable[Change], at: int) -> None:
        with a_few_lines:
            self._debts.carried_out(changes, at)

    def _paid(self, keys: Iterable[EncodedKey], since: int) -> None:
        """Serve again what is held for keys: it was written by an operation that began at this time."""
        with a_few_lines:
            keys = list(keys)
            self._debts.paid(keys, since)
            self._written |= dict.fromkeys(key for key in keys if 0 < self._debts.latest(key) < since)
            if len(self._written) > KEYS_AT_MOST:
                self._written.clear()

    def _now(self) -> int:
        with a_few_lines:
            return self._debts.now()

    def _end_if_done(self) -> None:
        if not self._debts:
            self._when_done(self)

    @property
    def owes(self) -> bool:
        """Whether there is something that is not to be served."""
        return bool(self._debts)

    # Reading

    def _reading(self, keys: Sequence[EncodedKey]) -> Plan[Sequence[Found]]:
        with a_few_lines:
            asked = [key for key in keys if not self._doubts(key)]
        found = dict(zip(asked, (yield self.store, "get", asked), strict=True)) if asked else {}
        return [found.get(key) for key in keys]

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return self.store.expired(keys)

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        return await self.store.aexpired(keys)

    # Listing

    def _listing(self, under: bytes, after: Any, limit: int) -> Plan[Page]:
        page: Page = yield self.store, "list_page", under, after, limit
        with a_few_lines:
            return page._replace(entries=[each for each in page.entries if not self._doubts((each.name, each.key))])

    def described(self) -> str:
        return self.store.described()

    # Keeping

    def count_expired(self) -> int:
        return self.store.count_expired()

    def remove_expired(self) -> int:
        return self.store.remove_expired()

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem] | None:
        return self.store.check(repair, looked_at)

    def salvage(self, under: bytes) -> Iterator[Salvaged | UnreadableRows] | None:
        return self.store.salvage(under)

    def compact(self) -> bool:
        return self.store.compact()

    # Writing

    def _writing(self, changes: Changes) -> Plan[int]:
        yield from self._removing(before=changes)
        since = self._now()
        removed: int = yield self.store, "write", changes
        self._paid(changes, since)
        self._end_if_done()
        return removed

    def _clearing(self, namespaces: Sequence[bytes] | None) -> Plan[None]:
        return self._clearing_by("clear", namespaces)

    def _clearing_under(self, prefix: bytes) -> Plan[None]:
        return self._clearing_by("clear_under", prefix)

    def _clearing_by(self, do: str, what: Any) -> Plan[None]:
        yield from self.paying()
        since = self._now()
        yield self.store, do, what
        self._strike_out([(do, what)], since)
        self._end_if_done()

    # Leases

    def _leasing(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[Sequence[float]]:
        yield from self.paying()  # before: to remove a key ends its lease
        left: Sequence[float] = yield self.store, "lease", keys, token, seconds
        return left

    def _settling(self, results: Changes, token: bytes) -> Plan[Collection[EncodedKey]]:
        since = self._now()
        late: Collection[EncodedKey] = yield self.store, "settle", results, token
        self._paid([key for key, entry in results.items() if entry is not None and key not in late], since)
        self._end_if_done()
        return late

    # The whole

    @property
    def limits(self) -> tuple[int | None, int | None]:  # type: ignore[override]
        """Those of the store."""
        return self.store.limits

    def usage(self) -> Usage:
        return self.store.usage()

    def removals(self) -> tuple[int, int]:
        return self.store.removals()

    def add_counts(self, amounts: Amounts) -> bool:
        return self.store.add_counts(amounts)

    def read_counts(self) -> Amounts | None:
        return self.store.read_counts()

    def listen(self, listener: Listener) -> Channel | None:
        return self.store.listen(listener)

    @property
    def breaker(self) -> BreakerState:
        return self.store.breaker

    def close(self) -> None:
        self.store.close()

    async def aclose(self) -> None:
        await self.store.aclose()

    def after_fork_in_child(self) -> None:
        """Take over the removals that other threads of the parent had begun."""
        self._debts.paying = False
