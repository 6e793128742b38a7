"""Cells of what is computed once, of keys and of imports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.cells.base import Cell

HANDFUL = 10
"""As many callers of some 20,000 as a handful is taken for."""


def _of_subclass(name: str, title: str, where: str) -> Cell:
    return Cell(name, title, 1.3, None, "subclasses", {"where": where}, part="hit", score="smaller", against="a str")


def once() -> list[Cell]:
    def beyond(where: str, face: str, title: str) -> Cell:
        name = f"once.beyond.{where}.{face}"
        return Cell(name, title, 1.5, None, "beyond", {"where": where}, part=face, score="own")

    def runs(name: str, title: str, **what: Any) -> Cell:
        return Cell(f"once.{name}", title, 1, None, "runs", what, part="runs", score="own", unit="runs")

    def early(name: str, title: str, asked: float | None) -> Cell:
        load = {"keys": 1000, "rate": 20.0, "seconds": 1.0}
        return Cell(
            f"once.{name}",
            title,
            asked,
            None,
            "early",
            load,
            part=title.rpartition(", ")[2],
            score="own",
            unit="callers",
        )

    hit = Cell("once.hit", "a hit through cached", 3, None, "memoised", part="hit", against="diskcache")
    beside = replace(hit, asked=2, score="smaller")
    return [
        hit,
        Cell("once.decoration", "to decorate a function", 1000, None, "decorations", part="decoration", score="own"),
        _of_subclass("once.subclass.memory", "a hit on a subclass of str, at one on a str", "memory"),
        _of_subclass("once.subclass.file", "SQLite: a hit on a subclass of str, at one on a str", "file"),
        replace(beside, name="once.hit.copy", title="a hit through cached, at cachebox's", against="cachebox"),
        replace(
            beside,
            name="once.hit.deepcopy",
            title="a hit through cached, at cachebox's with deep copies",
            against="cachebox, deep copies",
        ),
        beyond("memory", "sync", "a hit through cached, beyond key and get"),
        beyond("memory", "async", "an awaited hit through cached, beyond key and aget"),
        beyond("file", "sync", "SQLite: a hit through cached, beyond key and get"),
        beyond("file", "async", "SQLite: an awaited hit through cached, beyond key and aget"),
        runs("threads16", "16 threads cold on one key", by="threads", count=16),
        runs("threads1000", "1,000 threads cold on one key", by="threads", count=1000, who="hitrate"),
        runs("tasks10000", "10,000 tasks cold on one key", by="tasks", count=10_000),
        runs("processes.sqlite", "8 processes cold on one key, SQLite", by="processes", count=8, backend="sqlite"),
        runs("processes.redis", "8 processes cold on one key, Valkey", by="processes", count=8, backend="redis"),
        runs(
            "processes.postgres", "8 processes cold on one key, PostgreSQL", by="processes", count=8, backend="postgres"
        ),
        early("early", "1,000 keys expire under load: callers held up, early=1", HANDFUL),
        early("early.2", "1,000 keys expire under load: callers held up, early=2", HANDFUL),
        early("early.without", "1,000 keys expire under load: callers held up, without", None),
    ]


def imports() -> list[Cell]:
    package = {"hitrate": "import hitrate", "LangGraph": "import langgraph.cache.base"}
    caches = {
        "hitrate": "from hitrate import InMemoryCache, SqliteCache",
        "LangGraph": "from langgraph.cache.memory import InMemoryCache; from langgraph.cache.sqlite import SqliteCache",
    }
    return [
        Cell(
            "import.package",
            "import hitrate / langgraph.cache.base",
            10,
            None,
            "imports",
            {"statements": package},
            part="import",
        ),
        Cell(
            "import.caches", "import both cache classes", None, None, "imports", {"statements": caches}, part="import"
        ),
    ]


def keys() -> list[Cell]:
    def cell(arguments: str, title: str, asked: float | None) -> Cell:
        return Cell(f"keys.{arguments}", title, asked, None, "keys", {"arguments": arguments}, part="key")

    return [
        cell("state", "the key of a state with 20 messages", 1),
        cell("small", "the key of an int, a str and a small dict", None),
    ]
