"""Caches as a graph is compiled with: ours, and LangGraph's own of the same place, in pairs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from bench.contenders.redis import socket_of_server

THEIRS = "LangGraph"

Opener = Callable[[Path], AbstractContextManager[Any]]
"""Opens a new cache, whose files go into the folder, or whose keys begin with its name."""


def graph_caches(where: str, folder: Path) -> dict[str, Opener]:
    """Return what opens our cache and LangGraph's.

    Args:
        where: ``"memory"``, ``"file"`` or ``"redis"``.
        folder: for the server's socket.

    Raises:
        ImportError: one of them is not installed.
    """
    if where == "memory":
        return _in_memory()
    return _in_files() if where == "file" else _on_redis(folder)


def _in_memory() -> dict[str, Opener]:
    from langgraph.cache.memory import InMemoryCache as Theirs

    from hitrate.langgraph import InMemoryCache

    return {"hitrate": lambda folder: InMemoryCache[Any](), THEIRS: lambda folder: nullcontext(Theirs[Any]())}


def _in_files() -> dict[str, Opener]:
    from langgraph.cache.sqlite import SqliteCache as Theirs

    from hitrate.langgraph import SqliteCache

    return {
        "hitrate": lambda folder: SqliteCache[Any](path=folder / "cache.db"),
        THEIRS: lambda folder: nullcontext(Theirs[Any](path=str(folder / "cache.db"))),
    }


def _on_redis(folder: Path) -> dict[str, Opener]:
    from langgraph.cache.redis import RedisCache as Theirs
    from redis import Redis

    from hitrate.langgraph import RedisCache

    socket = socket_of_server(folder)
    client = Redis(unix_socket_path=socket)

    def theirs(own: Path) -> AbstractContextManager[Any]:
        return nullcontext(Theirs[Any](client, prefix=f"{own.name}:"))

    def ours(own: Path) -> AbstractContextManager[Any]:
        return closing(RedisCache[Any](f"unix://{socket}", prefix=f"{own.name}:"))

    return {"hitrate": ours, THEIRS: theirs}
