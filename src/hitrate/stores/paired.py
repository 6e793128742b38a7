"""The sync and the async method of each operation, written once.

``ImmediateStore`` is for stores that never wait, and ``PlannedStore`` for those that say in a plan what an operation
does, whoever waits for it. A store whose two ways differ, as where the calls of an event loop go together, writes them
itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Collection, Generator, Sequence
from typing import Any, TypeVar

from hitrate.keys import EncodedKey
from hitrate.plans import acarry_out, carry_out
from hitrate.stores.base import Changes, Found, Page, Store

T = TypeVar("T")
Steps = Generator[Any, Any, T]
"""What an operation does: a ``plans.Plan``, or what the store itself carries out."""


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

    def _carry_out(self, plan: Steps[T], *, in_pages: bool = False) -> T:
        """Carry out a plan, waiting on this thread.

        Args:
            plan: what to do.
            in_pages: whether it goes through what is stored, page after page, each of which has the time of a call.
        """
        return carry_out(plan)

    async def _acarry_out(self, plan: Steps[T], *, in_pages: bool = False) -> T:
        """Carry out a plan as ``_carry_out`` does, waiting on the event loop."""
        return await acarry_out(plan)

    @abstractmethod
    def _reading(self, keys: Sequence[EncodedKey]) -> Steps[Sequence[Found]]: ...

    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        return self._carry_out(self._reading(keys))

    def aget(self, keys: Sequence[EncodedKey]) -> Awaitable[Sequence[Found]]:
        return self._acarry_out(self._reading(keys))

    @abstractmethod
    def _writing(self, changes: Changes) -> Steps[int]: ...

    def write(self, changes: Changes) -> int:
        return self._carry_out(self._writing(changes))

    async def awrite(self, changes: Changes) -> int:
        return await self._acarry_out(self._writing(changes))

    @abstractmethod
    def _clearing(self, namespaces: Sequence[bytes] | None) -> Steps[None]: ...

    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        self._carry_out(self._clearing(namespaces))

    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        await self._acarry_out(self._clearing(namespaces))

    @abstractmethod
    def _clearing_under(self, prefix: bytes) -> Steps[None]: ...

    def clear_under(self, prefix: bytes) -> None:
        self._carry_out(self._clearing_under(prefix), in_pages=True)

    async def aclear_under(self, prefix: bytes) -> None:
        await self._acarry_out(self._clearing_under(prefix), in_pages=True)

    @abstractmethod
    def _leasing(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Steps[Sequence[float]]: ...

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return self._carry_out(self._leasing(keys, token, seconds))

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        return await self._acarry_out(self._leasing(keys, token, seconds))

    @abstractmethod
    def _settling(self, results: Changes, token: bytes) -> Steps[Collection[EncodedKey]]: ...

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return self._carry_out(self._settling(results, token))

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        return await self._acarry_out(self._settling(results, token))

    @abstractmethod
    def _listing(self, under: bytes, after: Any, limit: int) -> Steps[Page]: ...

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        return self._carry_out(self._listing(under, after, limit), in_pages=True)

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        return await self._acarry_out(self._listing(under, after, limit), in_pages=True)
