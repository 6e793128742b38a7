"""Cells of what eviction keeps: the hits, in percent of all reads of a trace."""

from __future__ import annotations

from bench.cells.base import Cell

_TRACES: dict[str, tuple[str, float | None, float | None]] = {
    "zipf-0.8": ("Zipf 0.8", 52.5, None),
    "zipf-1.0": ("Zipf 1.0", 73.3, None),
    "zipf-1.2": ("Zipf 1.2", 88.5, None),
    "scans": ("Zipf 1.0 with scans", 61, None),
    "shifting": ("shifting set: new hot keys every 10,000", 61, 63.4),
    "recent": ("a new key, then one of the last 600", 35, 48),
    "half": ("half Zipf, half recent", 37.5, None),
    "loop": ("a loop of 1,200", None, 78.2),
}
"""By name: how the report calls it, the percent asked and, where that is more, within 2 points of the best peer."""

_WHERE = {"memory": "in memory", "file": "SQLite"}


def eviction() -> list[Cell]:
    """Return a cell for each trace, in memory and in a file."""
    return [_cell(where, name) for where in _WHERE for name in _TRACES]


def _cell(where: str, name: str) -> Cell:
    title, asked, aim = _TRACES[name]
    what = {"where": where, "trace": name}
    title = f"{_WHERE[where]}: {title}"
    return Cell(f"eviction.{where}.{name}", title, asked, aim, "eviction", what, "hits", "share", "%", "LRU")
