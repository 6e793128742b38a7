"""Functions whose results are cached."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from hitrate import runs
from hitrate.base import TTL, FullKey, Namespace
from hitrate.cache import _MISS
from hitrate.callables import refuse_coroutine_function, runs_as
from hitrate.compute.cache import ComputingCache
from hitrate.compute.call_keys import BoundClasses, ContentKeys, OwnKeys
from hitrate.compute.identity import identity_of, name_of, namespace_of, register_cached
from hitrate.compute.terms import Terms, agreed
from hitrate.compute.wrapper import FunctionWrapper
from hitrate.content.calls import stable_key
from hitrate.content.options import KeyOptions
from hitrate.stats import CacheInfo, Counts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hitrate.compute.protocol import Decorator
    from hitrate.content.parts import Part


class _Cached(FunctionWrapper):
    """What the two kinds of cached functions share."""

    __slots__ = (
        *("_cache", "_calls", "_classes", "_computing", "_counts", "_flights", "_hit", "_keys", "_looks_closer"),
        *("_remembered", "_terms"),
        "namespace",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        cache: ComputingCache[Any],
        namespace: Namespace,
        keys: ContentKeys | OwnKeys,
        terms: Terms,
    ) -> None:
        super().__init__(function)
        self.namespace = namespace
        self._cache = cache
        self._keys = keys
        self._calls = Counts()
        self._terms = terms._replace(counts=self._calls) if terms.looks_closer else terms
        self._computing = cache._computing
        self._flights = self._computing.flights
        self._looks_closer = terms.looks_closer
        self._remembered: dict[Any, FullKey] = getattr(keys, "remembered", {})
        self._counts = cache._counters.own(cache._name_of(namespace))
        self._hit = None if self._looks_closer else cache._fast_path(self._counts)
        self._classes = BoundClasses(self) if isinstance(keys, ContentKeys) else None

    def key_for(self, *args: Any, **kwargs: Any) -> FullKey:
        """Return the full key under which the result of a call is kept.

        Raises:
            TypeError: the function does not take these arguments, or one of them cannot be part of a key.
        """
        if args and isinstance(args[0], type) and self._classes is not None:
            args = (self._classes[args[0]], *args[1:])
        return self._keys(args, kwargs)

    def cache_info(self) -> CacheInfo:
        """Return how many calls were hits and misses in this process, how much the cache may hold, and what it holds.

        What it holds of this function is counted as ``cache.entries`` lists it: a server or file is asked.
        """
        calls, short = self._calls, self._counts
        limit = self._cache._store.limits[0]
        return CacheInfo(short.hits + calls.hits, calls.misses, limit, self._cache._count_in(self.namespace))

    def _explained(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[FullKey, tuple[Part, ...]]:
        """Return the full key of a call, and what it is made of."""
        if args and isinstance(args[0], type) and self._classes is not None:
            args = (self._classes[args[0]], *args[1:])
        return self._keys.explained(args, kwargs)

    def _to_compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
        return partial(self._function, *args, **kwargs)  # takes no frame, so recursion may go deeper


class _Function(_Cached):
    """A cached function."""

    __slots__ = ()

    def __call__(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # see FunctionWrapper.__call__
        """Return the result for these arguments, from the cache or by calling the function."""
        if self._hit is not None and not kwargs and not (runs.is_used and runs.is_particular()):
            try:
                # The same keys as in ContentKeys.__call__, without its map() for one and two arguments: that is a
                # quarter of the hit.
                if len(args) == 1:
                    full_key = self._remembered[args, type(args[0])]
                elif len(args) == 2:
                    full_key = self._remembered[args, type(args[0]), type(args[1])]
                else:
                    full_key = self._remembered[args, *map(type, args)]
                value = self._hit(full_key)
                if value is not _MISS:
                    return value
            except Exception:  # noqa: S110 - not remembered, or cannot be: a __hash__ may raise anything
                pass
        full_key = self.key_for(*args, **kwargs) if args and isinstance(args[0], type) else self._keys(args, kwargs)
        if self._looks_closer or (runs.is_used and runs.current_mode()):
            return self._computing.one(full_key, self._to_compute(args, kwargs), self._terms)
        seen = self._flights.landed  # Fast path: most calls end here, without what `one` does for stale values
        for value in self._cache.get((full_key,)).values():
            self._calls.hits += 1
            return value
        self._calls.misses += 1
        return self._computing.missed(full_key, self._to_compute(args, kwargs), self._terms, seen)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result for these arguments if it is in the cache, else None; the function is not called."""
        for value in self._cache.get([self.key_for(*args, **kwargs)]).values():
            return value
        return None

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function for these arguments, store its result and return it."""
        return self._computing.recompute(self.key_for(*args, **kwargs), self._to_compute(args, kwargs), self._terms)

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the result for these arguments; tell whether there was one. What is being computed is not stored."""
        return self._cache.delete([self.key_for(*args, **kwargs)]) > 0

    def clear(self) -> None:
        """Remove all results of this function."""
        self._cache.clear([self.namespace])


