"""Cells of whole runs of graphs and agents."""

from __future__ import annotations

from bench.cells.base import Cell

_WHERE = {"memory": "in memory", "file": "SQLite", "redis": "Redis"}
_FACES = {"sync": "", "async": ", awaited"}


def agents() -> list[Cell]:
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
