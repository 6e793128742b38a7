"""The base of ``Cache``: its parts, events, listings, ``stats()`` and closing.

What is done with entries is in ``cache.py``.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload

from hitrate.base import TTL, BaseCache, Namespace, ValueT
from hitrate.callables import refuse_coroutine_function
from hitrate.clock import wall_clock
from hitrate.codec import Codec
from hitrate.entry import expiry_of, seconds_of
from hitrate.errors import ClosedError, StoreError
from hitrate.exclusive import a_few_lines
from hitrate.failsafe import Failsafe, OnError, log
from hitrate.keys import described, encode_namespace
from hitrate.reporting import lifetime_by_namespace, stats_by_namespace, stats_with, with_lifetime
from hitrate.serde import SerializerProtocol
from hitrate.stats import CacheStats, Counters, Counts, MissTimes, NamespaceStats
from hitrate.stores.base import Store, Usage

if TYPE_CHECKING:
    from hitrate.entry_info import EntryInfo, NamespaceInfo
    from hitrate.events import Event, Watch
    from hitrate.lifetime import Lifetime
    from hitrate.listing import Listing
    from hitrate.stores.base import Capability

NAMESPACE_OF_TASKS = "__pregel_ns_writes"
"""What the namespaces of LangGraph's tasks begin with."""

_warned: set[type] = set()
"""The classes that were warned of."""


def without_hint_for_graphs(cls: type[OpenCache[Any]]) -> None:
    """Do not warn of caches of a class that are given to a LangGraph graph, since the program means it so."""
    _warned.add(cls)


