"""One cache for a graph and the graphs in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import pytest
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy
from sample_graphs import Run, Work

from hitrate.langgraph import InMemoryCache, attach

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


class Service:
    """Has a graph, and methods and an own call as nodes."""

    def __init__(self, graph: Any) -> None:
        self.parts = {"graph": graph}

    def ask(self, state: Work) -> Any:
        return {"done": self.parts["graph"].invoke({"number": state["number"]})["done"]}

    def __call__(self, state: Work) -> Any:
        return self.ask(state)


def ask(graph: Any, state: Work) -> Any:
    return {"done": graph.invoke({"number": state["number"]})["done"]}


def ask_by_a_task(graph: Any) -> Any:
    @task
    def work(number: int) -> Any:
        return graph.invoke({"number": number})["done"]

    return lambda state: {"done": work(state["number"]).result()}


REACHING = {
    "a method": lambda graph: Service(graph).ask,
    "an object that is called": Service,
    "a partial": lambda graph: partial(ask, graph),
    "a keyword of a partial": lambda graph: lambda state: partial(ask, state=state)(graph),
    "a function of a function": lambda graph: lambda state: (lambda: ask(graph, state))(),
    "a task": ask_by_a_task,
}


@pytest.mark.parametrize("node", REACHING.values(), ids=REACHING)
def test_a_subgraph_is_reached_through(cache: Any, calls: Counter[str], node: Any) -> None:
    builder = StateGraph(Work).add_node("outer", node(nested(calls, 0))).add_edge(START, "outer")
    graph = attach(builder.compile(), cache)
    for _ in range(3):
        assert graph.invoke({"number": 1})["done"] == [0]
    assert calls == {"node 0": 1}


def test_with_config_makes_one_whose_clear_cache_reaches_them(cache: Any, calls: Counter[str]) -> None:
    graph = attach(nested(calls, 1), cache).with_config(tags=["a"]).with_config(tags=["b"])
    graph.invoke({"number": 1})
    graph.clear_cache()
    graph.invoke({"number": 1})
    asyncio.run(graph.aclear_cache())
    graph.invoke({"number": 1})
    assert calls == {"node 0": 3, "node 1": 3}


def test_clear_cache_reaches_tasks(cache: Any, calls: Counter[str]) -> None:
    @task(cache_policy=CachePolicy())
    def work(number: int) -> int:
        calls["work"] += 1
        return number

    @entrypoint()
    def flow(number: int) -> int:
        return work(number).result()

    attach(flow, cache)
    for clear in (flow.clear_cache, lambda: asyncio.run(flow.aclear_cache())):
        for _ in range(2):
            assert flow.invoke(1) == 1
        clear()
    assert calls["work"] == 2
    flow.invoke(1)
    assert calls["work"] == 3


def test_a_remote_graph_is_refused() -> None:
    from langgraph.pregel.remote import RemoteGraph

    with pytest.raises(TypeError, match="a RemoteGraph runs elsewhere, where its cache is"):
        attach(RemoteGraph("flow", url="http://127.0.0.1:1"), InMemoryCache())  # type: ignore[type-var]
