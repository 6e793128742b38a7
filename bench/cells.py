"""The cells of the report: what fills each, and what it is asked to reach."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.contenders.postgres import LIMIT as PSYCOPG
from bench.contenders.redis import LIMIT as SOCKET
from bench.contenders.tiers import ALONE

Score = Literal["faster", "smaller", "own"]
"""How a cell is scored.

``faster``: another's number divided by ours, at least what is asked. ``smaller``: ours divided by another's, at most
what is asked. The other is LangGraph unless the cell says who. ``own``: our number as it is, at most what is asked.
"""


HANDFUL = 10
"""As many callers of some 20,000 as a handful is taken for."""


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
        }
        return groups[self.name.split(".")[0]]


def _call(
    name: str, title: str, asked: float | None, aim: float | None, where: str, op: str, payload: str, **more: Any
) -> Cell:
    return Cell(name, title, asked, aim, "calls", {"where": where, "op": op, "payload": payload, **more}, part=op)


def _memory() -> list[Cell]:
    hits = {"M": (4, 7), "D": (1.35, 1.45), "S": (5, 8), "F": (8, 12)}
    sets = {"M": (2, 2.5), "D": (1.5, 1.8), "S": (4, 6), "F": (1, 1.15)}

    def cell(op: str, title: str, payload: str, asked: float | None = None, aim: float | None = None) -> Cell:
        return _call(f"memory.{op}.{payload}", title, asked, aim, "memory", op, payload, rows=16)

    def many(payload: str) -> Cell:
        title = f"one hit {payload}, one of 1,000 at random"
        return _call(f"memory.hit.{payload}.1000", title, None, None, "memory", "hit", payload, rows=1000)

    return [
        *(cell("hit", f"one hit {kind}", kind, *goals) for kind, goals in hits.items()),
        *(cell("set", f"one set {kind}", kind, *goals) for kind, goals in sets.items()),
        _call("memory.miss", "one miss", 2.5, 4, "memory", "miss", "D", rows=1000),
        *(many(kind) for kind in "MDSF"),
        *(cell(when, f"the {when} hit {kind} after its set", kind) for kind in "MDSF" for when in ("first", "second")),
        *(cell("overwrite", f"one set {kind} over an old value", kind) for kind in "MDSF"),
        Cell(
            "memory.bytes",
            "a million small entries (R), bytes of each",
            1.5,
            1,
            "footprint",
            {"payload": "R", "rows": 1_000_000},
            part="bytes",
            score="smaller",
            unit="bytes",
        ),
    ]


def _file(name: str, title: str, asked: float | None, aim: float | None, op: str, payload: str, **more: Any) -> Cell:
    return _call(f"sqlite.{name}", title, asked, aim, "file", op, payload, rows=1000, **more)


def _sqlite() -> list[Cell]:
    tasks = {"payload": "D", "tasks": 200}
    return [
        _file("hit.M", "one hit M", 2.5, 3.2, "hit", "M"),
        _file("hit.D", "one hit D", 1.6, 1.9, "hit", "D"),
        _file("hit.S", "one hit S", 1.6, 1.9, "hit", "S"),
        _file("miss", "one miss", 1.7, 2, "miss", "D"),
        _file("miss10", "10 misses", 10, 14, "miss", "D", batch=10),
        _file("hit10.D", "10 hits D", 2.5, 3, "hit", "D", batch=10),
        _file("hit100.D", "100 hits D", 1.25, 1.4, "hit", "D", batch=100),
        _file("hit100.M", "100 hits M", 2.5, 3.2, "hit", "M", batch=100),
        _file("set.D", "one set D, durability normal", 8, 13, "set", "D"),
        _file("set.D.full", "one set D, durability full", 0.95, 1.1, "set", "D", durability="full"),
        _file("set100.D", "100 sets D in one batch, durability normal", 1.5, 1.8, "set", "D", batch=100),
        _file("overwrite.D", "one set D over an old value, durability normal", None, None, "overwrite", "D"),
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


def _redis() -> list[Cell]:
    reads = {"payload": "D", "tasks": 100, "rows": 1000}

    def cell(name: str, title: str, asked: float | None, op: str, payload: str, **more: Any) -> Cell:
        return _call(f"redis.{name}", title, asked, None, "redis", op, payload, rows=1000, **more)

    def limit(name: str, title: str, asked: float, op: str, payload: str, **more: Any) -> Cell:
        return replace(cell(name, title, asked, op, payload, **more), against=SOCKET)

    return [
        cell("hit.D", "one hit D", 1.3, "hit", "D"),
        cell("hit.M", "one hit M", None, "hit", "M"),
        cell("miss", "one miss", None, "miss", "D"),
        cell("set.D", "one set D", 1.3, "set", "D"),
        cell("set100.D", "100 sets D in one batch", 2, "set", "D", batch=100),
        cell("hit100.M", "100 hits M", 2.5, "hit", "M", batch=100),
        cell("hit100.D", "100 hits D", None, "hit", "D", batch=100),
        limit("limit.hit.D", "one hit D, against the limit", 0.6, "hit", "D"),
        limit("limit.hit100.D", "100 hits D, against the limit", 0.8, "hit", "D", batch=100),
        Cell("redis.aget100", "100 agets at once, a read", 4, None, "concurrent_reads", reads, part="operation"),
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


def _postgres() -> list[Cell]:
    def cell(name: str, title: str, asked: float | None, op: str, **more: Any) -> Cell:
        made = _call(f"postgres.{name}", title, asked, None, "postgres", op, "D", rows=1000, **more)
        return replace(made, against=PSYCOPG)

    return [
        cell("hit", "one hit D", 0.7, "hit"),
        cell("hit100", "100 hits D", 0.85, "hit", batch=100),
        cell("set", "one set D", None, "set"),
        cell("set100", "100 sets D in one batch", 0.85, "set", batch=100),
        cell("overwrite", "one set D over an old value", None, "overwrite"),
        cell("miss", "one miss", None, "miss"),
    ]


def _tiered() -> list[Cell]:
    def cell(payload: str, asked: float) -> Cell:
        made = _call(f"tiered.hit.{payload}", f"one near hit {payload}", asked, None, "tiers", "hit", payload, rows=16)
        return replace(made, against=ALONE)

    return [cell("M", 4), cell("D", 3)]


def _of_subclass(name: str, title: str, where: str) -> Cell:
    return Cell(name, title, 1.3, None, "subclasses", {"where": where}, part="hit", score="smaller", against="a str")


def _once() -> list[Cell]:
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


_WHERE = {"memory": "in memory", "file": "SQLite", "redis": "Redis"}
_FACES = {"sync": "", "async": ", awaited"}


def _agents() -> list[Cell]:
    return [
        *(cell for where in _WHERE for kind in _PARALLEL for face in _FACES for cell in _parallel(where, kind, face)),
        _of_400("file", 5),
        _of_400("redis", 10),
        *(cell for where in _WHERE for face in _FACES for cell in _agent(where, face)),
        *(cell for where in _WHERE for face in _FACES for cell in _middleware_hits(where, face)),
        *(cell for where in _STORES for face in _FACES for cell in _embedded(where, face)),
    ]


_PARALLEL = {"sends": "a fan-out of 200 Sends", "tasks": "200 parallel tasks"}


def _parallel(where: str, kind: str, face: str) -> list[Cell]:
    what = {"where": where, "kind": kind, "awaited": face == "async", "tasks": 200}

    def cell(part: str) -> Cell:
        # LangGraph asks again for all tasks whenever a read of its cache waits, as only one that is awaited can.
        squared = (where, kind, face, part) == ("file", "tasks", "async", "warm")
        title = f"{_WHERE[where]}: {_PARALLEL[kind]}, {part}{_FACES[face]}"
        name = f"agents.{kind}.{where}.{part}.{face}"
        return Cell(name, title, 20 if squared else 1, None, "parallel", what, part=part, unit="ms")

    return [cell("cold"), cell("warm")]


def _of_400(where: str, asked: float) -> Cell:
    what = {"where": where, "kind": "tasks", "awaited": True, "tasks": 400, "beside_memory": True}
    return Cell(
        f"agents.tasks400.{where}",
        f"{_WHERE[where]}: 400 parallel tasks, warm, awaited, at those in memory",
        *(asked, None, "parallel", what, "warm", "smaller", "ms"),
        against="hitrate in memory",
    )


def _agent(where: str, face: str) -> list[Cell]:
    what = {"where": where, "awaited": face == "async"}

    def cell(part: str) -> Cell:
        title = f"{_WHERE[where]}: an agent of 10 model and 20 tool calls, {part}{_FACES[face]}"
        name = f"agents.agent.{where}.{part}.{face}"
        return Cell(name, title, 1, None, "agent", what, part=part, unit="ms", against="LangChain's LLM cache")

    return [cell("cold"), cell("warm")]


def _middleware_hits(where: str, face: str) -> list[Cell]:
    what = {"where": where, "awaited": face == "async"}

    def cell(part: str) -> Cell:
        title = f"{_WHERE[where]}: a hit of a {part} call, beyond the agent without a {part}{_FACES[face]}"
        return Cell(f"agents.hit.{where}.{part}.{face}", title, 150, None, "middleware_hits", what, part, "own")

    return [cell("model"), cell("tool")]


_STORES = {
    "file": "SQLite beside LangChain's LocalFileStore",
    "memory": "in memory beside LangChain's InMemoryByteStore",
    "redis": "Redis beside langchain-community's RedisStore",
}


def _embedded(where: str, face: str) -> list[Cell]:
    what = {"where": where, "awaited": face == "async"}

    def cell(part: str) -> Cell:
        title = f"1,000 texts embedded, {part}{_FACES[face]}, {_STORES[where]}"
        name = f"agents.embedded.{where}.{part}" + (".async" if face == "async" else "")
        return Cell(name, title, 1, None, "embedded", what, part=part, unit="ms", against="CacheBackedEmbeddings")

    return [cell("cold"), cell("warm")]


def _imports() -> list[Cell]:
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


def _keys() -> list[Cell]:
    def cell(arguments: str, title: str, asked: float | None) -> Cell:
        return Cell(f"keys.{arguments}", title, asked, None, "keys", {"arguments": arguments}, part="key")

    return [
        cell("state", "the key of a state with 20 messages", 1),
        cell("small", "the key of an int, a str and a small dict", None),
    ]


CELLS = {
    cell.name: cell
    for cell in (
        *(*_memory(), *_sqlite(), *_redis(), *_postgres(), *_tiered()),
        *(*_once(), *_agents(), *_keys(), *_imports()),
    )
}


def choose(words: list[str]) -> list[Cell]:
    """Return the cells whose name or title has one of the words in it, all of them if there are none.

    Raises:
        ValueError: a word fits no cell.
    """
    for word in words:
        if not any(_fits(word, cell) for cell in CELLS.values()):
            raise ValueError(f"no cell is called anything like {word!r}; --list shows them all")
    return [cell for cell in CELLS.values() if not words or any(_fits(word, cell) for word in words)]


def _fits(word: str, cell: Cell) -> bool:
    return word.lower() in cell.name.lower() or word.lower() in cell.title.lower()
