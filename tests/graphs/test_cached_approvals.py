"""What a cached function took from a person is nobody else's; what it computed without that is stored as ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from sample_graphs import Work

from hitrate import InMemoryCache, cached
from hitrate.compute.control_flow import WatchedAnswers


@pytest.fixture
def memory() -> InMemoryCache:
    return InMemoryCache()


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def graph_of(node: Any, **options: Any) -> Any:
    return StateGraph(Work).add_node("ask", node).add_edge(START, "ask").compile(**options)


def asked_and_answered(graph: Any, name: str, answer: Any, *, by_id: bool = False, value: Any = None) -> Any:
    """Run a graph in a thread of that name until it asks, answer it, and return its result."""
    (asked,) = graph.invoke(value or {"number": 1}, thread(name))["__interrupt__"]
    return graph.invoke(Command(resume={asked.id: answer} if by_id else answer), thread(name))


def ask(state: Work) -> Work:
    return {"items": [interrupt("ok?")]}


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("lease", [None, 30])
def test_a_cached_node_asks_in_each_thread(cache: Any, lease: float | None, by_id: bool) -> None:
    graph = graph_of(cached(cache, lease=lease)(ask), checkpointer=InMemorySaver())
    for name, answer in (("a", "yes"), ("b", "no")):
        assert asked_and_answered(graph, name, answer, by_id=by_id)["items"] == [answer]
    assert cache.stats().entries == 0


@pytest.mark.parametrize("by_id", [False, True])
def test_a_cached_coroutine_asks_by_a_graph_within_it(cache: Any, by_id: bool) -> None:
    inner = graph_of(ask)

    @cached(cache, ignore="inner")
    async def approved(number: int) -> Any:
        return (await inner.ainvoke({"number": number}))["items"]

    async def node(state: Work) -> Work:
        return {"items": await approved(state["number"])}

    async def main() -> None:
        graph = graph_of(node, checkpointer=InMemorySaver())
        for name, answer in (("a", "yes"), ("b", "no")):
            (asked,) = (await graph.ainvoke({"number": 1}, thread(name)))["__interrupt__"]
            command = Command(resume={asked.id: answer} if by_id else answer)
            assert (await graph.ainvoke(command, thread(name)))["items"] == [answer]

    asyncio.run(main())
    assert cache.stats().entries == 0


def test_a_graph_that_is_given_the_config_asks_in_each_thread(memory: Any) -> None:
    inner = graph_of(ask)

    @cached(memory, ignore=("config", "inner"))
    def approved(number: int, config: RunnableConfig) -> Any:
        return inner.invoke({"number": number}, config)["items"]

    def node(state: Work, config: RunnableConfig) -> Work:
        return {"items": approved(state["number"], config)}

    graph = graph_of(node, checkpointer=InMemorySaver())
    for name, answer in (("a", "yes"), ("b", "no")):
        assert asked_and_answered(graph, name, answer)["items"] == [answer]


def test_a_task_within_a_cached_function_asks_in_each_thread(memory: Any) -> None:
    @task
    def approve(number: int) -> Any:
        return interrupt(f"pay {number}?")

    @cached(memory, ignore="approve")
    def approved(number: int) -> Any:
        return approve(number).result()

    @entrypoint(checkpointer=InMemorySaver())
    def flow(number: int) -> Any:
        return approved(number)

    for name, answer in (("a", "yes"), ("b", "no")):
        assert asked_and_answered(flow, name, answer, value=1) == answer


def test_one_cached_function_within_another_and_many_keys_ask_in_each_thread(memory: Any) -> None:
    first = cached(memory)(lambda number: interrupt("first?"))
    outer = cached(memory)(lambda number: first(number))

    def node(state: Work) -> Work:
        keys = [(("second",), "k")]
        (second,) = memory.get_or_compute_many(keys, lambda keys: {key: interrupt("second?") for key in keys}).values()
        return {"items": [outer(state["number"]), second]}

    graph = graph_of(node, checkpointer=InMemorySaver())
    for name in "ab":
        asked_and_answered(graph, name, f"1{name}")
        assert graph.invoke(Command(resume=f"2{name}"), thread(name))["items"] == [f"2{name}", f"1{name}"]
    assert memory.stats().entries == 0


def test_an_error_after_an_answer_is_asked_again(memory: Any) -> None:
    @cached(memory, cache_errors=(LookupError,), error_ttl=60)
    def approved(number: int) -> Any:
        raise LookupError(interrupt("ok?"))

    graph = graph_of(lambda state: approved(state["number"]), checkpointer=InMemorySaver())
    for name, answer in (("a", "yes"), ("b", "no")):
        with pytest.raises(LookupError, match=answer):
            asked_and_answered(graph, name, answer)


def test_what_is_computed_beside_a_question_is_stored(cache: Any) -> None:
    ran: Counter[str] = Counter()

    @cached(cache)
    def expensive(number: int, when: str) -> int:
        ran[when] += 1
        return number * 2

    def node(state: Work) -> Work:
        before = expensive(state["number"], "before")
        answer = interrupt("ok?")
        return {"items": [before, answer, expensive(state["number"], "after")]}

    graph = graph_of(node, checkpointer=InMemorySaver())
    for name in "ab":
        assert asked_and_answered(graph, name, name)["items"] == [2, name, 2]
    assert ran == {"before": 1, "after": 1}


def test_counters_that_are_not_known_are_taken_for_an_answer() -> None:
    assert WatchedAnswers(object()).may_be_taken()
