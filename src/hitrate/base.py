"""The documented contract: what every cache is, whatever stores its entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, SupportsFloat, TypeAlias

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from hitrate.serde import SerializerProtocol

    ValueT = TypeVar("ValueT", default=Any)
    """The type of a cache's values; of a cache that does not say, any."""
else:
    # ``typing`` takes a default from Python 3.13 on; only type checkers need it.
    from typing import TypeVar

    ValueT = TypeVar("ValueT")

TTL: TypeAlias = float | SupportsFloat | timedelta
"""A span of time: a number of seconds, NumPy's numbers included, or a timedelta."""

Namespace = tuple[str, ...]
FullKey = tuple[Namespace, str]


class BaseCache(ABC, Generic[ValueT]):
    """Base class for a cache.

    Args:
        serde: turns values into bytes and back; ``MsgpackSerializer`` when not given.
    """

    serde: SerializerProtocol

    def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
        """Initialize the cache with a serializer."""
        if serde is None:
            from hitrate.serde import default_serializer

            serde = default_serializer()
        self.serde = serde

    @abstractmethod
    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Get the cached values for the given keys."""

    @abstractmethod
    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Asynchronously get the cached values for the given keys."""

    @abstractmethod
    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Set the cached values for the given keys and TTLs."""

    @abstractmethod
    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Asynchronously set the cached values for the given keys and TTLs."""

    @abstractmethod
    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Delete the cached values for the given namespaces.

        If no namespaces are provided, clear all cached values.
        """

    @abstractmethod
    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Asynchronously delete the cached values for the given namespaces.

        If no namespaces are provided, clear all cached values.
        """
