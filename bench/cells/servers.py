"""Cells of caches on servers, and of tiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.cells.base import Cell, call, with_ttl
from bench.contenders.postgres import LIMIT as PSYCOPG
from bench.contenders.redis import LIMIT as SOCKET
from bench.contenders.tiers import ALONE

_FEW, _MANY = 16, 100_000
"""Entries that hits are drawn from, besides 1,000. A batch of 100 is drawn from no fewer."""


def _of_others(cell: Cell) -> list[Cell]:
    """Return a cell of hits, and its twins that are drawn from few and from many entries."""
    many = _drawn_from(cell, _MANY)
    return [cell, many] if "batch" in cell.what else [cell, _drawn_from(cell, _FEW), many]


def _drawn_from(cell: Cell, rows: int) -> Cell:
    what = {**cell.what, "rows": rows}
    return replace(cell, name=f"{cell.name}.{rows}", title=f"{cell.title}, of {rows:,}", what=what)


def redis() -> list[Cell]:
    reads = {"payload": "D", "tasks": 100, "rows": 1000}

    def cell(name: str, title: str, asked: float | None, op: str, payload: str, **more: Any) -> Cell:
        return call(f"redis.{name}", title, asked, None, "redis", op, payload, rows=1000, **more)

    def limit(name: str, title: str, asked: float, op: str, payload: str, **more: Any) -> Cell:
        return replace(cell(name, title, asked, op, payload, **more), against=SOCKET)

    return [
        *_of_others(cell("hit.D", "one hit D", 1.3, "hit", "D")),
        *_of_others(cell("hit.M", "one hit M", None, "hit", "M")),
        cell("miss", "one miss", None, "miss", "D"),
        cell("set.D", "one set D", 1.3, "set", "D"),
        with_ttl(cell("set.D", "one set D", None, "set", "D"), 1.3),
        cell("set100.D", "100 sets D in one batch", 2, "set", "D", batch=100),
        with_ttl(cell("set100.D", "100 sets D in one batch", None, "set", "D", batch=100), 2),
        *_of_others(cell("hit100.M", "100 hits M", 2.5, "hit", "M", batch=100)),
        *_of_others(cell("hit100.D", "100 hits D", None, "hit", "D", batch=100)),
        limit("limit.hit.D", "one hit D, against the limit", 0.6, "hit", "D"),
        limit("limit.hit100.D", "100 hits D, against the limit", 0.8, "hit", "D", batch=100),
        # Why three, and what is asked of PostgreSQL: docs/benchmarks.md.
        Cell("redis.aget100", "100 agets at once, a read", 3, None, "concurrent_reads", reads, part="operation"),
        Cell(
            "redis.aget100.block",
            "100 agets at once, longest block of the loop",
            0.25,
            None,
            "concurrent_reads",
            reads,
            part="block",
            score="smaller",
        ),
    ]


def postgres() -> list[Cell]:
    def cell(name: str, title: str, asked: float | None, op: str, **more: Any) -> Cell:
        made = call(f"postgres.{name}", title, asked, None, "postgres", op, "D", rows=1000, **more)
        return replace(made, against=PSYCOPG)

    return [
        *_of_others(cell("hit", "one hit D", 0.7, "hit")),
        *_of_others(cell("hit100", "100 hits D", 0.8, "hit", batch=100)),
        cell("set", "one set D", None, "set"),
        with_ttl(cell("set", "one set D", None, "set")),
        cell("set100", "100 sets D in one batch", 0.7, "set", batch=100),
        with_ttl(cell("set100", "100 sets D in one batch", None, "set", batch=100), 0.7),
        cell("overwrite", "one set D over an old value", None, "overwrite"),
        with_ttl(cell("overwrite", "one set D over an old value", None, "overwrite")),
        cell("miss", "one miss", None, "miss"),
    ]


def tiered() -> list[Cell]:
    def cell(payload: str, asked: float) -> Cell:
        made = call(f"tiered.hit.{payload}", f"one near hit {payload}", asked, None, "tiers", "hit", payload, rows=16)
        return replace(made, against=ALONE)

    return [cell("M", 4), cell("D", 3)]
