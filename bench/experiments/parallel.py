"""A graph of many tasks at once, cold and warm: ours as its cache, and LangGraph's own."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

from bench.contenders import Missing
from bench.contenders.graphs import THEIRS, Opener, graph_caches
from bench.experiments.base import Conditions, Samples
from bench.experiments.whole_runs import Program, whole_runs
from bench.payloads import PAYLOADS

IN_MEMORY = "hitrate in memory"


class Work(TypedDict, total=False):
    """The state of the graph that fans out."""

    numbers: list[int]
    done: Annotated[list[Any], operator.add]


def measure(
    conditions: Conditions, *, where: str, kind: str, awaited: bool, tasks: int, beside_memory: bool = False
) -> Samples:
    """Measure whole runs.

    Args:
        conditions: how to run.
        where: ``"memory"``, ``"file"`` or ``"redis"``.
        kind: ``"sends"``, a fan-out of a graph, or ``"tasks"``, ``@task`` of an ``@entrypoint``.
        awaited: whether the run is ``ainvoke``.
        tasks: how many there are in a run.
        beside_memory: compare with our cache in memory instead of LangGraph's of the same place.
    """
    values = [PAYLOADS["D"].make(number, conditions.rng) for number in range(tasks)]
    try:
        openers = _openers(where, conditions.folder, beside_memory)
    except ImportError as error:
        if not conditions.allow_missing:
            raise Missing(THEIRS, error) from error
        return {"cold": {}, "warm": {}}
    runs_on = (_fan_outs if kind == "sends" else _flows)(values, awaited)
    programs = {name: _program(opener, runs_on) for name, opener in openers.items()}
    return whole_runs(conditions, programs, values, awaited=awaited)


def _openers(where: str, folder: Path, beside_memory: bool) -> Mapping[str, Opener]:
    caches = graph_caches(where, folder)
    if not beside_memory:
        return caches
    return {"hitrate": caches["hitrate"], IN_MEMORY: graph_caches("memory", folder)["hitrate"]}


def _program(opener: Opener, runs_on: Callable[[Any], Callable[[], Any]]) -> Program:
    @contextmanager
    def program(folder: Path) -> Iterator[Callable[[], Any]]:
        with opener(folder) as cache:
            yield runs_on(cache)

    return program


def _flows(values: list[Any], awaited: bool) -> Callable[[Any], Callable[[], Any]]:
    """Return a function of a cache that returns what runs an entrypoint with a task for each value."""
    from langgraph.func import entrypoint, task
    from langgraph.types import CachePolicy

    numbers = list(range(len(values)))

    def runs_on(cache: Any) -> Callable[[], Any]:
        @task(cache_policy=CachePolicy())
        def work(number: int) -> Any:
            return values[number]

        @entrypoint(cache=cache)
        def flow(numbers: list[int]) -> list[Any]:
            return [future.result() for future in [work(number) for number in numbers]]

        @task(cache_policy=CachePolicy())
        async def awork(number: int) -> Any:
            return values[number]

        @entrypoint(cache=cache)
        async def aflow(numbers: list[int]) -> list[Any]:
            return await asyncio.gather(*map(awork, numbers))

        return (lambda: aflow.ainvoke(numbers)) if awaited else (lambda: flow.invoke(numbers))

    return runs_on


def _fan_outs(values: list[Any], awaited: bool) -> Callable[[Any], Callable[[], Any]]:
    """Return a function of a cache that returns what runs a graph with a ``Send`` for each value."""
    from langgraph.graph import START, StateGraph
    from langgraph.types import CachePolicy, Send

    given: Work = {"numbers": list(range(len(values)))}

    def work(number: int) -> Work:
        return {"done": [values[number]]}

    async def awork(number: int) -> Work:
        return {"done": [values[number]]}

    def send_all(state: Work) -> Any:  # LangGraph evaluates annotations with the names of the module only
        return [Send("work", number) for number in state["numbers"]]

    def runs_on(cache: Any) -> Callable[[], Any]:
        builder = StateGraph(Work)
        node: Any = awork if awaited else work
        builder.add_node("work", node, cache_policy=CachePolicy())
        builder.add_conditional_edges(START, send_all, ["work"])
        graph = builder.compile(cache=cache)

        async def ainvoke() -> list[Any]:
            return (await graph.ainvoke(given))["done"]

        return ainvoke if awaited else lambda: graph.invoke(given)["done"]

    return runs_on
