"""What a serializer is: the documented two methods, and the optional pair that binds a value to its key."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class SerializerProtocol(Protocol):
    """Turns a value into a named encoding and bytes, and back.

    The protocol is LangGraph's, so its serializers fit here and ours fit there.
    """

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return ``(encoding, payload)`` for a value."""
        ...

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of an ``(encoding, payload)`` pair."""
        ...


@runtime_checkable
class BoundSerializer(SerializerProtocol, Protocol):
    """A serializer whose output is valid only for one full key (authenticated encryption).

    A cache calls these two instead of the plain pair. ``binding`` is an injective encoding of the namespace and key,
    and of the expiry, if the entry has one.
    """

    def dumps_bound(self, obj: Any, binding: bytes) -> tuple[str, bytes]:
        """Return ``(encoding, payload)`` for a value stored under the key of ``binding``."""
        ...

    def loads_bound(self, data: tuple[str, bytes], binding: bytes) -> Any:
        """Return the value of a pair that was stored under the key of ``binding``."""
        ...
