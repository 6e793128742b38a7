"""A cache for a compiled graph and all graphs in it: LangGraph gives a subgraph none of its parent's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from langgraph.cache.base import BaseCache
from langgraph.pregel import Pregel
from langgraph.pregel.protocol import PregelProtocol

from hitrate.langgraph.reaching import graphs_and_tasks_of

GraphT = TypeVar("GraphT", bound=Pregel[Any, Any, Any, Any])


def attach(graph: GraphT, cache: BaseCache[Any]) -> GraphT:
    """Give a compiled graph and all its subgraphs a cache: ``graph = attach(builder.compile(), InMemoryCache())``.

    The subgraphs are those that are nodes and those that the functions of nodes and their tasks reach: by a name, as
    an argument of a partial, as an attribute of the object whose method a node is. One that a node compiles when it
    runs is given its cache there. ``clear_cache`` and ``aclear_cache`` of the graph, and of what ``with_config`` makes
    of it, reach them all: with names of nodes those nodes wherever they are, without names all nodes, and all tasks
    that have a policy of their own.

    Args:
        graph: what ``compile`` returned; it is changed.
        cache: one of ``hitrate.langgraph``.

    Returns:
        The graph.

    Raises:
        TypeError: it is no compiled graph, or the cache is none.
    """
    if not isinstance(graph, Pregel):
        kind = type(graph).__name__
        if isinstance(graph, PregelProtocol):
            raise TypeError(
                f"a {kind} runs elsewhere, where its cache is: attach one there, to what it was compiled to"
            )
        raise TypeError(f"attach takes a compiled graph, not {graph!r} of type {kind}; call compile() first")
    if not isinstance(cache, BaseCache):
        raise TypeError(
            f"attach takes a cache for graphs, as hitrate.langgraph.InMemoryCache(), not {cache!r} of type "
            f"{type(cache).__module__}.{type(cache).__name__}"
        )
    graphs, _ = graphs_and_tasks_of(graph)
    for each in graphs:
        each.cache = cache
    if not hasattr(graph, "_clear_one"):
        graph.__class__ = _attached(type(graph))
    return graph


@lru_cache(None)
def _attached(cls: type[Any]) -> type[Any]:
    """Return a class of graphs whose ``clear_cache`` reaches subgraphs; ``with_config`` makes another of the class."""
    members = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "_clear_one": cls.clear_cache,
        "_aclear_one": cls.aclear_cache,
        "clear_cache": _clear_cache,
        "aclear_cache": _aclear_cache,
    }
    return type(cls.__name__, (cls,), members)


def _clear_cache(self: Any, nodes: Sequence[str] | None = None) -> None:
    """Clear the cache for the given nodes, of the graph and of its subgraphs; for all of them if none are given."""
    graphs, tasks = graphs_and_tasks_of(self)
    for each in graphs:
        if _concerns(each, nodes):
            getattr(type(each), "_clear_one", type(each).clear_cache)(each, nodes)
    for task in () if nodes else tasks:
        task.clear_cache(self.cache)


async def _aclear_cache(self: Any, nodes: Sequence[str] | None = None) -> None:
    """Asynchronously clear the cache for the given nodes; as ``clear_cache``."""
    graphs, tasks = graphs_and_tasks_of(self)
    for each in graphs:
        if _concerns(each, nodes):
            await getattr(type(each), "_aclear_one", type(each).aclear_cache)(each, nodes)
    for task in () if nodes else tasks:
        await task.aclear_cache(self.cache)


def _concerns(graph: Pregel[Any, Any, Any, Any], nodes: Sequence[str] | None) -> bool:
    return not nodes or any(node in graph.nodes for node in nodes)
