"""An agent, cold and warm: through our middleware, with LangChain's own cache of models, and without any.

Model and tools take no time, so that what is shown is what a cache costs. Without one it is LangChain's own machinery,
which takes longer with a middleware, whatever that does: each of its awaited calls goes to a thread and back, twice.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.contenders import Missing
from bench.contenders.graphs import graph_caches
from bench.contenders.redis import socket_of_server
from bench.experiments.base import Conditions, Samples
from bench.experiments.scripted_agent import ANSWER, MODEL_CALLS, TOOL_CALLS, HandingOn, runs_agent
from bench.experiments.whole_runs import Program, whole_runs

THEIRS = "LangChain's LLM cache"
WITHOUT = "no cache"
IDLE = "a middleware that does nothing"

_UNMEASURED = MODEL_CALLS
"""Runs after the first one until LangChain's caches are warm: a hit's message differs from what the model had said in
its usage, which is in the keys of all later calls, so that each run makes only one more call a hit."""


def measure(conditions: Conditions, *, where: str, awaited: bool) -> Samples:
    """Measure whole runs.

    Args:
        conditions: how to run.
        where: ``"memory"``, ``"file"`` or ``"redis"``.
        awaited: whether the run is ``ainvoke``.
    """
    try:
        theirs = _models_own(where, conditions.folder, awaited)
    except ImportError as error:
        if not conditions.allow_missing:
            raise Missing(THEIRS, error) from error
        return {"cold": {}, "warm": {}}
    programs = {
        "hitrate": _through_middleware(where, conditions.folder, awaited),
        THEIRS: theirs,
        WITHOUT: _without(awaited),
        IDLE: _without(awaited, HandingOn()),
    }
    return whole_runs(conditions, programs, ANSWER, awaited=awaited, unmeasured=_UNMEASURED)


def _through_middleware(where: str, folder: Path, awaited: bool) -> Program:
    from hitrate.langchain import CacheMiddleware

    opener = graph_caches(where, folder)["hitrate"]

    @contextmanager
    def program(own: Path) -> Iterator[Callable[[], Any]]:
        ran: Counter[str] = Counter()
        with opener(own) as cache:
            yield runs_agent(ran, CacheMiddleware(cache, tools=["search"]), awaited=awaited)
        if ran != {"model": MODEL_CALLS, "tool": TOOL_CALLS}:
            raise AssertionError(f"not all calls of the warm runs were hits: {ran}")

    return program


def _without(awaited: bool, *middleware: HandingOn) -> Program:
    @contextmanager
    def program(own: Path) -> Iterator[Callable[[], Any]]:
        yield runs_agent(Counter(), *middleware, awaited=awaited)

    return program


def _models_own(where: str, folder: Path, awaited: bool) -> Program:
    """Return the agent whose model has a cache of LangChain's, as ``set_llm_cache`` gives it to every model."""
    opener = _openers_of_theirs(where, folder, awaited)

    @contextmanager
    def program(own: Path) -> Iterator[Callable[[], Any]]:
        ran: Counter[str] = Counter()
        with ExitStack() as at_the_end:
            yield runs_agent(ran, cache=opener(own, at_the_end), awaited=awaited)
        if ran["model"] > sum(range(MODEL_CALLS + 1)):
            raise AssertionError(f"the model ran in the warm run of {THEIRS}: {ran}")

    return program


def _openers_of_theirs(where: str, folder: Path, awaited: bool) -> Callable[[Path, ExitStack], Any]:
    if where == "memory":
        from langchain_core.caches import InMemoryCache

        return lambda own, at_the_end: InMemoryCache()
    warnings.filterwarnings("ignore", "The default value of `allowed_objects`")  # langchain-community's own use
    if where == "file":
        from langchain_community.cache import SQLiteCache

        def in_file(own: Path, at_the_end: ExitStack) -> Any:
            cache = SQLiteCache(str(own / "cache.db"))
            at_the_end.callback(cache.engine.dispose)
            return cache

        return in_file
    from langchain_community.cache import AsyncRedisCache, RedisCache
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    socket = socket_of_server(folder)

    def on_redis(own: Path, at_the_end: ExitStack) -> Any:
        client = Redis(unix_socket_path=socket)
        at_the_end.callback(client.close)
        client.flushdb()
        return AsyncRedisCache(AsyncRedis(unix_socket_path=socket)) if awaited else RedisCache(client)

    return on_redis
