"""What a listing tells of an entry, and of a namespace."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from hitrate.base import Namespace


class EntryInfo(NamedTuple):
    """An entry as ``cache.entries()`` lists it. Its value was not decoded, and need not be one that can be.

    Attributes:
        namespace: its namespace.
        key: its key in that namespace.
        bytes: what it counts as in ``stats().bytes``: key, payload and overhead.
        created: when this value was stored, in seconds since the epoch; None where the cache does not keep it (on
            Redis), or it was stored by a hitrate that did not.
        expires: when it is gone, in seconds since the epoch; None for never. A value with ``stale=`` stops being fresh
            before that, and is listed until it is gone.
        seconds: the seconds that the value took to make, 0.0 if they are not known.
    """

    namespace: Namespace
    key: str
    bytes: int
    created: float | None
    expires: float | None
    seconds: float


class NamespaceInfo(tuple[str, ...]):
    """A namespace as ``cache.namespaces()`` lists it: the tuple itself, equal to it, and what it holds.

    So it can be given to ``clear``, ``entries`` and wherever else a namespace is asked for. It cannot be changed.

    Attributes:
        namespace: the namespace as a plain tuple.
        entries: how many entries it holds.
        bytes: what these count as in ``stats().bytes``.
        oldest: when the oldest value of them was stored, in seconds since the epoch; None if that is not known of any.
        newest: when the newest was, likewise.
    """

    namespace: Namespace
    entries: int
    bytes: int
    oldest: float | None
    newest: float | None

    def __new__(
        cls,
        namespace: Namespace,
        entries: int,
        bytes: int,
        oldest: float | None = None,
        newest: float | None = None,
    ) -> NamespaceInfo:
        """Return a namespace with what it holds."""
        self = super().__new__(cls, namespace)
        told = {"entries": entries, "bytes": bytes, "oldest": oldest, "newest": newest}
        self.__dict__.update(told, namespace=tuple(namespace))
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what makes a copy, for ``copy`` and ``pickle``."""
        return self.namespace, self.entries, self.bytes, self.oldest, self.newest

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a NamespaceInfo cannot be changed, and so not its {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a NamespaceInfo cannot be changed, and so not its {name!r}")

    def __repr__(self) -> str:
        told = ("namespace", "entries", "bytes", "oldest", "newest")
        return f"NamespaceInfo({', '.join(f'{name}={getattr(self, name)!r}' for name in told)})"
