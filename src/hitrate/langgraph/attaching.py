"""A cache for a compiled graph and all graphs in it: LangGraph gives a subgraph none of its parent's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from langgraph.cache.base import BaseCache
from langgraph.pregel import Pregel

GraphT = TypeVar("GraphT", bound=Pregel[Any, Any, Any, Any])


def attach(graph: GraphT, cache: BaseCache[Any]) -> GraphT:
    """Give a compiled graph and all its subgraphs a cache: ``graph = attach(builder.compile(), InMemoryCache())``.

    The subgraphs are those that are nodes and those that the functions of nodes close over or name; one that a node
    compiles when it runs is given its cache there. ``clear_cache`` and ``aclear_cache`` of the graph reach them all:
    with names of nodes those nodes wherever they are, without names everything.

    Args:
        graph: what ``compile`` returned; it is changed.
        cache: one of ``hitrate.langgraph``.

    Returns:
        The graph.

    Raises:
        TypeError: it is no compiled graph, or the cache is none.
    """
    if not isinstance(graph, Pregel):
        raise TypeError(
            f"attach takes a compiled graph, not {graph!r} of type {type(graph).__name__}; call compile() first"
        )
    if not isinstance(cache, BaseCache):
        raise TypeError(
            f"attach takes a cache for graphs, as hitrate.langgraph.InMemoryCache(), not {cache!r} of type "
            f"{type(cache).__name__}"
        )
    for each in _with_subgraphs(graph):
        each.cache = cache
    graph.clear_cache = partial(_clear_cache, graph)  # type: ignore[method-assign]
    graph.aclear_cache = partial(_aclear_cache, graph)  # type: ignore[method-assign]
    return graph


def _clear_cache(graph: Pregel[Any, Any, Any, Any], nodes: Sequence[str] | None = None) -> None:
    """Clear the cache for the given nodes, of the graph and of its subgraphs; for all of them if none are given."""
    for each in _with_subgraphs(graph):
        if _concerns(each, nodes):
            type(each).clear_cache(each, nodes)


async def _aclear_cache(graph: Pregel[Any, Any, Any, Any], nodes: Sequence[str] | None = None) -> None:
    """Asynchronously clear the cache for the given nodes; as ``clear_cache``."""
    for each in _with_subgraphs(graph):
        if _concerns(each, nodes):
            await type(each).aclear_cache(each, nodes)


def _concerns(graph: Pregel[Any, Any, Any, Any], nodes: Sequence[str] | None) -> bool:
    return not nodes or any(node in graph.nodes for node in nodes)


def _with_subgraphs(graph: Pregel[Any, Any, Any, Any]) -> Iterator[Pregel[Any, Any, Any, Any]]:
    """Return a graph and all graphs in it, each once: one may be in two places, or in itself."""
    seen: set[int] = set()
    left: list[Any] = [graph]
    while left:
        each = left.pop()
        if not isinstance(each, Pregel) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        for node in each.nodes.values():
            left += node.subgraphs or ()
