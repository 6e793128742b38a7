"""The cells of the report: what fills each, and what it is asked to reach."""

from __future__ import annotations

from bench.cells import agents, eviction, files, memory, once, servers, tails
from bench.cells.base import Cell, Score

__all__ = ["CELLS", "Cell", "Score", "choose"]

CELLS = {
    cell.name: cell
    for cell in (
        *(*memory.memory(), *files.sqlite(), *servers.redis(), *servers.postgres(), *servers.tiered()),
        *(*tails.tails(), *eviction.eviction()),
        *(*once.once(), *agents.agents(), *once.keys(), *once.imports()),
    )
}


def choose(words: list[str]) -> list[Cell]:
    """Return the cells of these names, and those whose name or title has one of the other words in it; all for none.

    Raises:
        ValueError: a word fits no cell.
    """
    for word in words:
        if not any(_fits(word, cell) for cell in CELLS.values()):
            raise ValueError(f"no cell is called anything like {word!r}; --list shows them all")
    return [cell for cell in CELLS.values() if not words or any(_fits(word, cell) for word in words)]


def _fits(word: str, cell: Cell) -> bool:
    if word in CELLS:
        return cell.name == word  # "memory.hit.D" is not its twins, too
    if word.endswith("."):
        return cell.name.startswith(word.lower())  # a section: "memory." is not "tails.memory."
    return word.lower() in cell.name.lower() or word.lower() in cell.title.lower()
