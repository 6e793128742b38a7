"""One cache for a graph and the graphs in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy
from sample_graphs import Run, Work

from hitrate.langgraph import attach

BY_NUMBER = CachePolicy(key_func=lambda state: str(state["number"]))


def nested(calls: Counter[str], depth: int) -> Any:
    def node(state: Work) -> Work:
        calls[f"node {depth}"] += 1
        return {"done": [depth]}

    builder = StateGraph(Work)
    builder.add_node(f"node {depth}", node, cache_policy=BY_NUMBER)
    builder.add_edge(START, f"node {depth}")
    if depth:
        builder.add_node("inner", nested(calls, depth - 1))
        builder.add_edge(f"node {depth}", "inner")
    return builder.compile()


def test_subgraphs_take_part(cache: Any, run: Run, calls: Counter[str]) -> None:
    graph = attach(nested(calls, 2), cache)
    first = run(graph, {"number": 1})
    assert run(graph, {"number": 1}) == first
    assert calls == {"node 0": 1, "node 1": 1, "node 2": 1}


def test_a_subgraph_that_a_node_calls(cache: Any, run: Run, calls: Counter[str]) -> None:
    inner = nested(calls, 0)

    def outer(state: Work) -> Any:
        return {"done": inner.invoke({"number": state["number"]})["done"]}

    builder = StateGraph(Work)
    builder.add_node("outer", outer)
    graph = attach(builder.add_edge(START, "outer").compile(), cache)
    for _ in range(3):
        run(graph, {"number": 1})
    assert calls == {"node 0": 1}


def test_clear_cache_reaches_them(cache: Any, calls: Counter[str]) -> None:
    graph = attach(nested(calls, 1), cache)
    graph.invoke({"number": 1})
    graph.clear_cache()
    graph.invoke({"number": 1})
    assert calls == {"node 0": 2, "node 1": 2}
    graph.clear_cache(["node 0"])
    graph.invoke({"number": 1})
    assert calls == {"node 0": 3, "node 1": 2}
    asyncio.run(graph.aclear_cache())
    graph.invoke({"number": 1})
    assert calls == {"node 0": 4, "node 1": 3}


def test_what_is_no_graph_or_no_cache_is_refused(cache: Any, calls: Counter[str]) -> None:
    with pytest.raises(TypeError, match=r"call compile\(\) first"):
        attach(StateGraph(Work), cache)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="a cache for graphs"):
        attach(nested(calls, 0), {})  # type: ignore[arg-type]
