"""A graph with a cache: the second run executes nothing and returns the same."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Command, interrupt
from sample_graphs import Run, Work, counting_documents, one_node

import releases
from graphs.conftest import EVERY_KIND
from hitrate.testing import Clock


@pytest.fixture(params=EVERY_KIND)
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestASecondRun:
    """A second run of the same input executes nothing and returns the same."""

    DOCUMENTS = tuple(f"document {'x' * number}" for number in range(40))

    def test_of_a_fan_out_is_all_hits(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        first = run(graph, {"documents": self.DOCUMENTS})
        assert calls == {"measure": 40, "join": 1}
        second = run(graph, {"documents": self.DOCUMENTS})
        assert calls == {"measure": 40, "join": 1}
        assert second == first
        assert [type(pair) for pair in second["lengths"]] == [tuple] * 40
        stats = cache.stats()
        assert (stats.hits, stats.misses, stats.sets, stats.errors, stats.entries) == (41, 41, 41, 0, 41)

    def test_executes_only_what_is_new(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        run(graph, {"documents": self.DOCUMENTS[:30]})
        run(graph, {"documents": self.DOCUMENTS})
        assert calls == {"measure": 40, "join": 2}

    def test_of_another_graph_on_the_same_cache(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        first = run(counting_documents(calls, cache), {"documents": self.DOCUMENTS})
        assert run(counting_documents(calls, cache), {"documents": self.DOCUMENTS}) == first
        assert calls == {"measure": 40, "join": 1}

    def test_in_the_other_face(self, cache: Any, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        first = graph.invoke({"documents": self.DOCUMENTS})
        assert asyncio.run(graph.ainvoke({"documents": self.DOCUMENTS})) == first
        assert calls == {"measure": 40, "join": 1}

    def test_after_the_ttl_executes_again(self, cache: Any, run: Run, calls: Counter[str], clock: Clock) -> None:
        graph = counting_documents(calls, cache, ttl=60)
        run(graph, {"documents": self.DOCUMENTS})
        clock.advance(59)
        run(graph, {"documents": self.DOCUMENTS})
        assert calls["measure"] == 40
        clock.advance(1)
        run(graph, {"documents": self.DOCUMENTS})
        assert calls["measure"] == 80

    def test_uses_the_default_ttl_of_the_cache(
        self, open_cache: Any, run: Run, calls: Counter[str], clock: Clock
    ) -> None:
        graph = counting_documents(calls, open_cache(default_ttl=60))
        run(graph, {"documents": self.DOCUMENTS})
        clock.advance(60)
        run(graph, {"documents": self.DOCUMENTS})
        assert calls["measure"] == 80

    def test_is_decided_by_the_key_function(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def node(state: Work) -> Work:
            calls["node"] += 1
            return {"items": [state["number"]]}

        graph = one_node(node, cache, key_func=lambda state: b"even" if state["number"] % 2 == 0 else b"odd")
        assert [run(graph, {"number": number})["items"] for number in range(5)] == [[0], [1], [0], [1], [0]]
        assert calls["node"] == 2

    def test_saves_the_seconds_of_the_first(self, cache: Any, run: Run, clock: Clock) -> None:
        def node(state: Work) -> Work:
            clock.advance(3)
            return {"items": [1]}

        graph = one_node(node, cache)
        run(graph, {"number": 1})
        run(graph, {"number": 1})
        assert cache.stats().seconds_saved == pytest.approx(3, abs=0.01)


class TestTheFunctionalApi:
    def test_a_task_is_executed_once(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        @task(cache_policy=CachePolicy(ttl=60))
        def square(number: int) -> int:
            calls["square"] += 1
            return number * number

        @task(cache_policy=CachePolicy())
        async def asquare(number: int) -> int:
            calls["square"] += 1
            return number * number

        @entrypoint(cache=cache)
        def squares(numbers: list[int]) -> list[int]:
            return [future.result() for future in [square(number) for number in numbers]]

        @entrypoint(cache=cache)
        async def asquares(numbers: list[int]) -> list[int]:
            return list(await asyncio.gather(*(asquare(number) for number in numbers)))

        graph = asquares if run.is_async else squares  # type: ignore[attr-defined]
        for _ in range(3):
            assert run(graph, list(range(10))) == [number**2 for number in range(10)]
        assert calls["square"] == 10

    def test_an_entrypoint_is_executed_once(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        @entrypoint(cache=cache, cache_policy=CachePolicy())
        def double(number: int) -> int:
            calls["double"] += 1
            return 2 * number

        assert [run(double, 4), run(double, 4), run(double, 5)] == [8, 8, 10]
        assert calls["double"] == 2


class TestClearCache:
    def clear(self, run: Run, graph: Any, **options: Any) -> None:
        if run.is_async:  # type: ignore[attr-defined]
            asyncio.run(graph.aclear_cache(**options))
        else:
            graph.clear_cache(**options)

    def test_of_an_empty_cache(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        self.clear(run, counting_documents(calls, cache))
        assert cache.stats().entries == 0

    def test_of_the_whole_graph(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        run(graph, {"documents": ["a", "b"]})
        self.clear(run, graph)
        assert cache.stats().entries == 0
        run(graph, {"documents": ["a", "b"]})
        assert calls == {"measure": 4, "join": 2}

    def test_of_one_node(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        run(graph, {"documents": ["a", "b"]})
        self.clear(run, graph, nodes=["measure"])
        run(graph, {"documents": ["a", "b"]})
        assert calls == {"measure": 4, "join": 1}

    def test_leaves_what_is_not_of_the_graph(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        other = (("other",), "key")
        cache.set({other: ("value", None)})
        graph = counting_documents(calls, cache)
        run(graph, {"documents": ["a", "b"]})
        self.clear(run, graph)
        assert cache.get([other]) == {other: "value"}


class TestStopsAndSubgraphs:
    def test_a_node_that_interrupts_is_cached_when_it_has_finished(
        self, cache: Any, run: Run, calls: Counter[str]
    ) -> None:
        def prepare(state: Work) -> Work:
            calls["prepare"] += 1
            return {"items": ["prepared"]}

        def ask(state: Work) -> Work:
            calls["ask"] += 1
            return {"done": [interrupt("go on?")]}

        builder = StateGraph(Work)
        builder.add_node("prepare", prepare, cache_policy=CachePolicy())
        policy = CachePolicy() if releases.LANGGRAPH >= releases.INTERRUPTED_WITH_CACHE else None
        builder.add_node("ask", ask, cache_policy=policy)
        builder.add_edge(START, "prepare").add_edge("prepare", "ask")
        graph = builder.compile(cache=cache, checkpointer=InMemorySaver())

        first = {"configurable": {"thread_id": "1"}}
        stopped = run(graph, {"number": 1}, config=first)
        assert stopped["__interrupt__"][0].value == "go on?"
        assert calls == {"prepare": 1, "ask": 1}
        assert run(graph, Command(resume="yes"), config=first)["done"] == ["yes"]
        assert calls == {"prepare": 1, "ask": 2}

        second = run(graph, {"number": 1}, config={"configurable": {"thread_id": "2"}})
        assert calls["prepare"] == 1
        assert second["items"] == ["prepared"]

    def test_a_subgraph_with_a_cache_of_its_own(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def inner(state: Work) -> Work:
            calls["inner"] += 1
            return {"items": [state["number"]]}

        def outer(state: Work) -> Work:
            calls["outer"] += 1
            return {"done": ["outer"]}

        subgraph = one_node(inner, cache)
        builder = StateGraph(Work)
        builder.add_node("outer", outer, cache_policy=CachePolicy(key_func=lambda state: str(state["number"])))
        builder.add_node("subgraph", subgraph)
        graph = builder.add_edge(START, "outer").add_edge("outer", "subgraph").compile(cache=cache)
        for _ in range(3):
            assert run(graph, {"number": 7})["items"] == [7]
        assert calls == {"inner": 1, "outer": 1}

    def test_a_subgraph_that_is_a_cached_node(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def inner(state: Work) -> Work:
            calls["inner"] += 1
            return {"items": [state["number"]]}

        subgraph = StateGraph(Work).add_node("inner", inner).add_edge(START, "inner").compile()
        graph = one_node(subgraph, cache)
        for _ in range(3):
            assert run(graph, {"number": 7})["items"] == [7]
        assert calls == {"inner": 1}

    def test_runs_at_the_same_time_share_a_cache(self, cache: Any, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)

        async def several() -> list[Any]:
            given = [{"documents": [f"{'x' * run} {number}" for number in range(20)]} for run in range(8)]
            return await asyncio.gather(*(graph.ainvoke(each) for each in given * 2))

        results = asyncio.run(several())
        assert results[:8] == results[8:]
        with ThreadPoolExecutor(4) as pool:
            again = list(pool.map(graph.invoke, [{"documents": each["documents"]} for each in results]))
        assert again == results
        assert cache.stats().errors == 0


def test_a_hit_is_not_stored_again(cache: Any, clock: Clock) -> None:
    """LangGraph 1.0 hands over hits of tasks of the async face, which would renew their TTL."""

    @task(cache_policy=CachePolicy(ttl=100))
    async def work(number: int) -> int:
        return number

    @entrypoint(cache=cache)
    async def flow(numbers: list[int]) -> list[int]:
        return await asyncio.gather(*map(work, numbers))

    for _ in range(3):
        assert asyncio.run(flow.ainvoke([1, 2, 3])) == [1, 2, 3]
    assert cache.stats().sets == 3


def test_a_hit_that_is_handed_over_is_left_out(cache: Any) -> None:
    class CacheKey(NamedTuple):
        ns: tuple[str, ...]
        key: str

    class Task:
        cache_key = CacheKey(("__pregel_ns_writes", "m.f", "f"), "0" * 32)
        input = (1,)

    task = Task()
    asked = {(task.cache_key.ns, task.cache_key.key): task}
    cache.set({key: (deque([("items", [1])]), None) for key in asked})
    found = cache.get(tuple(asked))
    cache.set({key: (value, None) for key, value in found.items()})
    assert cache.stats().sets == 1
