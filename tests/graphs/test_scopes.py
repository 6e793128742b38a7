"""A scope around a run, and runs that pass the cache by or write it anew: in threads, tasks, streams and subgraphs."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langgraph.func import entrypoint, task
from langgraph.types import CachePolicy, Send
from sample_graphs import Run, Work, one_node

import hitrate
from hitrate.langgraph import policy
from hitrate.runs import BYPASS, USE, current_mode, current_scope


def counting(calls: Counter[str]) -> Any:
    def node(state: Work) -> Work:
        calls["node"] += 1
        return {"items": [calls["node"]]}

    return node


def graph_of(calls: Counter[str], cache: Any) -> Any:
    node = counting(calls)
    return one_node(node, cache, key_func=policy(node).key_func)


def test_each_tenant_has_results_of_its_own(cache: Any, run: Run, calls: Counter[str]) -> None:
    graph = graph_of(calls, cache)

    def ask(*parts: Any) -> Any:
        with hitrate.scope(*parts):
            return run(graph, {"number": 1})["items"]

    assert [ask("acme"), ask("other"), ask("acme")] == [[1], [2], [1]]
    assert ask() == [3] == ask()
    assert run(graph, {"number": 1})["items"] == [4]
    with hitrate.scope("acme"):
        assert ask("user") == [5]
    assert ask("acme", "user") == [6]  # two parts are no scope in a scope


def test_stable_key_counts_it(cache: Any, run: Run, calls: Counter[str]) -> None:
    graph = one_node(counting(calls), cache, key_func=hitrate.stable_key)
    with hitrate.scope("acme"):
        assert run(graph, {"number": 1})["items"] == [1]
    assert run(graph, {"number": 1})["items"] == [2]


def test_concurrent_runs_keep_theirs(cache: Any, calls: Counter[str]) -> None:
    graph = graph_of(calls, cache)

    async def ask(tenant: str) -> Any:
        with hitrate.scope(tenant):
            return (await graph.ainvoke({"number": 1}))["items"]

    async def main() -> Any:
        first = await asyncio.gather(*map(ask, "abc"))
        return first, await asyncio.gather(*map(ask, "abc"))

    first, second = asyncio.run(main())
    assert sorted(map(str, first)) == ["[1]", "[2]", "[3]"]
    assert first == second


def test_a_stream_within_an_async_generator(cache: Any, calls: Counter[str]) -> None:
    graph = graph_of(calls, cache)

    async def streamed(tenant: str) -> AsyncIterator[Any]:
        with hitrate.scope(tenant):
            async for chunk in graph.astream({"number": 1}):
                yield chunk

    async def main() -> list[Any]:
        chunks = [[chunk async for chunk in streamed(tenant)] for tenant in "aba"]
        generator = streamed("c")
        await anext(generator)
        # Closed by another task than the one that ran it.
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
        return chunks

    a, b, again = asyncio.run(main())
    assert [chunk["node"]["items"] for chunk in (a[0], b[0], again[0])] == [[1], [2], [1]]


def test_streams_that_end_in_any_order_leave_no_scope_open() -> None:
    def reading(tenant: str) -> Iterator[None]:
        with hitrate.scope(tenant), hitrate.bypass():
            yield
            yield

    with hitrate.scope("other"):
        of_the_other = current_scope()
    first, second = reading("acme"), reading("other")
    next(first), next(second)
    assert [*first] == [None]
    assert current_scope() == of_the_other
    assert current_mode() == BYPASS
    assert [*second] == [None]
    assert current_scope() == ""
    assert current_mode() == USE


def test_a_stream_that_another_task_closes_leaves_that_task_its_scope() -> None:
    async def reading(tenant: str) -> AsyncIterator[None]:
        with hitrate.scope(tenant):
            yield
            yield

    async def main() -> None:
        stream = reading("acme")
        await asyncio.create_task(stream.__anext__())  # type: ignore[arg-type]
        with hitrate.scope("other"):
            before = current_scope()
            await stream.aclose()  # type: ignore[attr-defined]
            assert current_scope() == before
        assert current_scope() == ""

    asyncio.run(main())


@pytest.mark.parametrize(
    "scoped",
    [
        lambda scope: hitrate.scope("acme", scope),
        lambda scope: hitrate.stable_key(1, scope=scope),
        lambda scope: hitrate.cached(hitrate.InMemoryCache(), scope=scope)(len),
        lambda scope: policy(scope=scope),
    ],
    ids=["scope", "stable_key", "cached", "policy"],
)
def test_a_scope_without_content_is_refused_with_what_to_do(scoped: Any) -> None:
    for scope, where in ((object(), "scope is of type builtins.object"), ({"a": object()}, "scope['a'] is of type")):
        with pytest.raises(TypeError, match=f"scope cannot be part of a key: .*{re.escape(where)}") as refused:
            scoped(scope)
        assert str(refused.value).endswith(". Give what names it, as an id, in its place")


@pytest.mark.parametrize("options", [{"require_scope": True}, {"scope": True}])
def test_a_policy_can_demand_a_scope(
    cache: Any, run: Run, calls: Counter[str], caplog: Any, options: dict[str, Any]
) -> None:
    node = counting(calls)
    graph = one_node(node, cache, key_func=policy(node, **options).key_func)
    assert [run(graph, {"number": 1})["items"] for _ in range(2)] == [[1], [2]]
    assert cache.stats().sets == 0
    assert [record for record in caplog.records if "no hitrate.scope is open" in record.getMessage()]
    with hitrate.scope("acme"), hitrate.scope(None):
        assert [run(graph, {"number": 1})["items"] for _ in range(2)] == [[3], [3]]


@pytest.mark.parametrize("parts", [(), (None,), (None, None)])
def test_a_scope_of_nobody_is_not_what_a_policy_demands(
    cache: Any, run: Run, calls: Counter[str], parts: tuple[None, ...]
) -> None:
    node = counting(calls)
    graph = one_node(node, cache, key_func=policy(node, require_scope=True).key_func)
    with hitrate.scope(*parts):
        assert [run(graph, {"number": 1})["items"] for _ in range(2)] == [[1], [2]]
    assert cache.stats().sets == 0


class TestBypassAndRefresh:
    def test_of_a_graph(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = one_node(counting(calls), cache)

        def ask() -> int:
            return run(graph, {"number": 1})["items"][0]  # type: ignore[no-any-return]

        assert [ask(), ask()] == [1, 1]
        with hitrate.bypass():
            assert [ask(), ask()] == [2, 3]
        assert ask() == 1
        with hitrate.refresh():
            assert ask() == 4
        assert ask() == 4

    def test_of_a_fan_out(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        """Results of tasks beside each other are handed over by threads that know nothing of the run."""
        from sample_graphs import counting_documents

        graph = counting_documents(calls, cache)
        with hitrate.bypass():
            run(graph, {"documents": ["a", "b", "c"]})
        assert cache.stats().sets == 0
        assert cache.stats().entries == 0
        run(graph, {"documents": ["a", "b", "c"]})
        with hitrate.refresh():
            run(graph, {"documents": ["a", "b", "c"]})
        assert calls == {"measure": 9, "join": 3}
        run(graph, {"documents": ["a", "b", "c"]})
        assert calls == {"measure": 9, "join": 3}

    def test_of_tasks(self, cache: Any, calls: Counter[str]) -> None:
        @task(cache_policy=CachePolicy())
        def work(number: int) -> int:
            calls["work"] += 1
            return number

        @entrypoint(cache=cache)
        def flow(numbers: list[int]) -> list[int]:
            return [each.result() for each in [work(number) for number in numbers]]

        with hitrate.bypass():
            assert flow.invoke([1, 2, 3]) == [1, 2, 3]
        assert cache.stats().entries == 0
        flow.invoke([1, 2, 3])
        flow.invoke([1, 2, 3])
        assert calls["work"] == 6

    def test_a_plain_get_does_what_it_is_told(self, cache: Any) -> None:
        key = (("a",), "b")
        with hitrate.bypass():
            cache.set({key: (1, None)})
            assert cache.get([key]) == {key: 1}


def test_sends_of_one_scope(cache: Any, run: Run, calls: Counter[str]) -> None:
    from langgraph.graph import START, StateGraph

    def part(state: Work) -> Work:
        calls["part"] += 1
        return {"done": [state["number"]]}

    builder = StateGraph(Work)
    builder.add_node("part", part, cache_policy=policy(part))
    builder.add_conditional_edges(START, lambda state: [Send("part", {"number": n}) for n in range(3)], ["part"])
    graph = builder.compile(cache=cache)
    for tenant in ("a", "b", "a", "b"):
        with hitrate.scope(tenant):
            assert run(graph, {"number": 0})["done"] == [0, 1, 2]
    assert calls["part"] == 6
