"""Namespaces as a tree: what is in each and below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hitrate.base import Namespace
from hitrate.entry_info import EntryInfo


@dataclass(slots=True, eq=False)
class Sums:
    """What a namespace holds.

    Attributes:
        entries: how many.
        bytes: that they take.
        seconds: that it took to make them, and would take again.
        oldest: when the oldest of them was stored, None if that is not known.
    """

    entries: int = 0
    bytes: int = 0
    seconds: float = 0.0
    oldest: float | None = None

    def add(self, info: EntryInfo) -> None:
        """Count an entry."""
        self.entries += 1
        self.bytes += info.bytes
        self.seconds += info.seconds
        created = info.created
        if created is not None and (self.oldest is None or created < self.oldest):
            self.oldest = created

    def add_all(self, other: Sums) -> None:
        """Count what another namespace holds."""
        self.entries += other.entries
        self.bytes += other.bytes
        self.seconds += other.seconds
        if other.oldest is not None and (self.oldest is None or other.oldest < self.oldest):
            self.oldest = other.oldest

    def take_out(self, size: int, seconds: float) -> None:
        """Leave out an entry that was removed."""
        self.entries -= 1
        self.bytes -= size
        self.seconds -= seconds


class Branch(NamedTuple):
    """A namespace and those that begin with it, as one.

    Attributes:
        namespace: what they begin with.
        sums: what they hold together.
        own: how many entries are in that very namespace.
        below: how many longer namespaces there are.
    """

    namespace: Namespace
    sums: Sums
    own: int
    below: int


def branches(namespaces: Mapping[Namespace, Sums], under: Namespace, parts: int = 1) -> list[Branch]:
    """Return what there is under a namespace, by the next parts of each.

    Args:
        namespaces: all that hold something.
        under: what they are to begin with; what is in this very namespace is a branch of its own, and the first.
        parts: how many more parts tell branches apart.
    """
    depth = len(under)
    found: dict[Namespace, list[tuple[Namespace, Sums]]] = {}
    for namespace, sums in list(namespaces.items()):
        if sums.entries and namespace[:depth] == under:
            found.setdefault(namespace[: depth + parts], []).append((namespace, sums))
    told = []
    for namespace, longer in sorted(found.items()):
        together = Sums()
        for _, sums in longer:
            together.add_all(sums)
        own = sum(sums.entries for each, sums in longer if each == namespace)
        told.append(Branch(namespace, together, own, sum(each != namespace for each, _ in longer)))
    return told
