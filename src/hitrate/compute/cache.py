"""A cache that computes what it does not hold, once for all who ask at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hitrate.base import TTL, FullKey, Namespace, ValueT
from hitrate.cache import Cache, _listed
from hitrate.keys import plain_keys

if TYPE_CHECKING:
    from hitrate.compute.computing import Computing
    from hitrate.stats import Counts


class ComputingCache(Cache[ValueT]):
    """A cache over a store that also computes; see ``Cache`` for the arguments.

    What is being computed for a key that is removed, or in a namespace that is cleared, meanwhile is not stored.
    """

    _computes: Computing | None = None

    _observers: tuple[Callable[[float, bool], None], ...] = ()
    """Called with the seconds that each computation took and whether it failed, on its thread; they must not raise."""

    _around: tuple[Callable[[Any], Any], ...] = ()
    """Called with the ``Work`` of each computation before it runs; each returns the work to run in its place."""

    def _fast_path(self, counts: Counts | None = None) -> Callable[[FullKey], Any] | None:
        """Return the fast path of a cached function's hit, from full key to value or ``_MISS``; None for ``get``."""
        return None

    # Computing

    def get_or_compute(
        self,
        key: FullKey,
        compute: Callable[[], ValueT],
        ttl: TTL | None = None,
        *,
        lease: TTL | None = None,
        stale: TTL | None = None,
        early: float | None = None,
    ) -> ValueT:
        """Get the value of a key, or compute and store it; of those who miss it at once, one computes for all.

        Whoever in this process asks for the key meanwhile, by threads or by tasks, waits and gets a copy of its own.
        What cannot be stored is returned all the same. When the cache fails, the function runs.

        Args:
            key: a full key.
            compute: returns the value. What it raises is raised to all who wait for it, and not stored; what is no
                ``Exception``, and LangGraph's control flow, to its own caller alone.
            ttl: seconds, or a timedelta, that the value stays fresh, as in ``set``.
            lease: seconds that other processes on the same backend wait for this one to compute; then the next one
                does. None if they need not wait.
            stale: seconds after its expiry that the old value is returned, while it is computed anew in the background.
            early: refresh in the background before the value expires, the likelier the longer it took to compute; 1.0
                is a good start (XFetch). None to wait for the expiry.

        Returns:
            The value.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: an argument is out of its range.
            ReentrancyError: ``compute`` asks for this very key.
            ClosedError: the cache is closed.
        """
        return self._computing.one(key, compute, self._terms(ttl, lease, stale, early))  # type: ignore[no-any-return]

    async def aget_or_compute(
        self,
        key: FullKey,
        compute: Callable[[], Awaitable[ValueT] | ValueT],
        ttl: TTL | None = None,
        *,
        lease: TTL | None = None,
        stale: TTL | None = None,
        early: float | None = None,
    ) -> ValueT:
        """Asynchronously get the value of a key, or compute and store it; as ``get_or_compute``.

        The function runs in a task of its own: a caller that is cancelled cancels nobody else, and the work goes on for
        as long as anyone waits for it.

        Args:
            key: a full key.
            compute: returns the value or an awaitable of it; called in the event loop.
            ttl: seconds, or a timedelta, that the value stays fresh, as in ``set``.
            lease: seconds that other processes wait for this one to compute.
            stale: seconds after its expiry that the old value is returned while it is refreshed.
            early: how eagerly it is refreshed before it expires.
        """
        return await self._computing.aone(key, compute, self._terms(ttl, lease, stale, early))  # type: ignore[no-any-return]

    def get_or_compute_many(
        self,
        keys: Sequence[FullKey],
        compute: Callable[[list[FullKey]], Mapping[FullKey, ValueT]],
        ttl: TTL | None = None,
        *,
        lease: TTL | None = None,
    ) -> dict[FullKey, ValueT]:
        """Get the values of keys, and compute those that are missing in one call, each key once.

        Args:
            keys: full keys, any number of them.
            compute: is given the missing keys that nobody else computes, and returns their values by key. What it
                leaves out is left out of the result, too, and not stored.
            ttl: seconds, or a timedelta, that the values stay fresh, as in ``set``.
            lease: seconds that other processes wait for this one to compute; as in ``get_or_compute``.

        Returns:
            The values by key, in the order asked.
        """
        return self._computing.many(_listed(keys), compute, self._terms(ttl, lease))

    async def aget_or_compute_many(
        self,
        keys: Sequence[FullKey],
        compute: Callable[[list[FullKey]], Awaitable[Mapping[FullKey, ValueT]] | Mapping[FullKey, ValueT]],
        ttl: TTL | None = None,
        *,
        lease: TTL | None = None,
    ) -> dict[FullKey, ValueT]:
        """Asynchronously get the values of keys, and compute those that are missing; as ``get_or_compute_many``.

        Args:
            keys: full keys, any number of them.
            compute: returns the values by key or an awaitable of them; called in the event loop.
            ttl: seconds, or a timedelta, that the values stay fresh, as in ``set``.
            lease: seconds that other processes wait for this one to compute.
        """
        return await self._computing.amany(_listed(keys), compute, self._terms(ttl, lease))

    def _terms(self, ttl: Any, lease: Any, stale: Any = None, early: Any = None) -> Any:
        from hitrate.compute.terms import PLAIN, agreed

        if ttl is lease is stale is early is None:
            return PLAIN
        return agreed(ttl=ttl, lease=lease, stale=stale, early=early)

    @property
    def _computing(self) -> Computing:
        """What computes, made when first used."""
        computing = self._computes
        if computing is None:
            from hitrate.compute.computing import Computing

            made = Computing(self)
            # One line without a call, see stores/memory/store.py: all threads get the same one. Not `vars(self)`,
            # which makes all that is read of this object slower (3.11).
            computing = self._computes = self._computes or made
        return computing

    # Removals: what was being computed when a key was removed must not be stored

    def _removing(self, keys: Sequence[FullKey]) -> None:
        if self._computes is not None:
            self._computes.flights.revoke(frozenset(plain_keys(keys)).__contains__)

    def _clearing(self, namespaces: Sequence[Namespace] | None) -> None:
        if self._computes is not None:
            self._computes.flights.revoke(_in_namespaces(namespaces))

    def _clearing_under(self, prefix: Namespace) -> None:
        if self._computes is not None:
            self._computes.flights.revoke(lambda key: key[0][: len(prefix)] == prefix)

    # The end

    def close(self) -> None:
        """Close the cache and end what it computes in the background; what was acknowledged stays stored.

        Calling it again does nothing.
        """
        if self._computes is not None:
            self._computes.close()
        super().close()

    async def aclose(self) -> None:
        """Asynchronously close the cache; as ``close``."""
        if self._computes is not None:
            await self._computes.aclose()
        await super().aclose()


def _in_namespaces(namespaces: Sequence[Namespace] | None) -> Callable[[FullKey], bool]:
    """Return a function that tells whether a key is in one of these namespaces, or in any for None."""
    if namespaces is None:
        return lambda key: True
    names = frozenset(tuple(map(str.__str__, namespace)) for namespace in namespaces)
    return lambda key: key[0] in names
