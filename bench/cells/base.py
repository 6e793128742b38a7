"""A cell of the report: what fills it, and what it is asked to reach."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

Score = Literal["faster", "smaller", "own", "share"]
"""How a cell is scored.

``faster``: another's number divided by ours, at least what is asked. ``smaller``: ours divided by another's, at most
what is asked. The other is LangGraph unless the cell says who. ``own``: our number as it is, at most what is asked.
``share``: our number as it is, at least what is asked.
"""


@dataclass(frozen=True)
class Cell:
    """One number of the report.

    Args:
        name: how it is chosen on the command line, and its key in the results.
        title: how the report calls it.
        asked: the floor, or the ceiling where less is better; None where nothing was asked.
        aim: what measured prototypes or the physics allow.
        experiment: what fills it, by name.
        what: the experiment's arguments. Cells with equal ones share a run.
        part: which of the experiment's parts.
        score: how it is scored.
        unit: of what each contender is shown with.
        against: whom it is scored against.
    """

    name: str
    title: str
    asked: float | None
    aim: float | None
    experiment: str
    what: dict[str, Any] = field(default_factory=dict)
    part: str = ""
    score: Score = "faster"
    unit: str = "µs"
    against: str = "LangGraph"

    @property
    def group(self) -> str:
        """The table that the cell belongs to."""
        groups = {
            "memory": "In memory",
            "sqlite": "SQLite file",
            "redis": "Redis",
            "postgres": "PostgreSQL",
            "tiered": "Tiers",
            "once": "Compute once",
            "agents": "Agents",
            "import": "Import",
            "keys": "Keys",
            "tails": "Tails",
            "eviction": "Eviction",
            "worth": "Eviction by worth",
        }
        return groups[self.name.split(".")[0]]


def call(
    name: str, title: str, asked: float | None, aim: float | None, where: str, op: str, payload: str, **more: Any
) -> Cell:
    return Cell(name, title, asked, aim, "calls", {"where": where, "op": op, "payload": payload, **more}, part=op)


TTL = 3600
"""Seconds that entries live in the cells with a TTL: none expires while it is measured."""


def with_ttl(cell: Cell, asked: float | None = None) -> Cell:
    """Return a cell's twin, whose entries have a TTL, and what is asked of it."""
    what = {**cell.what, "ttl": TTL}
    return replace(cell, name=f"{cell.name}.ttl", title=f"{cell.title}, with a TTL", asked=asked, aim=None, what=what)
