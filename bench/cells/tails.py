"""Cells of the slowest calls."""

from __future__ import annotations

from bench.cells.base import Cell

_Bounds = dict[str, tuple[float, float | None]]

_SITUATIONS: dict[str, tuple[str, str, str, _Bounds]] = {
    "memory.steady": ("memory", "steady", "in memory: steady sets", {}),
    "memory.limit": ("memory", "limit", "in memory: sets of new keys at max_entries", {"worst": (30, 5)}),
    "memory.due": ("memory", "due", "in memory: sets while 300,000 entries fall due", {"worst": (20, 5)}),
    "memory.clearing": ("memory", "clearing", "in memory: sets while a million are cleared", {}),
    "file.steady": ("file", "steady", "SQLite: steady sets", {"p99.9": (5, 2), "worst": (50, 20)}),
    "file.limit": (
        "file",
        "limit",
        "SQLite: sets of new keys at max_entries",
        {"p50": (0.05, 0.04), "p99.9": (10, 5)},
    ),
    "file.clearing": ("file", "clearing", "SQLite: sets while a million are cleared", {"p99.9": (10, 5)}),
}
"""By name: where, what happens, how the report calls it, and the milliseconds asked and aimed at."""


def tails() -> list[Cell]:
    """Return the cells: four percentiles of each situation, and the worst of what is done once."""
    return [
        *(cell for name in _SITUATIONS for cell in _percentiles(name)),
        _cell(
            "memory.due.until",
            "in memory: sets until 300,000 due entries are gone",
            "memory",
            "due",
            "until",
            4686,
            unit="sets",
        ),
        _cell("memory.clear", "in memory: clear of a tenth of a million, worst", "memory", "clear", "worst", 5, 1),
        _cell("file.first", "SQLite: the first set at max_entries", "file", "limit", "first", 20, 5),
        _cell("file.stats", "SQLite: stats() while cleared rows wait, worst", "file", "clearing", "stats", 5, 1),
        *(_loop(where) for where in _LOOPS),
    ]


def _percentiles(name: str) -> list[Cell]:
    where, what, title, bounds = _SITUATIONS[name]
    return [
        _cell(f"{name}.{part}", f"{title}, {part}", where, what, part, *bounds.get(part, (None, None)))
        for part in ("p50", "p99", "p99.9", "worst")
    ]


def _cell(
    name: str,
    title: str,
    where: str,
    situation: str,
    part: str,
    asked: float | None = None,
    aim: float | None = None,
    unit: str = "ms",
) -> Cell:
    what = {"where": where, "situation": situation}
    return Cell(f"tails.{name}", title, asked, aim, "tails", what, part, "own", unit)


_LOOPS = {"memory": "in memory", "file": "SQLite", "redis": "Redis", "postgres": "PostgreSQL"}


def _loop(where: str) -> Cell:
    title = f"{_LOOPS[where]}: 200 asyncio tasks, longest block of the loop"
    # In a file it is the run of `sqlite.asyncio200`.
    what: dict[str, object] = {"payload": "D", "tasks": 200, **({} if where == "file" else {"where": where})}
    return Cell(f"tails.loop.{where}", title, 10_000, 3_000, "asyncio_tasks", what, "block", "own")
