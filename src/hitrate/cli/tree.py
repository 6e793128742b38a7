"""Namespaces as a tree: each with what is in it and below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hitrate.base import Namespace
from hitrate.cli.printing import is_plain, quoted
from hitrate.entry_info import NamespaceInfo
from hitrate.stats import NamespaceStats


@dataclass(eq=False)
class Row:
    """A line of the tree.

    Attributes:
        namespace: the whole namespace.
        entries: in it and below.
        bytes: likewise.
        oldest: when the oldest value of these was stored, None if that is not known.
        hits: in it and below, by all programs until now.
        seconds_saved: by these.
        own: what is in the namespace itself, None if that is nothing.
    """

    namespace: Namespace
    entries: int = 0
    bytes: int = 0
    oldest: float | None = None
    hits: int = 0
    seconds_saved: float = 0.0
    own: NamespaceInfo | None = None
    below: dict[str, Row] = field(default_factory=dict)

    def add(self, info: NamespaceInfo, did: NamespaceStats) -> None:
        """Count what a namespace at or below this line holds, and what was done in it."""
        self.hits += did.hits
        self.seconds_saved += did.seconds_saved
        self.entries += info.entries
        self.bytes += info.bytes
        if info.oldest is not None:
            self.oldest = info.oldest if self.oldest is None else min(self.oldest, info.oldest)

    @property
    def label(self) -> str:
        """The last part, indented; in quotes where it would not be told from a path."""
        if not self.namespace:
            return "(the empty namespace)"
        part = self.namespace[-1]
        plain = is_plain(part, '"') and "/" not in part and not part.startswith("[")
        return "  " * (len(self.namespace) - 1) + (part if plain else quoted(part))


_ORDERS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.namespace,
    "entries": lambda row: (-row.entries, row.namespace),
    "bytes": lambda row: (-row.bytes, row.namespace),
    "hits": lambda row: (-row.hits, row.namespace),
    "saved": lambda row: (-row.seconds_saved, row.namespace),
    "age": lambda row: (float("inf") if row.oldest is None else row.oldest, row.namespace),
}
SORTS = list(_ORDERS)


def tree_rows(
    namespaces: Iterable[NamespaceInfo], sort: str, did: Mapping[Namespace | None, NamespaceStats]
) -> list[Row]:
    """Return the lines of the tree, each before those below it; those that begin alike in the order of ``sort``."""
    nothing = NamespaceStats()
    root = Row(())
    for info in namespaces:
        row = root
        for depth, part in enumerate(info.namespace):
            row = row.below.setdefault(part, Row(info.namespace[: depth + 1]))
            row.add(info, did.get(info.namespace, nothing))
        row.own = info
    if root.own is not None:
        root.add(root.own, did.get((), nothing))
    rows = [root] if root.own is not None else []
    order = _ORDERS[sort]
    waiting = sorted(root.below.values(), key=order, reverse=True)
    while waiting:  # not recursive: a namespace may have any number of parts
        row = waiting.pop()
        rows.append(row)
        waiting += sorted(row.below.values(), key=order, reverse=True)
    return rows
