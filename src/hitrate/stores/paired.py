"""The sync and the async method of each operation, written once.

``ImmediateStore`` is for stores that never wait, and ``PlannedStore`` for those that say in a plan what an operation
does. Where the two methods do different things, as when the calls of one event loop go together, a store writes both.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Collection, Sequence
from typing import Any

from hitrate.keys import EncodedKey
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.stores.base import Changes, Found, Page, Store


class ImmediateStore(Store):
    """A store that never waits: an event loop may call what threads call."""

    async def aget(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return self.get(keys)

    async def awrite(self, changes: Changes) -> int:
        return self.write(changes)

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        self.clear(namespaces)

    async def aclear_under(self, prefix: bytes) -> None:
        self.clear_under(prefix)


class PlannedStore(Store):
    """A store that says what each operation does in one plan, for threads and for event loops."""

    @abstractmethod
    def _reading(self, keys: Sequence[EncodedKey]) -> Plan[Sequence[Found]]: ...

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return carry_out(self._reading(keys))

    def aget(self, keys: Sequence[EncodedKey]) -> Awaitable[Sequence[Found]]:
        return acarry_out(self._reading(keys))

    @abstractmethod
    def _writing(self, changes: Changes) -> Plan[int]: ...

    def write(self, changes: Changes) -> int:
        return carry_out(self._writing(changes))

    async def awrite(self, changes: Changes) -> int:
        return await acarry_out(self._writing(changes))

    @abstractmethod
    def _clearing(self, namespaces: Sequence[bytes] | None) -> Plan[None]: ...

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        carry_out(self._clearing(namespaces))

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await acarry_out(self._clearing(namespaces))

    @abstractmethod
    def _clearing_under(self, prefix: bytes) -> Plan[None]: ...

    def clear_under(self, prefix: bytes) -> None:
        carry_out(self._clearing_under(prefix))

    async def aclear_under(self, prefix: bytes) -> None:
        await acarry_out(self._clearing_under(prefix))

    @abstractmethod
    def _leasing(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[Sequence[float]]: ...

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return carry_out(self._leasing(keys, token, seconds))

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return await acarry_out(self._leasing(keys, token, seconds))

    @abstractmethod
    def _settling(self, results: Changes, token: bytes) -> Plan[Collection[EncodedKey]]: ...

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return carry_out(self._settling(results, token))

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return await acarry_out(self._settling(results, token))

    @abstractmethod
    def _listing(self, under: bytes, after: Any, limit: int) -> Plan[Page]: ...

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return carry_out(self._listing(under, after, limit))

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return await acarry_out(self._listing(under, after, limit))
