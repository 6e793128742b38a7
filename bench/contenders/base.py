"""What an experiment asks of a contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from bench.payloads import FullKey, Payload

Calls = tuple[Callable[[Any], Any], Sequence[Any]]
"""A function and the arguments to call it with, one after the other.

The arguments are in the contender's own terms and made before the clock starts, so that the loop that is timed is the
same for all, and none pays for an adapter.
"""


Durability = Literal["normal", "full"]
"""SQLite's synchronous=NORMAL or FULL, in WAL mode: what a power cut may take with it."""

TUPLES = "gives the tuples of M back as lists"
"""What LangGraph's caches have in common."""


@dataclass(frozen=True)
class Terms:
    """What a contender stores entries under, as far as it has the choice.

    Args:
        ttl: seconds that entries live, None for ever.
        max_entries: entries held at most, None for no limit.
        max_bytes: bytes held at most, None for the contender's default.
        near: whether copies may be held in memory, by a contender that keeps them beside a file.
    """

    ttl: int | None = None
    max_entries: int | None = None
    max_bytes: int | None = None
    near: bool = True


class Missing(Exception):
    """A contender that is not installed, or not there yet."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"{name} cannot be opened: {error!r}")
        self.name = name


class Contender(ABC):
    """A cache, or what stands for the limit of one.

    Args:
        payload: the kind of values, for contenders that have no serializer of their own.
        folder: an empty folder, for contenders that keep files.
        durability: ``"normal"`` or ``"full"``, for contenders that have the choice.
        terms: the TTL of entries and the limits, for contenders that have them.
    """

    name: ClassVar[str]
    note: ClassVar[str] = ""
    """What a reader must know to compare."""

    def __init__(
        self,
        *,
        payload: Payload,
        folder: Path | None = None,
        durability: Durability = "normal",
        terms: Terms = Terms(),
    ) -> None:
        self.payload = payload
        self.folder = folder
        self.durability = durability
        self.terms = terms
        self.open()

    @abstractmethod
    def open(self) -> None:
        """Open, or open again after ``close``."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and memory."""

    @abstractmethod
    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        """Return what reads each batch."""

    @abstractmethod
    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        """Return what stores each batch, for the TTL of the terms where the contender has one."""

    @abstractmethod
    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        """Return what is stored for some keys: to check a contender, not to measure it."""

    def agets(self, batches: Sequence[list[FullKey]]) -> Calls:
        """Return what reads each batch and has to be awaited."""
        raise NotImplementedError

    def asets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        """Return what stores each batch and has to be awaited."""
        raise NotImplementedError

    def clears(self, namespaces: Sequence[tuple[str, ...]]) -> Calls:
        """Return what removes all entries of each namespace."""
        raise NotImplementedError

    def store(self, batch: dict[FullKey, Any]) -> None:
        """Store a batch: to fill a contender, not to measure it."""
        call, [argument] = self.sets([batch])
        call(argument)


class Documented(Contender):
    """The caching API of LangGraph's reference, which hitrate has too."""

    cache: Any

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        return self.cache.get, batches

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        return self.cache.set, [self._with_ttl(batch) for batch in batches]

    def agets(self, batches: Sequence[list[FullKey]]) -> Calls:
        return self.cache.aget, batches

    def asets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        return self.cache.aset, [self._with_ttl(batch) for batch in batches]

    def clears(self, namespaces: Sequence[tuple[str, ...]]) -> Calls:
        return self.cache.clear, [[namespace] for namespace in namespaces]

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        found: dict[FullKey, Any] = self.cache.get(keys)
        return found

    def _with_ttl(self, batch: dict[FullKey, Any]) -> dict[FullKey, tuple[Any, int | None]]:
        ttl = self.terms.ttl
        return {key: (value, ttl) for key, value in batch.items()}


def single(batches: Sequence[Any]) -> bool:
    """Tell whether every batch is one entry, for which most libraries have a shorter way."""
    return all(len(batch) == 1 for batch in batches)