class OpenCache(BaseCache[ValueT]):
    """All of a ``Cache`` but what it does with entries. The arguments are those of ``Cache``."""

    _watch: Watch | None = None
    """Tells the hook that ``events`` is; None without one."""

    def __init__(
        self,
        store: Store,
        *,
        serde: SerializerProtocol | None = None,
        default_ttl: TTL | None = None,
        on_error: OnError = "miss",
        clock: Callable[[], float] = wall_clock,
        codec: Callable[[SerializerProtocol, Callable[[Namespace], None]], Codec] = Codec,
    ) -> None:
        _check_parts(serde, clock)
        super().__init__(serde=serde)
        expiry_of(default_ttl, 0.0)
        self._store = store
        self._default_ttl = None if default_ttl is None else seconds_of("default_ttl", default_ttl)
        self._clock = clock
        self._counters = Counters()
        self._failsafe = Failsafe(on_error, self._counters, type(self).__name__)
        self._missed = MissTimes()
        self._codec = codec(self.serde, self._first_use_of)
        self._its_lifetime: Lifetime | None = None
        self._closed = False
        if type(store).add_counts is not Store.add_counts:
            self._counters.when_used(partial(_tell_counts, weakref.ref(self)))
        self._read_call: tuple[Any, str] = (store, "get")

    @classmethod
    def _first_use_of(cls, namespace: Namespace) -> None:
        """Warn, once for each class, if a cache that knows nothing of graphs is given to one."""
        if namespace[:1] == (NAMESPACE_OF_TASKS,) and cls not in _warned:
            _warned.add(cls)
            log.warning(
                "%s.%s was given to a LangGraph graph. Write 'from hitrate.langgraph import %s': that class never "
                "fails a run, gives the messages of a hit new ids and keeps no approvals (logged once)",
                *(cls.__module__, cls.__qualname__, cls.__name__),
            )

    def _exchange_within(self, other: Callable[[Any], Any]) -> None:
        """Put another store in the place of the present one, behind a ``WithholdingStore`` if there is one."""
        from hitrate.stores.withholding import WithholdingStore

        with a_few_lines:
            if isinstance(self._store, WithholdingStore):
                self._store.store = other(self._store.store)
            else:
                self._exchange(other(self._store))

    def _exchange(self, store: Store) -> None:
        self._store = store
        if self._read_call[1] == "get":
            self._read_call = store, "get"

    def _encode_prefix(self, prefix: Namespace) -> bytes:
        if self._closed:
            self._refuse_closed()
        return self._codec.prefix(prefix)  # type: ignore[no-any-return]

    # Events

    @property
    def events(self) -> Callable[[Event], object] | None:
        """A function that is called with an ``Event`` for each thing that this cache does: ``cache.events = print``.

        None, as at first, for no function; then events cost no time. It is called on the thread, or in the
        task, that caused the event, before that goes on, and must not use this cache. What it raises is logged once.
        """
        return None if self._watch is None else self._watch.hook

    @events.setter
    def events(self, hook: Callable[[Event], object] | None) -> None:
        from hitrate.events import watch

        watch(self, hook)

    def _watch_store(self, told: Callable[[Any, Any, Any], None] | None) -> None:
        """Have the store call a function that it tells why entries leave it."""
        from hitrate.stores.withholding import WithholdingStore

        store = self._store
        while isinstance(store, WithholdingStore):
            store = store.store
        store.told = told

    # Listing

    def entries(self, under: Namespace = ()) -> Iterator[EntryInfo]:
        """List what is stored, without decoding values, in steps; between two of them nobody has to wait.

        The oldest value comes first where the cache knows when each was stored, which all but Redis do; one that is
        overwritten meanwhile comes last. Each entry that is there from the first step to the last is listed once.

        Args:
            under: only namespaces that begin with this one, as in ``clear_under``; the empty tuple for all.

        Returns:
            An iterator of ``EntryInfo``. Where the store fails meanwhile it ends, or raises with
            ``on_error="raise"``.

        Raises:
            TypeError: ``under`` is not a tuple of str.
            ClosedError: the cache is closed.
            NotImplementedError: a store of somebody else's does not offer it.
        """
        return self._listing(under).entries()

    def aentries(self, under: Namespace = ()) -> AsyncIterator[EntryInfo]:
        """Asynchronously list what is stored; as ``entries``."""
        return self._listing(under).aentries()

    def namespaces(self, under: Namespace = ()) -> Iterator[NamespaceInfo]:
        """List the namespaces that hold something, and how much, by the places of their first entries in ``entries``.

        All entries are looked at, in the steps of ``entries``, before the first is told.

        Args:
            under: only those that begin with this one, as in ``clear_under``; the empty tuple for all.

        Returns:
            An iterator of ``NamespaceInfo``: the namespace, and how many entries and bytes it holds. It ends and
            raises as that of ``entries``.

        Raises:
            TypeError: ``under`` is not a tuple of str.
            ClosedError: the cache is closed.
            NotImplementedError: a store of somebody else's does not offer it.
        """
        return self._listing(under).namespaces()

    def anamespaces(self, under: Namespace = ()) -> AsyncIterator[NamespaceInfo]:
        """Asynchronously list the namespaces that hold something; as ``namespaces``."""
        return self._listing(under).anamespaces()

    def _listing(self, under: Namespace) -> Listing:
        from hitrate.listing import Listing

        return Listing(self._encode_prefix(under), self._open_store, self._codec.key_decoder(), self._failsafe.failed)

    def _open_store(self) -> Store:
        if self._closed:
            self._refuse_closed()
        return self._store

    # The whole

    @property
    def offers(self) -> frozenset[Capability]:
        """The capabilities that its store declares: ``"bounds"``, ``"forks under load"``."""
        return self._store.offers

    @overload
    def stats(self, *, by: None = None, lifetime: bool = False) -> CacheStats: ...
    @overload
    def stats(self, *, by: Literal["namespace"], lifetime: bool = False) -> dict[Namespace | None, NamespaceStats]: ...
    def stats(
        self, *, by: str | None = None, lifetime: bool = False
    ) -> CacheStats | dict[Namespace | None, NamespaceStats]:
        """Return what the cache did since it was opened, and what it holds now.

        Args:
            lifetime: what all caches on this backend did, in all processes until now, in place of this one alone. Other
                processes tell it every ten seconds, and when they close the cache or end. A cache in memory has no
                life but this.
            by: ``"namespace"`` for what it did in each namespace, as a dict; those that nothing was done in are left
                out. Under None is what is counted of no namespace: those after the first 4,096, and a deletion, or a
                set of too large values, that concerned several at once.

        Raises:
            ValueError: ``by`` is something else.
            ClosedError: the cache is closed.
        """
        if self._closed:
            self._refuse_closed()
        if by is not None:
            if by != "namespace":
                raise ValueError(f'by is "namespace" or None, not {by!r}')
            return lifetime_by_namespace(self) if lifetime else stats_by_namespace(self)
        try:
            usage = self._store.usage()
        except StoreError as error:
            self._failsafe.failed("stats", error)
            usage = Usage(0, 0, 0, 0)
        stats = self._stats_with(usage)
        return with_lifetime(self, stats) if lifetime else stats

    @property
    def _lifetime(self) -> Lifetime:
        """What adds the counts to those in the backend, made when first used."""
        lifetime = self._its_lifetime
        if lifetime is None:
            from hitrate.lifetime import Lifetime

            with a_few_lines:  # `vars(self)` would do without, and make all that is read of this object slower (3.11)
                lifetime = self._its_lifetime = self._its_lifetime or Lifetime(self)
        return lifetime

    def _counts_by_name(self) -> dict[Any, Counts]:
        return self._counters.by_name()

    def _name_of(self, namespace: Namespace) -> Any:
        """Return a namespace as the store has it."""
        return self._codec.namespaces([namespace])[0]

    def _encoded_name(self, name: Any) -> bytes:
        """Return the encoding of a namespace as the store has it."""
        return name if isinstance(name, bytes) else encode_namespace(name)

    def _count_in(self, namespace: Namespace) -> int | None:
        """Return how many entries a namespace holds; None if the store does not list what it holds."""
        try:
            return sum(each.namespace == namespace for each in self.entries(under=namespace))
        except NotImplementedError:
            return None

    def _stats_with(self, usage: Usage) -> CacheStats:
        return stats_with(self, usage)

    def _hits_by_tier(self, stats: CacheStats) -> dict[str, int]:
        """Return where the hits were found: of a cache of one tier all in the same, which has no name."""
        return {"": stats.hits}

    def close(self) -> None:
        """Close the cache; what was acknowledged stays stored. Calling it again does nothing."""
        if not self._closed:
            self._closed = True
            if self._its_lifetime is not None:
                self._lifetime.end()
            self._store.close()

    def __del__(self) -> None:
        lifetime = getattr(self, "_its_lifetime", None)  # which it has not if its constructor raised
        if lifetime is not None and not self._closed:
            lifetime.outlive(self)

    async def aclose(self) -> None:
        """Asynchronously close the cache; as ``close``."""
        if not self._closed:
            self._closed = True
            if self._its_lifetime is not None:
                from asyncio import to_thread

                await to_thread(self._lifetime.end)
            await self._store.aclose()

    def _refuse_closed(self) -> None:
        raise ClosedError(f"this {type(self).__name__} is closed; open another one")

    def __bool__(self) -> bool:
        """Return True, whatever the cache holds: LangGraph takes a falsy cache for none."""
        return True

    def __repr__(self) -> str:
        """Return what and where it is: ``SqliteCache(path='cache.db')``."""
        try:
            return f"{type(self).__name__}({', '.join(self._described())})"
        except Exception:  # the constructor raised
            return f"<{type(self).__name__}, not opened>"

    def _described(self) -> Iterator[str]:
        if said := self._store.described():
            yield said
        if self._closed:
            yield "closed"

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled."""
        raise TypeError(
            f"{type(self).__name__} is neither copied nor pickled, for its connections, threads and locks belong to "
            f"this process: open it in each process, and pass the same cache around within one"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()


def _check_parts(serde: object, clock: object) -> None:
    if serde is not None and (isinstance(serde, type) or not isinstance(serde, SerializerProtocol)):
        raise TypeError(
            f"serde is an object with dumps_typed and loads_typed, such as MsgpackSerializer(), not {described(serde)}"
        )
    if not callable(clock):
        raise TypeError(f"clock is a function that returns the seconds since the epoch, not {described(clock)}")
    refuse_coroutine_function("clock", clock)


def _tell_counts(ref: weakref.ref[OpenCache[Any]]) -> None:
    """Begin to add a cache's counts to those in its backend, if the cache is still there."""
    cache = ref()
    if cache is not None:
        cache._lifetime.begin()
