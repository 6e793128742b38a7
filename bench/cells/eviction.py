"""Cells of what eviction keeps: the hits in percent of all reads of a trace, or the seconds that hits save of all."""

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

_WORTH: dict[str, tuple[str, float]] = {
    "zipf-0.8": ("Zipf 0.8", 69.9),
    "zipf-1.0": ("Zipf 1.0", 79.9),
    "shifting": ("shifting set: new hot keys every 10,000", 73.7),
    "loop": ("a loop of 1,200", 96.2),
}
"""The same by worth; asked is a point less than what GDSF with a heap saves."""

_WHERE = {"memory": "in memory", "file": "SQLite"}


def eviction() -> list[Cell]:
    """Return a cell for each trace, in memory and in a file."""
    return [
        *(_cell(where, name) for where in _WHERE for name in _TRACES),
        *(_by_worth(where, name) for where in _WHERE for name in _WORTH),
    ]


def _cell(where: str, name: str) -> Cell:
    title, asked, aim = _TRACES[name]
    what = {"where": where, "trace": name}
    title = f"{_WHERE[where]}: {title}"
    return Cell(f"eviction.{where}.{name}", title, asked, aim, "eviction", what, "hits", "share", "%", "LRU")


def _by_worth(where: str, name: str) -> Cell:
    title, asked = _WORTH[name]
    what = {"where": where, "trace": name}
    return Cell(f"worth.{where}.{name}", f"{_WHERE[where]}: {title}", asked, None, "worth", what, "saved", "share", "%")
