"""Messages count by role, content and tool calls."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.content import create_text_block

from hitrate import MsgpackSerializer, stable_key

CALL = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}
USAGE: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HumanMessage("hi"), HumanMessage("hi", id="7", response_metadata={"x": 1})),
        (HumanMessage("hi"), HumanMessage(content="hi", name=None, additional_kwargs={})),
        (AIMessage("hi"), AIMessage("hi", id="run-1", response_metadata={"model_name": "m"}, usage_metadata=USAGE)),
        (AIMessage("hi"), AIMessage("hi", additional_kwargs={"refusal": None})),
        (AIMessage("", tool_calls=[CALL]), AIMessage("", id="run-1", tool_calls=[dict(reversed(CALL.items()))])),
        (ToolMessage("x", tool_call_id="1"), ToolMessage("x", tool_call_id="1", id="2")),
        (HumanMessage([create_text_block("hi")]), HumanMessage([create_text_block("hi")])),
    ],
    ids=["id", "built", "metadata", "nothing more", "tool calls", "tool", "blocks"],
)
def test_ids_and_metadata_of_a_run_do_not_count(one: BaseMessage, other: BaseMessage) -> None:
    assert stable_key([one]) == stable_key([other])
    assert stable_key(state={"messages": [one]}) == stable_key(state={"messages": [other]})


def test_what_a_model_would_read_counts() -> None:
    messages = [
        *(HumanMessage("hi"), AIMessage("hi"), SystemMessage("hi"), ChatMessage("hi", role="a"), "hi"),
        *(ChatMessage("hi", role="b"), HumanMessage("ho"), HumanMessage("hi", name="Ann"), HumanMessage(["hi"])),
        *(AIMessage("hi", tool_calls=[CALL]), AIMessage("hi", tool_calls=[{**CALL, "args": {"city": "Bergen"}}])),
        *(AIMessage("hi", tool_calls=[{**CALL, "id": "call_2"}]), AIMessage("hi", additional_kwargs={"refusal": "no"})),
        *(ToolMessage("hi", tool_call_id="1"), ToolMessage("hi", tool_call_id="2")),
        *(ToolMessage("hi", tool_call_id="1", status="error"), ToolMessage("hi", tool_call_id="1", artifact=[1])),
        *(RemoveMessage(id="1"), RemoveMessage(id="2")),
    ]
    keys = [stable_key(each) for each in messages]
    assert len({*keys}) == len(keys)


def test_a_message_from_the_serializer_has_the_same_key() -> None:
    serde = MsgpackSerializer()
    message = AIMessage("", tool_calls=[CALL], id="run-1", usage_metadata=USAGE)
    assert stable_key(serde.loads_typed(serde.dumps_typed(message))) == stable_key(message)


def test_a_document_counts_whole() -> None:
    documents = [Document("x"), Document("y"), Document("x", metadata={"a": 1}), Document("x", id="1")]
    assert len({stable_key(each) for each in documents}) == 4


def test_a_message_that_cannot_be_keyed_is_found() -> None:
    state = {"messages": [HumanMessage("hi"), ToolMessage("x", tool_call_id="1", artifact=object())]}
    with pytest.raises(TypeError, match=r"state\['messages'\]\[1\].artifact is of type builtins.object"):
        stable_key(state=state)
