"""What a cached function is to type checkers; what runs is in ``wrapper.py`` and ``function.py``.

One class stands for functions and coroutine functions, whose results are coroutines: a decorator with an overload for
each would lose the type variables of generic functions, and take what returns ``Any`` for a coroutine function.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Never, ParamSpec, Protocol, TypeVar, overload

from hitrate.base import FullKey, Namespace
from hitrate.stats import CacheInfo

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Self = TypeVar("Self")


class _Anything:
    """A type that only parameters without a type of their own take, and those that take any object."""


class CachedFunction(Generic[P, R_co]):
    """A function that is called once for equal arguments, and whose results come from a cache from then on.

    Of a coroutine function all calls but ``key_for`` and ``cache_info`` are coroutines.

    Attributes:
        namespace: where its entries are.
    """

    if TYPE_CHECKING:
        __name__: str
        __qualname__: str

    @property
    def namespace(self) -> Namespace:
        """Where its entries are."""
        raise NotImplementedError

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself, which computes with each call."""
        raise NotImplementedError

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the result for these arguments, from the cache or by calling the function."""
        raise NotImplementedError

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> FullKey:
        """Return the full key under which the result of a call is kept.

        Raises:
            TypeError: the function does not take these arguments, or one of them cannot be part of a key.
        """
        raise NotImplementedError

    def cache_info(self) -> CacheInfo:
        """Return what ``functools.lru_cache`` has there: hits, misses, maxsize and currsize.

        Hits and misses are those of calls in this process, also before a ``clear``. ``currsize`` are entries of this
        function in the cache, those of other processes included; a server or file is asked for them, and a store that
        does not list what it holds leaves it None. It is no coroutine, whatever the function.

        Raises:
            ClosedError: the cache is closed.
        """
        raise NotImplementedError

    # The first overload of each is for functions that return Any, which is the only result, but for no result at all,
    # that passes for a Never. Without it they would pass for coroutine functions.

    @overload
    def get(self: CachedFunction[P, Never], *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def get(
        self: CachedFunction[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R | None]: ...
    @overload
    def get(self, *args: P.args, **kwargs: P.kwargs) -> R_co | None: ...
    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result for these arguments if it is in the cache, else None; the function is not called."""
        raise NotImplementedError

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function for these arguments, store its result and return it."""
        raise NotImplementedError

    @overload
    def invalidate(  # type: ignore[overload-overlap]
        self: CachedFunction[P, Never],  # pyright: ignore[reportOverlappingOverload]
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> bool: ...
    @overload
    def invalidate(  # type: ignore[overload-overlap]
        self: CachedFunction[P, Coroutine[Any, Any, Any]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, bool]: ...
    @overload
    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    def invalidate(self, *args: Any, **kwargs: Any) -> Any:
        """Remove the result for these arguments; tell whether there was one. What is being computed is not stored."""
        raise NotImplementedError

    @overload
    def clear(self: CachedFunction[P, Never]) -> None: ...  # type: ignore[overload-overlap]
    @overload
    def clear(self: CachedFunction[P, Coroutine[Any, Any, Any]]) -> Coroutine[Any, Any, None]: ...  # type: ignore[overload-overlap]
    @overload
    def clear(self) -> None: ...
    def clear(self) -> Any:
        """Remove all results of this function."""
        raise NotImplementedError

    # Checkers look here for methods of objects and classes, and for static methods, too, and give no other sign of
    # what it is than the type of the first parameter. The first overload is for one that has none.

    @overload
    def __get__(  # type: ignore[misc]  # a cached function is such a callable
        self: Callable[Concatenate[_Anything, Q], R], instance: Any, owner: type[Any] | None = None
    ) -> CachedFunction[..., R]: ...
    @overload
    def __get__(  # type: ignore[misc]  # as above
        self: Callable[Concatenate[type[Self], Q], R], instance: Self | None, owner: type[Self]
    ) -> CachedFunction[Q, R]: ...
    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> CachedFunction[P, R_co]: ...
    @overload
    def __get__(
        self: Callable[Concatenate[Self, Q], R], instance: Self, owner: type[Any] | None = None
    ) -> CachedFunction[Q, R]: ...
    @overload
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> CachedFunction[P, R_co]: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        """Return it as a method of an object or a class."""
        raise NotImplementedError


class Decorator(Protocol):
    """Makes a function a cached one."""

    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
