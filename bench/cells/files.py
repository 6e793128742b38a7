"""Cells of caches in a SQLite file."""

from __future__ import annotations

from typing import Any

from bench.cells.base import Cell, call, with_ttl


def _file(name: str, title: str, asked: float | None, aim: float | None, op: str, payload: str, **more: Any) -> Cell:
    return call(f"sqlite.{name}", title, asked, aim, "file", op, payload, **{"rows": 1000, **more})


def sqlite() -> list[Cell]:
    tasks = {"payload": "D", "tasks": 200}
    return [
        _file("hit.M", "one hit M", 2.5, 3.2, "hit", "M"),
        _file("hit.D", "one hit D", 1.6, 1.9, "hit", "D"),
        _file("hit.S", "one hit S", 1.6, 1.9, "hit", "S"),
        _file("miss", "one miss", 1.7, 2, "miss", "D"),
        _file("miss10", "10 misses", 10, 14, "miss", "D", batch=10),
        _file("hit10.D", "10 hits D", 4, 5, "hit", "D", batch=10),
        _file("hit100.D", "100 hits D", 1.25, 1.4, "hit", "D", batch=100),
        _file("hit100.M", "100 hits M", 2.5, 3.2, "hit", "M", batch=100),
        _file("set.D", "one set D, durability normal", 8, 13, "set", "D"),
        _file("set.D.full", "one set D, durability full", 0.95, 1.1, "set", "D", durability="full"),
        _file("set100.D", "100 sets D in one batch, durability normal", 1.5, 1.8, "set", "D", batch=100),
        _file("overwrite.D", "one set D over an old value, durability normal", None, None, "overwrite", "D"),
        *_with_ttl(),
        *_by_how_often_they_are_read(),
        Cell("sqlite.threads2", "2 threads, 90% reads", 3, 4, "threads", {"payload": "D", "threads": 2}, part="mix"),
        Cell("sqlite.threads8", "8 threads, 90% reads", 2, 3, "threads", {"payload": "D", "threads": 8}, part="mix"),
        Cell(
            "sqlite.processes4",
            "4 processes, 90% reads",
            5,
            12,
            "processes",
            {"payload": "D", "processes": 4},
            part="mix",
        ),
        Cell("sqlite.asyncio200", "200 asyncio tasks, an operation", 3.5, 6, "asyncio_tasks", tasks, part="operation"),
        Cell(
            "sqlite.asyncio200.block",
            "200 asyncio tasks, longest block of the loop",
            1,
            0.5,
            "asyncio_tasks",
            tasks,
            part="block",
            score="smaller",
        ),
        *_million(),
    ]


def _by_how_often_they_are_read() -> list[Cell]:
    """Return hits of few keys and of many, with the near tier and without; in the cells above, of 1,000 with it."""
    few = [
        _file("hit.D.16", "one hit D, one of 16", 3.5, None, "hit", "D", rows=16),
        _file("hit.M.16", "one hit M, one of 16", 4.5, None, "hit", "M", rows=16),
        _file("hit10.D.16", "10 hits D of 16", None, None, "hit", "D", rows=16, batch=10),
    ]
    return [
        *few,
        *(with_ttl(cell, cell.asked) for cell in few),
        _file("hit.D.100000", "one hit D, one of 100,000 at random", 1.6, None, "hit", "D", rows=100_000),
        *(
            _file(f"{name}.far", f"{title}, no near tier", asked, None, "hit", "D", near=False, **more)
            for name, title, asked, more in (
                ("hit.D", "one hit D", 1.6, {}),
                ("hit.D.100000", "one hit D, one of 100,000 at random", 1.6, {"rows": 100_000}),
                ("hit10.D", "10 hits D", 2.5, {"batch": 10}),
                ("hit100.D", "100 hits D", 1.25, {"batch": 100}),
            )
        ),
    ]


def _with_ttl() -> list[Cell]:
    return [
        with_ttl(_file("hit10.D", "10 hits D", None, None, "hit", "D", batch=10), 4),
        with_ttl(_file("hit100.D", "100 hits D", None, None, "hit", "D", batch=100), 1.2),
        with_ttl(_file("hit100.M", "100 hits M", None, None, "hit", "M", batch=100), 1.8),
        with_ttl(_file("set.D", "one set D, durability normal", None, None, "set", "D")),
        with_ttl(_file("set.D.full", "one set D, durability full", None, None, "set", "D", durability="full")),
        with_ttl(
            _file("set100.D", "100 sets D in one batch, durability normal", None, None, "set", "D", batch=100), 1.5
        ),
        with_ttl(_file("overwrite.D", "one set D over an old value, durability normal", None, None, "overwrite", "D")),
    ]


def _million() -> list[Cell]:
    what = {"payload": "R", "rows": 1_000_000}

    def cell(name: str, title: str, asked: float, aim: float, part: str, **more: Any) -> Cell:
        return Cell(
            f"sqlite.million.{name}", f"a million rows: {title}", asked, aim, "million", what, part=part, **more
        )

    return [
        cell("hit10", "10 hits", 2000, 3000, "hit10"),
        cell("hit", "one hit", 1.8, 2, "hit"),
        cell("new", "one new key", 8, 12, "new"),
        cell("clear", "clear of a namespace with 1% of them", 500, 1500, "clear"),
        cell("growth", "growth of one hit since ten thousand", 1.5, 1.2, "growth", score="own", unit="times"),
        cell("bytes", "bytes of an entry beyond its value", 110, 85, "bytes", score="own", unit="bytes"),
    ]
