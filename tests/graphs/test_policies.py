"""Policies by content: which inputs are equal, which nodes are apart, and that no run fails for its key."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from sample_graphs import Run

from hitrate.langgraph import policy


class State(TypedDict, total=False):
    question: str
    client: Any
    count: int
    messages: list[AnyMessage]


class Model(BaseModel):
    question: str
    noise: int = 0


@dataclass
class Data:
    question: str
    noise: int = 0


@dataclass
class Asker:
    model: str

    def __call__(self, state: State) -> Any:
        return {"question": self.model}


def graph_of(node: Any, cache: Any, cache_policy: Any, schema: Any = State) -> Any:
    builder = StateGraph(schema)
    builder.add_node("node", node, cache_policy=cache_policy)
    return builder.add_edge(START, "node").compile(cache=cache)


def counter(calls: Counter[str]) -> Any:
    def node(state: State) -> State:
        calls["node"] += 1
        return {"count": calls["node"]}

    return node


def test_equal_inputs_are_one(cache: Any, run: Run, calls: Counter[str]) -> None:
    node = counter(calls)
    graph = graph_of(node, cache, policy(node))
    first = HumanMessage("hi", id="1"), HumanMessage("hi", id="2")
    for message in first:
        assert run(graph, {"question": "a", "messages": [message]})["count"] == 1
    assert run(graph, {"question": "b", "messages": [first[0]]})["count"] == 2


def test_what_has_no_key_runs_uncached_and_is_told_once(cache: Any, run: Run, calls: Counter[str], caplog: Any) -> None:
    node = counter(calls)
    graph = graph_of(node, cache, policy(node))
    assert [run(graph, {"question": "a", "client": object()})["count"] for _ in range(3)] == [1, 2, 3]
    (line,) = [each.getMessage() for each in caplog.records if "uncached" in each.getMessage()]
    assert "client" in line
    assert cache.stats().entries == 0
    assert cache.stats().errors == 0


def test_only_and_ignore(cache: Any, run: Run, calls: Counter[str]) -> None:
    node = counter(calls)
    for options in ({"only": "question"}, {"ignore": ("client",)}):
        calls.clear()
        cache.clear()
        graph = graph_of(node, cache, policy(node, **options))  # type: ignore[arg-type]
        assert [run(graph, {"question": "a", "client": object()})["count"] for _ in range(2)] == [1, 1]
        assert run(graph, {"question": "b", "client": object()})["count"] == 2


@pytest.mark.parametrize("options", [{"only": "qestion"}, {"ignore": "cliennt"}, {"only": ("question", "cuont")}])
def test_a_misspelt_field_is_refused_at_the_first_call(cache: Any, run: Run, calls: Counter[str], options: Any) -> None:
    node = counter(calls)
    graph = graph_of(node, cache, policy(node, **options))
    with pytest.raises(ValueError, match="did you mean"):
        run(graph, {"question": "a", "client": "c", "count": 0})


def test_without_annotations_a_field_that_is_near_another_is_refused(cache: Any, run: Run) -> None:
    graph = graph_of(lambda state: {"count": 1}, cache, policy(only=("question", "clientt")))
    with pytest.raises(ValueError, match="did you mean 'client'"):
        run(graph, {"question": "a", "client": "c"})


def test_a_field_without_a_value_yet_is_no_misspelt_one(cache: Any, run: Run, calls: Counter[str]) -> None:
    node = counter(calls)
    graph = graph_of(node, cache, policy(node, only=("question", "client")))
    assert [run(graph, {"question": "a"})["count"] for _ in range(2)] == [1, 1]


def test_the_last_messages(cache: Any, run: Run, calls: Counter[str]) -> None:
    node = counter(calls)
    graph = graph_of(node, cache, policy(node, messages=1))
    hi, fine, how = HumanMessage("hi"), AIMessage("fine"), HumanMessage("how")
    assert run(graph, {"messages": [hi, fine, how]})["count"] == 1
    assert run(graph, {"messages": [how]})["count"] == 1
    assert run(graph, {"messages": [how, hi]})["count"] == 2


def test_fields_of_models_and_dataclasses(cache: Any, run: Run, calls: Counter[str]) -> None:
    for schema in (Model, Data):
        calls.clear()
        cache.clear()

        def node(state: Any) -> Any:
            calls["node"] += 1
            return {"question": f"answer {calls['node']}"}

        graph = graph_of(node, cache, policy(node, only="question"), schema)
        assert [run(graph, schema(question="a", noise=n))["question"] for n in range(2)] == ["answer 1"] * 2


class TestNodesApart:
    """LangGraph has one name for all coroutine functions, partial objects and callables under one node's name."""

    def test_async_nodes(self, cache: Any) -> None:
        def node(name: str) -> Any:
            async def ask(state: State) -> Any:
                return {"question": name}

            return ask

        async def main() -> list[str]:
            graphs = [graph_of(each, cache, policy(each)) for each in (node("gpt"), node("claude"))]
            return [(await graph.ainvoke({"question": "x"}))["question"] for graph in graphs for _ in range(2)]

        assert asyncio.run(main()) == ["gpt", "gpt", "claude", "claude"]

    def test_partials_and_callables(self, cache: Any, run: Run) -> None:
        def ask(state: State, *, model: str) -> Any:
            return {"question": model}

        nodes = [functools.partial(ask, model="a"), functools.partial(ask, model="b"), Asker("c"), Asker("d")]
        for name, node in zip("abcd", nodes, strict=True):
            graph = graph_of(node, cache, policy(node))
            assert [run(graph, {"question": "x"})["question"] for _ in range(2)] == [name, name]

    def test_versions_and_scopes(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        node = counter(calls)
        for options in ({}, {"version": 1}, {"version": 2}, {"scope": "m"}, {"scope": "n"}):
            graph = graph_of(node, cache, policy(node, **options))  # type: ignore[arg-type]
            for _ in range(2):
                run(graph, {"question": "x"})
        assert calls["node"] == 5


def test_a_task_by_position_and_by_name(cache: Any, calls: Counter[str]) -> None:
    def add(a: int, b: int = 1) -> int:
        calls["add"] += 1
        return a + b

    work = task(add, cache_policy=policy(add))

    @entrypoint(cache=cache)
    def flow(given: None) -> list[int]:
        return [work(1).result(), work(a=1).result(), work(1, 1).result(), work(1, b=1).result()]

    flow.invoke({})
    calls.clear()
    assert flow.invoke({}) == [2, 2, 2, 2]
    assert calls["add"] == 0
    assert cache.stats().entries == 1


class TestTasksOfAPolicyWithoutFunction:
    """The names of their parameters are not known."""

    @pytest.fixture
    def in_second_run(self, cache: Any, calls: Counter[str]) -> Any:
        """Runs a flow twice, and returns what the second run returned and how many tasks it had to run."""

        def in_second_run(how: Any, **options: Any) -> tuple[list[str], int]:
            cache.clear()

            @task(cache_policy=policy(**options))
            def fetch(url: str, trace: int = 0) -> str:
                calls["fetch"] += 1
                return url

            @entrypoint(cache=cache)
            def flow(trace: int) -> list[str]:
                return [how(fetch, url, trace).result() for url in ("a", "b")]

            flow.invoke(1)
            calls.clear()
            return flow.invoke(2), calls["fetch"]

        return in_second_run

    @pytest.mark.parametrize("only", ["url", ("url", "trace")])
    def test_by_position_only_some_is_not_cached_and_this_is_told(
        self, in_second_run: Any, caplog: Any, only: Any
    ) -> None:
        assert in_second_run(lambda fetch, url, trace: fetch(url, trace=0), only=only) == (["a", "b"], 2)
        (line,) = [each.getMessage() for each in caplog.records]
        assert line.startswith("a node or task runs uncached (logged once): only= names 'url', and arguments were")
        assert "policy(func, only=...)" in line

    def test_by_position_all_but_some_is_told_to_be_all(self, in_second_run: Any, caplog: Any) -> None:
        assert in_second_run(lambda fetch, url, trace: fetch(url, trace), ignore="trace") == (["a", "b"], 2)
        (line,) = [each.getMessage() for each in caplog.records]
        assert line.startswith("a node or task is cached by all of its arguments (logged once): ignore= names 'trace'")

    @pytest.mark.parametrize("options", [{"only": "url"}, {"ignore": "trace"}])
    def test_by_name_they_are_known(self, in_second_run: Any, caplog: Any, options: Any) -> None:
        assert in_second_run(lambda fetch, url, trace: fetch(url=url, trace=trace), **options) == (["a", "b"], 0)
        assert not caplog.records


@pytest.mark.parametrize("messages", [0, -1, True, "2"])
def test_a_wrong_number_of_messages_is_refused(messages: Any) -> None:
    with pytest.raises(ValueError, match="messages"):
        policy(messages=messages)


def test_only_takes_fields_of_a_class_made_inside_a_function(cache: Any, run: Run, calls: Counter[str]) -> None:
    @dataclass
    class Question:
        question: str = ""
        asked_at: str = ""
        answer: Any = None

    def node(state: Any) -> Any:
        calls["node"] += 1
        return {"answer": calls["node"]}

    graph = graph_of(node, cache, policy(node, only="question", ignore="calls"), Question)
    assert [run(graph, {"question": "a", "asked_at": at})["answer"] for at in ("1", "2")] == [1, 1]
    assert run(graph, {"question": "b", "asked_at": "1"})["answer"] == 2


@pytest.mark.parametrize("arguments", [("ask",), (5,)])
def test_what_is_no_function_is_refused(arguments: Any) -> None:
    with pytest.raises(TypeError, match="policy takes the function of a node or task, not"):
        policy(*arguments)


@pytest.mark.parametrize("version", [1.5, True, [], object()])
def test_a_wrong_version_is_refused(version: Any) -> None:
    with pytest.raises(TypeError, match="version is a str, an int or None"):
        policy(version=version)


def test_a_compiled_graph_is_told_apart_by_a_scope(cache: Any) -> None:
    graph = graph_of(lambda state: {}, cache, None)
    with pytest.raises(TypeError, match="nothing tells 'LangGraph' of type CompiledStateGraph from another"):
        policy(graph)
    assert policy(graph, scope="draft, 2").key_func({"question": "a"}) != policy(scope=3).key_func({"question": "a"})


def test_a_scope_and_a_version_count_in_the_key() -> None:
    def node(state: Any) -> Any:
        return state

    policies = [policy(node), *(policy(node, scope=each) for each in ("a", "b")), policy(node, version="a")]
    keys = [each.key_func({"question": "hi"}) for each in policies]
    assert len({*keys}) == 4
    assert policy(node, scope="a").key_func({"question": "hi"}) == keys[1]


def test_a_node_that_closes_over_an_agent_is_told_what_a_policy_takes() -> None:
    """It has no namespace of its own: LangGraph gives it one."""
    agent = StateGraph(State).add_node("ask", lambda state: {"count": 1}).add_edge(START, "ask").compile()

    def node(state: State) -> Any:
        return agent.invoke(state)

    with pytest.raises(TypeError, match=r"closes over 'agent', .*, leave it out with ignore='agent'$"):
        policy(node)
    assert policy(node, ignore="agent").key_func({"question": "hi"})


def test_what_is_logged_of_an_input_keeps_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """The record of a log line may be kept by a handler: an exception in it would keep the input with its frames."""
    key: Any = policy(lambda state: state).key_func
    key({"value": object()})
    (record,) = caplog.records
    assert record.args
    assert all(type(each) is str for each in record.args)
