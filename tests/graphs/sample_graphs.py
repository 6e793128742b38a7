"""Small graphs with a cache, for the tests."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import CachePolicy, Send

Run = Callable[..., Any]


class Documents(TypedDict, total=False):
    documents: Sequence[str]
    lengths: Annotated[list[tuple[str, int]], operator.add]
    total: int


class Chat(TypedDict, total=False):
    question: str
    messages: Annotated[list[AnyMessage], add_messages]


class Work(TypedDict, total=False):
    number: int
    items: list[Any]
    done: Annotated[list[Any], operator.add]


def counting_documents(calls: Counter[str], cache: Any, *, ttl: int | None = None) -> Any:
    """A graph that fans out: one task for each document, joined at the end, all of it cached."""

    def fan_out(state: Documents) -> list[Send]:
        return [Send("measure", document) for document in state["documents"]]

    def measure(document: str) -> Documents:
        calls["measure"] += 1
        return {"lengths": [(document, len(document))]}

    def join(state: Documents) -> Documents:
        calls["join"] += 1
        return {"total": sum(length for _, length in state["lengths"])}

    builder = StateGraph(Documents)
    builder.add_node("measure", measure, cache_policy=CachePolicy(ttl=ttl))
    builder.add_node("join", join, cache_policy=CachePolicy(key_func=lambda s: repr(s["lengths"]), ttl=ttl))
    builder.add_conditional_edges(START, fan_out, ["measure"])
    builder.add_edge("measure", "join")
    return builder.compile(cache=cache)


def one_node(node: Callable[[Any], Any], cache: Any, **policy: Any) -> Any:
    """A graph of one cached node, keyed by the state's number."""
    policy.setdefault("key_func", lambda state: str(state.get("number")))
    return (
        StateGraph(Work)
        .add_node("node", node, cache_policy=CachePolicy(**policy))
        .add_edge(START, "node")
        .compile(cache=cache)
    )
