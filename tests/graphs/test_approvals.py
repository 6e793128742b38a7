"""What a person answered to one run is asked again in another; a failure is no result."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Command, interrupt
from sample_graphs import Run, Work, one_node

import releases
from hitrate.langgraph import attach, policy

RESUMES = pytest.mark.skipif(
    releases.LANGGRAPH < releases.INTERRUPTED_WITH_CACHE, reason="LangGraph cannot resume a node with a policy yet"
)


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


@RESUMES
def test_an_approval_is_asked_again_in_another_thread(cache: Any, run: Run) -> None:
    def approve(state: Work) -> Work:
        return {"items": [interrupt("ok?")]}

    builder = StateGraph(Work)
    builder.add_node("approve", approve, cache_policy=CachePolicy(key_func=lambda state: str(state["number"])))
    graph = builder.add_edge(START, "approve").compile(cache=cache, checkpointer=InMemorySaver())
    run(graph, {"number": 1}, config=thread("a"))
    assert run(graph, Command(resume="yes"), config=thread("a"))["items"] == ["yes"]
    asked = run(graph, {"number": 1}, config=thread("b"))
    assert "__interrupt__" in asked
    assert not asked.get("items")
    assert run(graph, Command(resume="no"), config=thread("b"))["items"] == ["no"]
    assert cache.stats().sets == 0


@RESUMES
def test_a_task_that_asked_is_asked_again(cache: Any) -> None:
    @task(cache_policy=CachePolicy())
    def approve(number: int) -> Any:
        return interrupt(f"pay {number}?")

    @entrypoint(cache=cache, checkpointer=InMemorySaver())
    def flow(number: int) -> Any:
        return approve(number).result()

    flow.invoke(1, thread("a"))
    assert flow.invoke(Command(resume="yes"), thread("a")) == "yes"
    assert "__interrupt__" in flow.invoke(1, thread("b"))


def asking_for_approval(depth: int) -> Any:
    """A graph that asks a person, in as many graphs around it."""

    def approve(state: Work) -> Work:
        return {"done": [interrupt("ok?")]}

    inner = StateGraph(Work).add_node("approve", approve).add_edge(START, "approve").compile()
    for _ in range(depth):
        inner = StateGraph(Work).add_node("inner", inner).add_edge(START, "inner").compile()
    return inner


def with_a_policy(node: Any, cache: Any) -> Any:
    by_number = CachePolicy(key_func=lambda state: str(state["number"]))
    builder = StateGraph(Work).add_node("outer", node, cache_policy=by_number).add_edge(START, "outer")
    return builder.compile(cache=cache, checkpointer=InMemorySaver())


@RESUMES
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("by_id", [False, True])
def test_a_node_with_a_policy_whose_graphs_ask(cache: Any, run: Run, depth: int, by_id: bool) -> None:
    graph = with_a_policy(asking_for_approval(depth), cache)
    for name, answer in (("a", "yes"), ("b", "no")):
        (asked,) = run(graph, {"number": 1}, config=thread(name))["__interrupt__"]
        command = Command(resume={asked.id: answer} if by_id else answer)
        assert run(graph, command, config=thread(name))["done"] == [answer]


@RESUMES
def test_a_node_that_calls_a_graph_that_asks(cache: Any) -> None:
    inner = asking_for_approval(1)

    def call(state: Work) -> Any:
        return {"done": inner.invoke({"number": state["number"]})["done"]}

    graph = with_a_policy(call, cache)
    for name, answer in (("a", "yes"), ("b", "no")):
        assert "__interrupt__" in graph.invoke({"number": 1}, thread(name))
        assert graph.invoke(Command(resume=answer), thread(name))["done"] == [answer]


@RESUMES
def test_what_follows_an_approval_is_kept(cache: Any, run: Run, calls: Counter[str]) -> None:
    def pay(state: Work) -> Work:
        calls["pay"] += 1
        return {"items": [*state["done"], "paid"]}

    builder = (
        StateGraph(Work).add_node("outer", asking_for_approval(0)).add_edge(START, "outer").add_edge("outer", "pay")
    )
    builder.add_node("pay", pay, cache_policy=CachePolicy(key_func=lambda state: str(state["done"])))
    graph = builder.compile(cache=cache, checkpointer=InMemorySaver())
    for name in ("a", "b"):
        run(graph, {"number": 1}, config=thread(name))
        assert run(graph, Command(resume="yes"), config=thread(name))["items"] == ["yes", "paid"]
    assert calls["pay"] == 1


@RESUMES
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("by_id", [False, True])
def test_what_follows_an_approval_in_an_inner_graph_is_kept(
    cache: Any, run: Run, calls: Counter[str], depth: int, by_id: bool
) -> None:
    def pay(state: Work) -> Work:
        calls["pay"] += 1
        return {"items": [*state["done"], "paid"]}

    builder = StateGraph(Work).add_node("ask", lambda state: {"done": [interrupt("ok?")]}).add_edge(START, "ask")
    graph = builder.add_node("pay", pay, cache_policy=policy(pay)).add_edge("ask", "pay").compile()
    for level in range(depth, 0, -1):
        options: Any = {} if level > 1 else {"checkpointer": InMemorySaver()}
        graph = StateGraph(Work).add_node("inner", graph).add_edge(START, "inner").compile(**options)
    graph = attach(graph, cache)
    for name, answer in (("a", "yes"), ("b", "no"), ("c", "yes")):
        (asked,) = run(graph, {"number": 1}, config=thread(name))["__interrupt__"]
        command: Any = Command(resume={asked.id: answer} if by_id else answer)
        assert run(graph, command, config=thread(name))["items"] == [answer, "paid"]
    assert calls["pay"] == 2


@RESUMES
@pytest.mark.parametrize("by_id", [False, True])
def test_a_task_that_follows_an_approval_is_kept(cache: Any, calls: Counter[str], by_id: bool) -> None:
    @task(cache_policy=CachePolicy())
    def pay(number: int, answer: str) -> str:
        calls["pay"] += 1
        return f"{number} {answer}"

    @entrypoint(cache=cache, checkpointer=InMemorySaver())
    def flow(number: int) -> Any:
        return pay(number, interrupt("ok?")).result()

    for name, answer in (("a", "yes"), ("b", "no"), ("c", "yes")):
        (asked,) = flow.invoke(1, thread(name))["__interrupt__"]
        command: Any = Command(resume={asked.id: answer} if by_id else answer)
        assert flow.invoke(command, thread(name)) == f"1 {answer}"
    assert calls["pay"] == 2


def test_nodes_beside_it_are_kept(cache: Any, run: Run) -> None:
    graph = one_node(lambda state: {"items": ["value"]}, cache)
    run(graph, {"number": 1})
    assert cache.stats().sets == 1


@pytest.mark.parametrize("channel", ["__error__", "__interrupt__", "__resume__"])
def test_what_says_how_a_run_went_is_not_kept(cache: Any, channel: str) -> None:
    """LangGraph before 1.2.15 hands over the writes of tasks that failed or were interrupted."""
    from collections import deque

    key = (("__pregel_ns_writes", "m.f", "f"), "0" * 32)
    cache.set({key: (deque([("items", [1]), (channel, ("x",))]), None)})
    assert cache.get([key]) == {}