class _CoroutineFunction(_Cached):
    """A cached coroutine function."""

    __slots__ = ()

    async def __call__(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # see FunctionWrapper.__call__
        """Return the result for these arguments, from the cache or by running the function."""
        full_key = self.key_for(*args, **kwargs) if args and isinstance(args[0], type) else self._keys(args, kwargs)
        if self._looks_closer or (runs.is_used and runs.current_mode()):
            return await self._computing.aone(full_key, self._to_compute(args, kwargs), self._terms)
        seen = self._flights.landed  # Fast path, as above
        for value in (await self._cache.aget((full_key,))).values():
            self._calls.hits += 1
            return value
        self._calls.misses += 1
        return await self._computing.amissed(full_key, self._to_compute(args, kwargs), self._terms, seen)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result for these arguments if it is in the cache, else None; the function does not run."""
        for value in (await self._cache.aget([self.key_for(*args, **kwargs)])).values():
            return value
        return None

    async def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function for these arguments, store its result and return it."""
        return await self._computing.arecompute(
            self.key_for(*args, **kwargs), self._to_compute(args, kwargs), self._terms
        )

    async def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the result for these arguments; tell whether there was one. What is being computed is not stored."""
        return await self._cache.adelete([self.key_for(*args, **kwargs)]) > 0

    async def clear(self) -> None:
        """Remove all results of this function."""
        await self._cache.aclear([self.namespace])


register_cached(_Function, _CoroutineFunction)


def cached(
    cache: ComputingCache[Any],
    *,
    ttl: TTL | None = None,
    namespace: Namespace | None = None,
    key: Callable[..., str] = stable_key,
    version: str | int | None = None,
    ignore: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    scope: Any = None,
    cache_if: Callable[[Any], bool] | None = None,
    cache_errors: type[Exception] | tuple[type[Exception], ...] = (),
    error_ttl: TTL | None = None,
    lease: TTL | None = None,
    stale: TTL | None = None,
    early: float | None = None,
) -> Decorator:
    """Keep the results of a function in a cache: ``@cached(cache, ttl=3600)``.

    Calls with equal arguments run the function once, however many threads and tasks make them at the same time; the
    others wait for its result. Every caller gets a value of its own. A coroutine function becomes one again.

    The function that comes back has the signature, types and docstring of the one given, and ``get``, ``refresh``,
    ``invalidate``, ``clear``, ``key_for`` and ``cache_info``.

    Args:
        cache: a hitrate cache.
        ttl: seconds that a result stays fresh, as a number or a timedelta, as all that are in seconds here; None for
            ever, or for the cache's ``default_ttl``.
        namespace: where its entries are; the module and qualified name of the function when not given.
        key: called with the arguments of a call, returns a str; equal keys share a result. ``stable_key`` goes by the
            content of the arguments, their names and defaults.
        version: entries of another version are out of reach, and those of this one survive a change of the code, which
            counts otherwise; ``"source"`` shows the code's digest in the namespace.
        ignore: names of parameters, or fields within them, that do not count in the key, as for ``stable_key``:
            ``("self", "client")``; and of variables that the function closes over.
        only: names of the parameters, or fields, that count; all others do not.
        scope: what else counts, such as a tenant or a model. With it, or a ``namespace``, the function may close over
            what has no content to go by, such as a client.
        cache_if: is given a result and tells whether to store it.
        cache_errors: classes of exceptions that are stored, and raised again for equal calls.
        error_ttl: seconds that such an exception is kept.
        lease: seconds that other processes on the same backend wait for this one to run the function; then the next
            one does.
        stale: seconds after its expiry that an old result is returned, while the function runs in the background; it is
            also what is returned if the function then fails.
        early: run the function in the background before a result expires, the likelier the longer it takes; 1.0 is a
            good start (XFetch).

    Returns:
        A decorator.

    Raises:
        TypeError: an argument has the wrong type, the function is a generator, whose result is used up by the first
            who takes it, or it closes over what has no content that could tell it from others.
        ValueError: an argument is out of its range, or does not go with another.
    """
    if not isinstance(cache, ComputingCache):
        raise TypeError(
            f"cached takes a hitrate cache, as in @cached(cache), not {cache!r} of type {type(cache).__name__}"
        )
    terms = agreed(
        ttl=ttl,
        lease=lease,
        stale=stale,
        early=early,
        cache_if=cache_if,
        cache_errors=cache_errors,
        error_ttl=error_ttl,
    )
    if not callable(key):
        raise TypeError(f"key is a function of the arguments that returns a str; {key!r} cannot be called")
    refuse_coroutine_function("key", key)
    if key is not stable_key and (ignore or only is not None or scope is not None):
        raise TypeError("ignore, only and scope are for stable_key; a key function of your own says what counts")
    options = KeyOptions.of(ignore, only, scope)

    def decorate(function: Callable[..., Any]) -> Any:
        _check_function(function)
        where = namespace_of(function, namespace, version)
        keys: ContentKeys | OwnKeys
        if key is stable_key:
            is_named = namespace is not None or scope is not None
            identity = identity_of(function, version=version, ignore=options.ignore, is_lenient=is_named)
            keys = ContentKeys(function, where, options, identity)
        else:
            # In a namespace that the user chose, the user's key alone tells results apart.
            is_named = namespace is not None
            keys = OwnKeys(
                function, where, key, None if is_named else identity_of(function, version=version, is_lenient=True)
            )
        kind = _CoroutineFunction if runs_as(function, inspect.iscoroutinefunction) else _Function
        return kind(function, cache, where, keys, terms)

    return decorate


def _check_function(function: Any) -> None:
    if isinstance(function, (classmethod, staticmethod, property, cached_property)):
        name = type(function).__name__
        raise TypeError(
            f"cached decorates a function, not a {name}: write @{name} above @cached(...), so that cached is given the "
            f"function"
        )
    if not callable(function):
        advice = ": write @tool, or what else makes it, above @cached(...)" if hasattr(function, "invoke") else ""
        raise TypeError(f"cached decorates a function, not {function!r} of type {type(function).__name__}{advice}")
    if runs_as(function, inspect.isgeneratorfunction) or runs_as(function, inspect.isasyncgenfunction):
        name = ".".join(name_of(function)) if hasattr(function, "__qualname__") else repr(function)
        raise TypeError(
            f"{name} is a generator, whose items are used up by the first who takes them; "
            f"cache a function that returns a list of them"
        )
