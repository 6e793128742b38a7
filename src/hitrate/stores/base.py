"""The only contract of a backend: bytes, batch first, both faces.

A store knows nothing of values, counters or failures that become misses; the cache above it does. It raises
``StoreError`` when the backend fails, and puts an error in the place of a single entry that cannot be trusted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hitrate.entry import Entry
from hitrate.errors import DecodeError, StoreError
from hitrate.keys import EncodedKey

if TYPE_CHECKING:
    from hitrate.breaker import BreakerState

Found = Entry | DecodeError | StoreError | None
"""What a read found for one key: a fresh entry, one that is damaged, one whose server failed alone, or nothing."""

Changes = Mapping[EncodedKey, Entry | None]
"""What one write does: an entry to store, or None to remove the key. Stored whole or not at all."""


class Usage(NamedTuple):
    """What a store holds now, and what left it since it was opened.

    Attributes:
        entries: entries held.
        bytes: bytes held: keys, payloads and a fixed overhead an entry.
        evictions: entries removed for room.
        expirations: entries removed because their TTL had passed.
    """

    entries: int
    bytes: int
    evictions: int
    expirations: int


class Listener(Protocol):
    """Who keeps copies of a store's entries nearer by, and is told what changed in it.

    It may be called from any thread, and neither waits for a store nor raises.
    """

    def changed(self, keys: Collection[EncodedKey]) -> None:
        """These keys were written or removed. What was given to ``write`` is told as that very mapping."""

    def cleared(self, names: Sequence[bytes] | None) -> None:
        """These encoded namespaces were cleared, or all for None."""


class Channel(ABC):
    """How a store tells what changed in it, whoever changed it.

    Attributes:
        live: False while changes may go untold; copies are then good for a limited time only.
        echoes: whether it tells this process's own writes too, some time after they are done.
    """

    live: bool
    echoes: bool = False

    @abstractmethod
    def in_step(self) -> bool:
        """Tell, without waiting, whether everything that changed has been told one by one.

        It is part of each hit in a nearer tier. A channel that was lost is out of step until ``catch_up``.
        """

    @abstractmethod
    def catch_up(self, empty: Callable[[], None]) -> None:
        """Have all copies dropped and be in step again; live, if changes can be told from now on. It never waits.

        Args:
            empty: drops the copies. What changes while it runs is told, or puts the channel out of step once more.
        """

    def expect(self, keys: Collection[EncodedKey]) -> None:  # noqa: B027 - most tell of all keys
        """Copies of these keys may be made from now on, and changes of them are to be told. It never waits."""

    @abstractmethod
    def close(self) -> None:
        """Tell nothing more."""

    @abstractmethod
    def after_fork_in_child(self) -> None:
        """Start anew, out of step."""


class Store(ABC):
    """Keeps entries under encoded keys."""

    @abstractmethod
    def get(self, keys: Sequence[EncodedKey]) -> Sequence[Found]:
        """Return what is found for each key, in the order of the keys; never an expired entry."""

    @abstractmethod
    def aget(self, keys: Sequence[EncodedKey]) -> Awaitable[Sequence[Found]]:
        """Do ``get`` without blocking the event loop."""

    @abstractmethod
    def write(self, changes: Changes) -> int:
        """Apply the changes as one, or none of them; return how many keys were removed."""

    @abstractmethod
    async def awrite(self, changes: Changes) -> int:
        """Do ``write`` without blocking the event loop. Cancelling the wait leaves the store whole."""

    @abstractmethod
    def clear(self, namespaces: Sequence[bytes] | None) -> None:
        """Make every entry of the encoded namespaces, or of all, unreachable at once."""

    @abstractmethod
    async def aclear(self, namespaces: Sequence[bytes] | None) -> None:
        """Do ``clear`` without blocking the event loop."""

    @abstractmethod
    def usage(self) -> Usage:
        """Return what the store holds and what left it."""

    def listen(self, listener: Listener) -> Channel | None:
        """Tell a listener of every change from now on; None if this store has no way to know of others' changes."""
        return None

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker, for a backend that has one."""
        return "closed"

    @abstractmethod
    def close(self) -> None:
        """Let go of files, connections and threads; what was acknowledged stays. Calling it again does nothing."""

    async def aclose(self) -> None:
        """Do ``close`` without blocking the event loop."""
        self.close()


def check_limit(name: str, limit: object) -> None:
    """Raise unless a limit is None or a positive int."""
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"{name} is a positive int or None, not {limit!r} of type {type(limit).__name__}")
    if limit <= 0:
        raise ValueError(f"{name} is a positive int or None, not {limit!r}")
