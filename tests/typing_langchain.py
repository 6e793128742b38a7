"""What type checkers must accept of ``hitrate.langchain``: ``mypy --strict`` and pyright read this file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.caches import BaseCache as LangChainCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

import hitrate.langgraph
from hitrate.langchain import CacheMiddleware, LLMCache, Savings, savings


@dataclass
class Context:
    tenant: str


def an_agent_takes_it(model: BaseChatModel, tool: BaseTool, cache: hitrate.InMemoryCache[Any]) -> None:
    create_agent(model, [tool], middleware=[CacheMiddleware(cache)])
    create_agent(model, [tool], middleware=[CacheMiddleware(hitrate.SqliteCache(path="c.db"), tools=["look"])])
    create_agent(model, middleware=[ModelFallbackMiddleware(model), CacheMiddleware(hitrate.langgraph.InMemoryCache())])
    create_agent(model, context_schema=Context, middleware=[CacheMiddleware(cache, scope=lambda request: 1)])
    CacheMiddleware(cache, tools={"look": 60, "find": None, "read": timedelta(hours=1)}, ttl=3600, lease=30)
    CacheMiddleware(cache, tools=[tool], key=lambda request: request.state["user"], keep_errors=True)
    CacheMiddleware(cache, tool=["look"])  # type: ignore[call-arg]
    CacheMiddleware({})  # type: ignore[arg-type]


def models_take_it(cache: hitrate.InMemoryCache[Any]) -> None:
    ours = LLMCache(cache, ttl=timedelta(days=1), prices={"m": (1.0, 2.0)})
    theirs: LangChainCache = ours
    set_llm_cache(ours)
    del theirs


def savings_are_records(cache: hitrate.InMemoryCache[Any]) -> float:
    record: Savings = savings(cache)[0]
    tokens: int = cache.stats().tokens_saved["m"]["input"]
    return record.seconds_saved + (record.dollars or 0.0) + tokens
