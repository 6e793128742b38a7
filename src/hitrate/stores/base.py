"""The contract of a backend: bytes, in batches, with a sync and an async method for each operation.

A store knows nothing of values, counters or failures that become misses; the cache above it does. It raises
``StoreError`` when the backend fails, and puts an error in the place of a single entry that cannot be trusted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from hitrate.entry import Entry
from hitrate.errors import DecodeError, StoreError
from hitrate.keys import EncodedKey

if TYPE_CHECKING:
    from hitrate.breaker import BreakerState
    from hitrate.stores.salvaged import Salvaged, UnreadableRows

Found = Entry | DecodeError | StoreError | None
"""What a read found for one key: a fresh entry, one that is damaged, one whose server failed alone, or nothing."""

Changes = Mapping[EncodedKey, Entry | None]
"""What one write does: an entry to store, or None to remove the key. Stored whole or not at all."""

Evict = Literal["sieve", "cost"]
"""What leaves a store that is full: what was not read lately, or what saves the fewest seconds per byte."""

Amounts = Mapping[tuple[bytes, str], float]
"""By encoded namespace and name of a counter how much it counts: ``"hits"``, ``"seconds_saved"`` ..."""


class Usage(NamedTuple):
    """What a store holds now, and what left it since it was opened.

    Attributes:
        entries: entries held.
        bytes: bytes held: keys, payloads and a fixed overhead an entry.
        evictions: entries removed for room.
        expirations: entries removed because their TTL had passed.
        disk_bytes: bytes of this machine's disk that it takes, 0 for none.
    """

    entries: int
    bytes: int
    evictions: int
    expirations: int
    disk_bytes: int = 0


class Listed(NamedTuple):
    """An entry as a listing tells of it, without its value.

    Attributes:
        name: its encoded namespace.
        key: its encoded key.
        bytes: what it counts as in ``Usage.bytes``.
        created: when it was stored, in seconds since the epoch; None if the store does not know.
        expiry: seconds since the epoch, None for never.
        seconds: that its value took to make.
    """

    name: bytes
    key: bytes
    bytes: int
    created: float | None
    expiry: float | None
    seconds: float


class Page(NamedTuple):
    """A step of a listing.

    Attributes:
        entries: those that this step came by, any number of them, none included.
        after: what to ask the next page by; None if this was the last. It is the store's own, and may be good once.
    """

    entries: Sequence[Listed]
    after: Any


class Problem(NamedTuple):
    """Something that is wrong in a store.

    Attributes:
        name: the encoded namespace of the entry it is about; None if it is about none, or that is not known.
        key: the encoded key of that entry; None if it is about none.
        what: what is wrong.
        mended: whether it was put right; a damaged entry is so by its removal.
        of: ``"pages"`` if it is about pages of a file, which cannot be put right in place; else ``"entry"``.
    """

    name: bytes | None
    key: bytes | None
    what: str
    mended: bool
    of: Literal["entry", "pages"] = "entry"


LookedAt = Callable[[int], object]
"""Is told how far a check has come."""


class Listener(Protocol):
    """Who keeps copies of a store's entries nearer by, and is told what changed in it.

    It may be called from any thread, and neither waits for a store nor raises.
    """

    def changed(self, keys: Collection[EncodedKey]) -> None:
        """These keys were written or removed, or may have been.

        What was given to ``write`` or ``settle`` is told as that very mapping.
        """

    def cleared(self, names: Sequence[bytes] | None) -> None:
        """These encoded namespaces were cleared, or all for None."""

    def cleared_under(self, prefix: bytes) -> None:
        """Every namespace was cleared whose encoding begins with this one."""


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


Capability = Literal["bounds", "forks under load"]
"""What a store may offer beyond what each of them does.

