"""LangChain's classes for OpenAI and Anthropic, over a server that answers as these do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from sample_agents import Calls, agent_that_looks, asking, thread, tool_that_looks
from sample_provider import Provider, running

from hitrate.langchain import CacheMiddleware, LLMCache


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as server:
        yield server


def _item_ids(request: Any) -> list[str]:
    return re.findall(r'"id": "(\w+)"', json.dumps(request["input"]))


FORMS = [None, "v0", "responses/v1", "v1"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by", ["middleware", "llm cache"])
def test_a_thread_with_built_in_tools_of_openai_is_warm_at_its_second_run_and_goes_on(
    by: str, form: str | None, in_memory: Any, calls: Calls, provider: Provider
) -> None:
    options: dict[str, Any] = {} if form is None else {"output_version": form}
    middleware: list[Any] = []
    if by == "middleware":
        middleware.append(CacheMiddleware(in_memory))
    else:
        options["cache"] = LLMCache(in_memory)
    agent = create_agent(
        provider.openai(**options), [tool_that_looks(calls)], middleware=middleware, checkpointer=InMemorySaver()
    )
    for name in ("cold", "warm"):
        for text in ("hi", "how", "hi"):
            agent.invoke(asking(text), thread(name))
        assert len(provider.asked) == 6
    assert agent.invoke(asking("and"), thread("warm"))["messages"][-1].text == "It is AND."


@pytest.mark.parametrize("form", FORMS)
def test_no_item_of_openai_is_in_a_history_twice(form: str | None, in_memory: Any, provider: Provider) -> None:
    """A node that gives its model the last message alone adds one answer to a history again and again."""
    options: dict[str, Any] = {} if form is None else {"output_version": form}
    model = provider.openai(cache=LLMCache(in_memory), **options)
    builder = StateGraph(MessagesState)
    builder.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"][-1:])]})
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=InMemorySaver())
    for _ in range(3):
        messages = graph.invoke(asking("hi"), thread("a"))["messages"]
    model.invoke([*messages, *asking("and")["messages"]])
    assert len(provider.asked) == 2
    ids = _item_ids(provider.asked[-1])
    assert ids
    assert len({*ids}) == len(ids)


def test_an_image_that_openai_made_is_an_image_on_a_hit(in_memory: Any, provider: Provider) -> None:
    for _ in range(2):
        answer = provider.openai(cache=LLMCache(in_memory)).invoke("hi")
    assert len(provider.asked) == 1
    (image,) = [each for each in answer.content_blocks if each["type"] == "image"]
    assert image["base64"] == "aGk="


@pytest.mark.parametrize("outside", [True, False])
def test_marks_of_anthropics_prompt_cache_do_not_count(
    outside: bool, in_memory: Any, calls: Calls, provider: Provider
) -> None:
    from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware

    ours = CacheMiddleware(in_memory, tools=["look"])
    for ttl in ("5m", "1h"):
        theirs = AnthropicPromptCachingMiddleware(ttl=ttl)  # type: ignore[arg-type]
        both: list[Any] = [theirs, ours] if outside else [ours, theirs]
        agent = agent_that_looks(calls, both, model=provider.anthropic(), system_prompt="You help.")
        messages = agent.invoke(asking("hi"))["messages"]
        assert messages[-1].text == "It is known."
        assert isinstance(messages[1], AIMessage)
        (block,) = messages[1].content
        assert isinstance(block, dict)
        assert block["id"] == messages[1].tool_calls[0]["id"] == messages[2].tool_call_id
    assert (len(provider.asked), calls["look"]) == (2, 1)
    assert "cache_control" in json.dumps(provider.asked)


HOW = [{"timeout": 5}, {"max_retries": 3}, {"stream_usage": False}, {"verbose": True}]


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("by", ["middleware", "llm cache"])
def test_how_a_model_is_asked_does_not_count(
    by: str, how: dict[str, Any], in_memory: Any, calls: Calls, provider: Provider
) -> None:
    for settings in ({}, how):
        middleware = [CacheMiddleware(in_memory)] if by == "middleware" else []
        cache = {"cache": LLMCache(in_memory)} if by == "llm cache" else {}
        agent_that_looks(calls, middleware, model=provider.openai(**settings, **cache)).invoke(asking("hi"))
    assert len(provider.asked) == 2


def test_what_a_model_answers_by_counts(in_memory: Any, calls: Calls, provider: Provider) -> None:
    ours = CacheMiddleware(in_memory)
    kinds: list[dict[str, Any]] = [{}, {"model_kwargs": {"user": "a"}}, {"max_tokens": 5}, {"reasoning_effort": "low"}]
    for settings in kinds:
        agent_that_looks(calls, [ours], model=provider.openai(**settings)).invoke(asking("hi"))
    assert len(provider.asked) == 2 * len(kinds)
