"""What type checkers must accept, and what not: ``mypy --strict`` and pyright read this file, and nothing runs it."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, assert_type

from langgraph.cache.base import BaseCache as LangGraphCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.func import entrypoint, task
from langgraph.graph import StateGraph
from langgraph.types import CachePolicy

import hitrate
from hitrate.base import FullKey
from hitrate.langgraph import InMemoryCache, RedisCache, SqliteCache, attach, policy
from hitrate.testing import Clock

Writes = deque[tuple[str, Any]]


class State(TypedDict):
    number: int


@hitrate.cached(InMemoryCache())
def node(state: State) -> State:
    return state


@hitrate.cached(InMemoryCache())
async def anode(state: State) -> State:
    return state


def a_graph_takes_them(builder: StateGraph[State]) -> None:
    in_memory: InMemoryCache[Writes] = InMemoryCache()
    on_disk: SqliteCache[Writes] = SqliteCache(path=Path("cache.db"))
    builder.compile(cache=in_memory)
    builder.compile(cache=on_disk)
    builder.compile(cache=InMemoryCache())
    builder.compile(cache=SqliteCache(path="cache.db"))
    builder.compile(cache=RedisCache("redis://localhost"))


def a_graph_takes_cached_functions(builder: StateGraph[State]) -> None:
    builder.add_node("node", node, cache_policy=CachePolicy(key_func=hitrate.stable_key, ttl=60))
    builder.add_node("anode", anode)


def a_graph_takes_policies(builder: StateGraph[State]) -> None:
    builder.add_node("node", node, cache_policy=policy())
    builder.add_node("anode", anode, cache_policy=policy(anode, only="number", ttl=timedelta(hours=1), scope=True))
    builder.add_node("partial", partial(plain), cache_policy=policy(partial(plain), ignore=["number"]))
    graph = attach(builder.compile(), InMemoryCache())
    attach(graph.with_config(tags=["a"]), SqliteCache(path="cache.db")).clear_cache(["node"])
    policy(only=1)  # type: ignore[arg-type]
    policy(messages="1")  # type: ignore[arg-type]
    policy("node")  # type: ignore[arg-type]


def plain(state: State) -> State:
    return state


@task(cache_policy=policy(plain, ttl=60))
def a_task_takes_them(number: int) -> str:
    return str(number)


@entrypoint(cache=InMemoryCache(), cache_policy=policy())
def an_entrypoint_takes_policies(number: int) -> str:
    assert_type(a_task_takes_them(number).result(), str)
    return a_task_takes_them(number).result()


def caches_need_no_annotation() -> None:
    in_memory, on_disk = InMemoryCache(), SqliteCache(path="cache.db")
    assert_type(in_memory, InMemoryCache[Any])
    assert_type(on_disk, SqliteCache[Any])
    theirs: LangGraphCache[Writes] = in_memory
    del theirs


@entrypoint(cache=InMemoryCache())
def an_entrypoint_takes_them(number: int) -> int:
    return number


def they_are_of_both_houses(cache: InMemoryCache[int], file: SqliteCache[int]) -> None:
    theirs: list[LangGraphCache[int]] = [cache, file]
    ours: list[hitrate.BaseCache[int]] = [cache, file]
    memory: hitrate.InMemoryCache[int] = cache
    sqlite: hitrate.SqliteCache[int] = file
    del theirs, ours, memory, sqlite


def options_are_typed(clock: Clock) -> None:
    InMemoryCache[int](max_bytes=1 << 20, max_entries=None, default_ttl=0.5, on_error="raise", clock=clock)
    SqliteCache[int](path="cache.db", durability="full", max_bytes=None, default_ttl=60, on_error="miss", clock=clock)
    InMemoryCache[int](max_byte=1)  # type: ignore[call-arg]
    InMemoryCache[int](on_error="ignore")  # type: ignore[arg-type]
    SqliteCache[int]()  # type: ignore[call-arg]
    SqliteCache[int](path=1)  # type: ignore[arg-type]


def serializers_fit_both_houses() -> None:
    InMemoryCache[int](serde=JsonPlusSerializer())
    SqliteCache[int](path="cache.db", serde=hitrate.MsgpackSerializer())
    InMemorySaver(serde=hitrate.MsgpackSerializer())


async def values_are_typed(cache: InMemoryCache[int], file: SqliteCache[int], keys: list[FullKey]) -> None:
    assert_type(cache.get(keys), dict[FullKey, int])
    assert_type(file.get(keys), dict[FullKey, int])
    assert_type(await cache.aget(keys), dict[FullKey, int])
    assert_type(await file.aget(keys), dict[FullKey, int])
    cache.set({(("a",), "b"): (1, 2.5)})
    await file.aset({(("a",), "b"): (1, None)})
    cache.set({(("a",), "b"): ("one", None)})  # type: ignore[dict-item]
    with cache as same:
        assert_type(same, InMemoryCache[int])
    async with file as same_file:
        assert_type(same_file, SqliteCache[int])
    assert_type(file.stats().seconds_saved, float)