``"bounds"``: it holds no more than the ``max_bytes`` and ``max_entries`` that its cache is given, and evicts what is
not read. ``"forks under load"``: a process may fork while other threads are in the midst of a call, and the child goes
on.
"""


class Store(ABC):
    """Keeps entries under encoded keys.

    Attributes:
        limits: how many entries and how many bytes it holds at most, None for no limit; for metrics to tell.
        offers: the capabilities that this store declares; the contract suite tries these alone.
        told: is called with an encoded namespace, an encoded key and ``"evicted"``, ``"expired"`` or ``"too large"``
            where this store comes to know why an entry leaves, or is not taken, while a cache's ``events`` ask for it.
    """

    limits: tuple[int | None, int | None] = (None, None)
    offers: frozenset[Capability] = frozenset()
    told: Callable[[Any, Any, Any], None] | None = None

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
    def clear_under(self, prefix: bytes) -> None:
        """Do ``clear`` for every namespace whose encoding begins with this one, which is not empty."""

    @abstractmethod
    async def aclear_under(self, prefix: bytes) -> None:
        """Do ``clear_under`` without blocking the event loop."""

    def lease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        """Take the right to compute the values of keys, each of them unless another token has it.

        A lease ends when it is settled, when its key is removed or its namespace cleared, and when its seconds are
        over. An entry that is written does not end it. It counts neither as an entry nor as bytes. Nobody waits here.

        Args:
            keys: encoded keys, none of them twice.
            token: who takes them: 16 bytes that nobody else has.
            seconds: how long the lease lasts, by the clock that expires entries. A clock that was put back ends it.

        Returns:
            For each key 0.0 if the lease is the token's now, and else the seconds until the other's ends, at most.
            A store that no other process can reach leaves single flight to its cache and grants everything.
        """
        return [0.0] * len(keys)

    async def alease(self, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Sequence[float]:
        """Do ``lease`` without blocking the event loop. A wait that is cancelled may leave leases that run out."""
        return self.lease(keys, token, seconds)

    def settle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        """Store what was computed under the leases of a token, and end these leases, all in one step.

        The token fences: what is stored for a key by a later holder, or after a removal, is never overwritten by a
        holder that was late.

        Args:
            results: for each key its entry, or None to end the lease and store nothing (and remove nothing).
            token: the one that took the leases.

        Returns:
            The keys whose lease was no longer the token's: nothing was stored for them, and the rest was.
        """
        self.write({key: entry for key, entry in results.items() if entry is not None})
        return ()

    async def asettle(self, results: Changes, token: bytes) -> Collection[EncodedKey]:
        """Do ``settle`` without blocking the event loop. Cancelling the wait leaves the store whole."""
        await self.awrite({key: entry for key, entry in results.items() if entry is not None})
        return ()

    def list_page(self, under: bytes, after: Any, limit: int) -> Page:
        """Return a page of what is stored, in the order in which keys were first stored if the store keeps that.

        From the first page to the last each entry that is there all the time is listed once, one that is overwritten
        meanwhile too. What comes or goes meanwhile may be listed or not; what has expired is not. A page takes no more
        time than others can wait, and nothing is held between two of them.

        Args:
            under: only namespaces whose encoding begins with this one; b"" for all.
            after: None for the first page, and what the page before said for each other.
            limit: about how many entries to look at.

        Raises:
            NotImplementedError: this store does not offer it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not list what it holds: it has no `list_page`")

    async def alist_page(self, under: bytes, after: Any, limit: int) -> Page:
        """Do ``list_page`` without blocking the event loop."""
        raise NotImplementedError(f"{type(self).__name__} does not list what it holds: it has no `alist_page`")

    def expired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        """Tell of each key that was missed whether an entry is still held for it that has expired.

        A backend that removes what expires cannot tell, and says False.
        """
        return [False] * len(keys)

    async def aexpired(self, keys: Sequence[EncodedKey]) -> Sequence[bool]:
        """Do ``expired`` without blocking the event loop."""
        return self.expired(keys)

    def count_expired(self) -> int:
        """Return how many entries have expired and still take room; 0 where the backend removes them by itself."""
        return 0

    def remove_expired(self) -> int:
        """Remove them, in steps that hold nobody up; return how many."""
        return 0

    def check(self, repair: bool, looked_at: LookedAt) -> Iterator[Problem] | None:
        """Yield what is wrong; None for a store of which a listing and reads tell all that can be.

        Args:
            repair: whether to put it right.
            looked_at: is told after each step how many entries it has looked at so far.
        """
        return None

    def salvage(self, under: bytes) -> Iterator[Salvaged | UnreadableRows] | None:
        """Yield what can be read although a part cannot, and how much cannot; None for a store that reads all or none.

        Args:
            under: how the encodings of the namespaces begin.
        """
        return None

    def compact(self) -> bool:
        """Give room on the disk back as far as that goes; False for a store that has none to give."""
        return False

    def make_nothing(self) -> None:  # noqa: B027 - most make nothing before they are written to
        """Make no tables from now on: where they are missing or of an older format, raise a ``StoreError``."""

    def described(self) -> str:
        """Return what and where it is, as the arguments in its cache's repr: no secret, without waiting or failing."""
        return ""

    @abstractmethod
    def usage(self) -> Usage:
        """Return what the store holds and what left it."""

    def add_counts(self, amounts: Amounts) -> bool:
        """Add to the counters that outlive this process, all of them or none.

        A thread calls it every few seconds, and ``close``. How many namespaces a backend keeps is bounded
        (``lifetime.py``). A clear leaves the counters as they are.

        Args:
            amounts: what to add.

        Returns:
            False for a store that keeps no counters: they are then those of the process.
        """
        return False

    def read_counts(self) -> Amounts | None:
        """Return the counters that outlive processes; None for a store that keeps none."""
        return None

    def removals(self) -> tuple[int, int]:
        """Return how many evictions and expirations this store has counted since it was opened, without waiting."""
        return 0, 0

    def listen(self, listener: Listener) -> Channel | None:
        """Tell a listener of every change from now on; None if this store has no way to know of others' changes."""
        return None

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker, for a backend that has one."""
        return "closed"

    @abstractmethod
    def close(self) -> None:
        """Close files and connections, and end threads; acknowledged writes stay. Calling it again does nothing."""

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


def check_evict(evict: object) -> None:
    """Raise unless it is an ``Evict``."""
    if evict not in ("sieve", "cost"):
        raise ValueError(f'evict must be "sieve" or "cost", not {evict!r}')
