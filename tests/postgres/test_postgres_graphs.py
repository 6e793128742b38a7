"""The cache on PostgreSQL in a graph: a hit on the second run, and a run whatever the server does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypedDict

import pytest
from langgraph.cache.base import BaseCache
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy

import hitrate
from hitrate.langgraph import PostgresCache
from servers.shared import PATIENT

A, B = ((("namespace",), name) for name in "ab")


class State(TypedDict):
    number: int
    result: Any


def graph_of(cache: Any, runs: list[int], result: Any = None) -> Any:
    def slow(state: State) -> dict[str, Any]:
        runs.append(state["number"])
        return {"result": [state["number"] * 2] if result is None else result}

    builder = StateGraph(State)
    builder.add_node("slow", slow, cache_policy=CachePolicy(ttl=60))
    builder.add_edge(START, "slow")
    builder.add_edge("slow", END)
    return builder.compile(cache=cache)


def test_a_second_run_is_a_hit_by_either_face(postgres_url: str, table: str) -> None:
    runs: list[int] = []
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
        graph = graph_of(cache, runs)
        for _ in range(2):
            assert graph.invoke({"number": 3})["result"] == [6]
            assert asyncio.run(graph.ainvoke({"number": 4}))["result"] == [8]
        assert runs == [3, 4]
        assert cache.stats().errors == 0
        graph.clear_cache()
        graph.invoke({"number": 3})
        assert runs == [3, 4, 3]


def test_a_run_goes_on_without_the_server() -> None:
    runs: list[int] = []
    with PostgresCache[Any]("host=/nowhere") as cache:
        graph = graph_of(cache, runs)
        for _ in range(2):
            assert graph.invoke({"number": 3})["result"] == [6]
            assert asyncio.run(graph.ainvoke({"number": 3}))["result"] == [6]
        assert runs == [3] * 4


def test_what_cannot_be_stored_is_left_out_and_the_run_goes_on(
    postgres_url: str, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    lock = threading.Lock()
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
        graph = graph_of(cache, runs, result=lock)
        for _ in range(2):
            assert graph.invoke({"number": 3})["result"] is lock
        assert runs == [3, 3]
        assert "lock" in caplog.text


def test_is_a_cache_of_both_houses(postgres_url: str) -> None:
    with PostgresCache[Any](postgres_url, **PATIENT) as cache:
        assert isinstance(cache, BaseCache)
        assert isinstance(cache, hitrate.BaseCache)
        assert isinstance(cache, hitrate.PostgresCache)
        assert cache
