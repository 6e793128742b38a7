"""The calls of an agent's model: what is found again, and how it comes back."""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.content import create_image_block, create_text_block
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from sample_agents import (
    Calls,
    Run,
    SampleModel,
    agent_that_looks,
    asking,
    call_of,
    looks_up,
    thread,
    tool_that_looks,
)
from typing_extensions import TypedDict

import hitrate
from hitrate.langchain import CacheMiddleware


def says(text: str) -> Callable[[list[BaseMessage]], AIMessage]:
    return lambda messages: AIMessage(text)


def echo(messages: list[BaseMessage]) -> AIMessage:
    return AIMessage(f"You said {messages[-1].text}.")


def ids_agree(messages: list[BaseMessage]) -> bool:
    """Tell whether each result of a tool is of the call before it, and no id is there twice."""
    called = [each["id"] for message in messages for each in getattr(message, "tool_calls", ())]
    answered = [message.tool_call_id for message in messages if isinstance(message, ToolMessage)]
    ids = [message.id for message in messages]
    return called == answered and len({*called}) == len(called) and len({*ids}) == len(ids) and None not in ids


def test_a_loop_of_two_calls_is_warm_at_its_second_run(cache: Any, calls: Calls, run: Run) -> None:
    for _ in range(2):
        agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"])])
        messages = run(agent, asking("x"))["messages"]
        assert [each.content for each in messages] == ["x", "", "X", "It is X."]
        assert ids_agree(messages)
    assert calls == {"model": 2, "look": 1}
    assert cache.stats().hits == 3


def test_a_thread_that_asks_again_keeps_all_its_messages(cache: Any, calls: Calls, run: Run) -> None:
    agent = agent_that_looks(
        calls,
        [CacheMiddleware(cache, tools=["look"])],
        checkpointer=InMemorySaver(),
        model=SampleModel(last_only, calls),
    )
    for _ in range(3):
        messages = run(agent, asking("x"), thread("1"))["messages"]
    assert len(messages) == 12
    assert ids_agree(messages)


def last_only(messages: list[BaseMessage]) -> AIMessage:
    return looks_up(messages)


def test_a_hit_whose_ids_stand_in_the_history_gets_new_ones(in_memory: Any, calls: Calls, run: Run) -> None:
    """Another middleware cuts the history for the model, so that the third question is the first again."""

    class LastTurn(AgentMiddleware[Any, Any, Any]):
        def wrap_model_call(self, request: ModelRequest[Any], handler: Any) -> Any:
            return handler(request.override(messages=_last_turn(request.messages)))

        async def awrap_model_call(self, request: ModelRequest[Any], handler: Any) -> Any:
            return await handler(request.override(messages=_last_turn(request.messages)))

    agent = agent_that_looks(
        calls, [LastTurn(), CacheMiddleware(in_memory, tools=["look"])], checkpointer=InMemorySaver()
    )
    for _ in range(3):
        messages = run(agent, asking("x"), thread("1"))["messages"]
    assert calls == {"model": 2, "look": 1}
    assert [each.content for each in messages] == ["x", "", "X", "It is X."] * 3
    assert ids_agree(messages)


def _last_turn(messages: list[Any]) -> list[Any]:
    start = max(i for i, each in enumerate(messages) if isinstance(each, HumanMessage))
    return messages[start:]


def test_ids_of_calls_agree_in_all_places_of_a_message(in_memory: Any, calls: Calls) -> None:
    """In blocks of content and in additional_kwargs, as providers have them."""

    def answer(messages: list[BaseMessage]) -> AIMessage:
        call = call_of("look", q="toolu_1")
        return AIMessage(
            [
                {"type": "text", "text": "Let me see"},
                {"type": "tool_use", "id": call["id"], "name": "look", "input": {}},
            ],
            tool_calls=[call],
            additional_kwargs={
                "tool_calls": [{"id": call["id"], "function": {"name": "look", "arguments": "{}"}}],
                "__gemini_function_call_thought_signatures__": {call["id"]: "signature"},
            },
        )

    middleware = CacheMiddleware(in_memory)
    model = SampleModel(answer, calls)
    first = middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model).result[0]
    history = [first, ToolMessage("X", tool_call_id=first.tool_calls[0]["id"])]  # type: ignore[attr-defined]
    request = request_of(model, [HumanMessage("x")], state={"messages": history})
    second: Any = middleware.wrap_model_call(request, call_model).result[0]
    id_ = second.tool_calls[0]["id"]
    assert calls["model"] == 1
    assert id_ != first.tool_calls[0]["id"]  # type: ignore[attr-defined]
    assert id_.startswith("call_")
    assert len(id_) == len("call_") + 24
    assert second.content[1]["id"] == id_
    assert second.additional_kwargs["tool_calls"][0]["id"] == id_
    assert second.additional_kwargs["__gemini_function_call_thought_signatures__"] == {id_: "signature"}
    assert second.tool_calls[0]["args"] == {"q": "toolu_1"}


def request_of(model: Any, messages: list[Any], **more: Any) -> Any:
    return ModelRequest(model=model, messages=messages, **more)


def call_model(request: Any) -> Any:
    from langchain.agents.middleware.types import ModelResponse

    messages = [request.system_message, *request.messages] if request.system_message else request.messages
    return ModelResponse(result=[request.model.bind(**request.model_settings).invoke(messages)])


# What counts


@tool
def other(q: str) -> str:
    """Another tool."""
    return q


@tool("look")
def look_elsewhere(q: str, where: str) -> str:
    """Look it up."""
    return q


@tool("look")
def look_described(q: str) -> str:
    """Look it up in a book."""
    return q


class Form(BaseModel):
    text: str


class OtherForm(BaseModel):
    text: str
    more: int = 0


DIFFERENT: dict[str, Callable[[Any], Any]] = {
    "the question": lambda r: r.override(messages=[HumanMessage("y")]),
    "a message more": lambda r: r.override(messages=[*r.messages, HumanMessage("y")]),
    "the role": lambda r: r.override(messages=[AIMessage("x")]),
    "the name of who asks": lambda r: r.override(messages=[HumanMessage("x", name="Eve")]),
    "the system prompt": lambda r: r.override(system_message=SystemMessage("Be brief.")),
    "no system prompt": lambda r: r.override(system_message=None),
    "the system prompt as a message": lambda r: r.override(
        system_message=None, messages=[SystemMessage("You help."), *r.messages]
    ),
    "a tool more": lambda r: r.override(tools=[*r.tools, other]),
    "no tools": lambda r: r.override(tools=[]),
    "a tool's parameters": lambda r: r.override(tools=[look_elsewhere]),
    "a tool's description": lambda r: r.override(tools=[look_described]),
    "a provider's tool": lambda r: r.override(tools=[*r.tools, {"type": "web_search"}]),
    "the tool choice": lambda r: r.override(tool_choice="any"),
    "the tool choice as a dict": lambda r: r.override(tool_choice={"type": "function", "function": {"name": "look"}}),
    "the settings": lambda r: r.override(model_settings={"stop": ["."]}),
    "the response format": lambda r: r.override(response_format=ToolStrategy(Form)),
    "another response format": lambda r: r.override(response_format=ToolStrategy(OtherForm)),
    "a raw response format": lambda r: r.override(response_format=Form),
    "a response format as JSON schema": lambda r: r.override(
        response_format=ToolStrategy({"title": "Form", "type": "object", "properties": {"text": {"type": "string"}}})
    ),
    "what is said on an error": lambda r: r.override(response_format=ToolStrategy(Form, handle_errors="Again!")),
    "the model's temperature": lambda r: r.override(model=_model_like(r.model, temperature=0.5)),
    "the model's name": lambda r: r.override(model=_model_like(r.model, model_name="sample-2")),
    "a setting of the model's own": lambda r: r.override(model=_model_like(r.model, size=3)),
    "what the model is bound to": lambda r: r.override(model=r.model.bind(stop=["."])),
    "the class of the model": lambda r: r.override(model=_OtherModel(echo, r.model._calls)),
}


class _OtherModel(SampleModel):
    pass


def _model_like(model: SampleModel, **settings: Any) -> SampleModel:
    return SampleModel(model._answer, model._calls, **settings)


def _usual(calls: Calls) -> Any:
    return request_of(
        SampleModel(echo, calls),
        [HumanMessage("x")],
        system_message=SystemMessage("You help."),
        tools=[tool_that_looks(calls)],
    )


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_tells_requests_apart(what: str, in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    for _ in range(2):
        middleware.wrap_model_call(request, call_model)
        middleware.wrap_model_call(DIFFERENT[what](request), lambda _: call_model(request))
    assert calls["model"] == 2


def test_all_that_tells_requests_apart_tells_each_from_each(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    for change in DIFFERENT.values():
        middleware.wrap_model_call(change(request), lambda _: call_model(request))
    assert calls["model"] == len(DIFFERENT)


def _text(text: str) -> Any:
    return create_text_block(text)


def _image(url: str) -> Any:
    return create_image_block(url=url)


def _called(id_: str, **more: Any) -> list[BaseMessage]:
    call = {"name": "look", "args": {"q": "x"}, "id": id_, "type": "tool_call"}
    return [HumanMessage("x"), AIMessage("", tool_calls=[call], **more), ToolMessage("X", tool_call_id=id_)]


SAME: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "ids of messages": (
        lambda r: r.override(messages=[HumanMessage("x", id="1")]),
        lambda r: r.override(messages=[HumanMessage("x", id="2")]),
    ),
    "ids of tool calls": (lambda r: r.override(messages=_called("a")), lambda r: r.override(messages=_called("b"))),
    "usage": (
        lambda r: r.override(messages=_called("a")),
        lambda r: r.override(
            messages=_called("a", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})
        ),
    ),
    "metadata of responses": (
        lambda r: r.override(messages=_called("a", response_metadata={"id": "1"})),
        lambda r: r.override(messages=_called("a", response_metadata={"id": "2"})),
    ),
    "an artifact, which no model sees": (
        lambda r: r.override(messages=[ToolMessage("X", tool_call_id="a", artifact=object())]),
        lambda r: r.override(messages=[ToolMessage("X", tool_call_id="a", artifact=object())]),
    ),
    "cache_control of the settings": (
        lambda r: r,
        lambda r: r.override(model_settings={"cache_control": {"type": "e"}}),
    ),
    "cache_control of the system prompt": (
        lambda r: r.override(system_message=SystemMessage([{"type": "text", "text": "You help."}])),
        lambda r: r.override(
            system_message=SystemMessage(
                [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}]
            )
        ),
    ),
    "cache_control of a tool": (
        lambda r: r,
        lambda r: r.override(
            tools=[r.tools[0].model_copy(update={"extras": {"cache_control": {"type": "ephemeral"}}})]
        ),
    ),
    "cache_control of a prompt of text": (
        lambda r: r,
        lambda r: r.override(
            system_message=SystemMessage(
                [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}]
            )
        ),
    ),
    "the text of another message": (lambda r: r, lambda r: r.override(messages=[HumanMessage(HumanMessage("x").text)])),
    "the order of settings": (
        lambda r: r.override(model_settings={"a": 1, "b": 2}),
        lambda r: r.override(model_settings={"b": 2, "a": 1}),
    ),
    "an item's id at OpenAI": (
        lambda r: r.override(messages=[AIMessage([{"type": "text", "text": "x", "id": "msg_1"}])]),
        lambda r: r.override(messages=[AIMessage([{"type": "text", "text": "x", "id": "msg_2"}])]),
    ),
    "ids of blocks that LangChain made": (
        lambda r: r.override(messages=[HumanMessage([_text("x"), _image("https://a/b.png")])]),
        lambda r: r.override(messages=[HumanMessage([_text("x"), _image("https://a/b.png")])]),
    ),
    "a text that is a block that LangChain made": (
        lambda r: r,
        lambda r: r.override(messages=[HumanMessage([_text("x")])]),
    ),
    "an equal tool": (lambda r: r, lambda r: r.override(tools=[tool_that_looks(Calls())])),
    "an equal model": (lambda r: r, lambda r: r.override(model=_model_like(r.model))),
}


@pytest.mark.parametrize("what", SAME)
def test_what_does_not_tell_requests_apart(what: str, in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    for change in SAME[what]:
        middleware.wrap_model_call(change(request), lambda _: call_model(request))
    assert calls["model"] == 1


def test_which_result_is_of_which_call_counts(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    made = [{"name": "look", "args": {"q": q}, "id": q, "type": "tool_call"} for q in ("a", "b")]
    for first, second in (("a", "b"), ("b", "a")):
        answers = [ToolMessage("X", tool_call_id=first), ToolMessage("Y", tool_call_id=second)]
        changed = request.override(messages=[AIMessage("", tool_calls=made), *answers])
        middleware.wrap_model_call(changed, lambda _: call_model(request))
    assert calls["model"] == 2


PIXELS = bytes(range(256)) * 40
_B64 = base64.b64encode(PIXELS).decode()
IMAGES: dict[str, dict[str, Any]] = {
    "a data URL": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_B64}"}},
    "a data URL in short": {"type": "image_url", "image_url": f"data:image/png;base64,{_B64}"},
    "base64": {"type": "image", "base64": _B64, "mime_type": "image/png"},
    "base64 of the first standard": {"type": "image", "source_type": "base64", "data": _B64, "mime_type": "image/png"},
    "Anthropic's": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _B64}},
    "bytes": {"type": "image", "data": PIXELS, "mime_type": "image/png"},
    "OpenAI's responses": {"type": "input_image", "image_url": f"data:image/png;base64,{_B64}"},
}


def test_an_image_counts_by_its_bytes(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    for block in IMAGES.values():
        asked = request.override(messages=[HumanMessage([{"type": "text", "text": "What is it?"}, block])])
        middleware.wrap_model_call(asked, lambda _: call_model(request))
    assert calls["model"] == 1


OTHER_IMAGES: list[dict[str, Any]] = [
    {"type": "image", "base64": base64.b64encode(PIXELS[1:]).decode(), "mime_type": "image/png"},
    {"type": "image", "base64": _B64, "mime_type": "image/jpeg"},
    {"type": "file", "base64": _B64, "mime_type": "image/png"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_B64}", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}},
    {"type": "image", "file_id": "file-1"},
    {"type": "image", "file_id": "file-2"},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "YQ=="}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "YR=="}},
    {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "YQ=="}},
    {"type": "input_audio", "input_audio": {"data": _B64, "format": "wav"}},
    {"type": "input_audio", "input_audio": {"data": _B64, "format": "mp3"}},
    {"type": "text", "text": _B64},
]


def test_other_images_and_files_are_others(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    for block in [IMAGES["base64"], *OTHER_IMAGES]:
        middleware.wrap_model_call(request.override(messages=[HumanMessage([block])]), lambda _: call_model(request))
    assert calls["model"] == 1 + len(OTHER_IMAGES)


# What comes back


@dataclass
class Point:
    x: int
    y: int


class Place(TypedDict):
    x: int


FORMS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "a model of pydantic": (Form, Form(text="hello"), {"text": "hello"}),
    "a dataclass": (Point, Point(1, 2), {"x": 1, "y": 2}),
    "a TypedDict": (Place, {"x": 1}, {"x": 1}),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_structured_response_comes_back(kind: str, cache: Any, calls: Calls, run: Run) -> None:
    schema, expected, args = FORMS[kind]

    def answer(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage("", tool_calls=[call_of(schema.__name__, **args)])

    for _ in range(2):
        agent = create_agent(
            SampleModel(answer, calls), [], response_format=ToolStrategy(schema), middleware=[CacheMiddleware(cache)]
        )
        result = run(agent, asking("x"))
        assert result["structured_response"] == expected
        assert type(result["structured_response"]) is type(expected)
        assert ids_agree(result["messages"])
        assert len(result["messages"]) == 3
    assert calls["model"] == 1


def test_an_answer_that_does_not_fit_the_format_is_not_kept(in_memory: Any, calls: Calls, run: Run) -> None:
    def answer(messages: list[BaseMessage]) -> AIMessage:
        right = any(isinstance(each, ToolMessage) for each in messages)
        return AIMessage("", tool_calls=[call_of("Form", **({"text": "x"} if right else {"text": []}))])

    for number in (2, 3):
        agent = create_agent(
            SampleModel(answer, calls), [], response_format=ToolStrategy(Form), middleware=[CacheMiddleware(in_memory)]
        )
        assert run(agent, asking("x"))["structured_response"] == Form(text="x")
        assert calls["model"] == number


UNFINISHED: dict[str, AIMessage] = {
    "OpenAI's length": AIMessage("Once upon", response_metadata={"finish_reason": "length"}),
    "Anthropic's max_tokens": AIMessage("Once upon", response_metadata={"stop_reason": "max_tokens"}),
    "Bedrock's max_tokens": AIMessage("Once upon", response_metadata={"stopReason": "max_tokens"}),
    "Gemini's MAX_TOKENS": AIMessage("Once upon", response_metadata={"finish_reason": "MAX_TOKENS"}),
    "Ollama's length": AIMessage("Once upon", response_metadata={"done_reason": "length"}),
    "OpenAI's incomplete": AIMessage("Once upon", response_metadata={"status": "incomplete"}),
    "a full window": AIMessage("Once", response_metadata={"stop_reason": "model_context_window_exceeded"}),
    "OpenAI's content filter": AIMessage("Once", response_metadata={"finish_reason": "content_filter"}),
    "Gemini's SAFETY": AIMessage("Once", response_metadata={"finish_reason": "SAFETY"}),
    "Anthropic's refusal": AIMessage("I cannot", response_metadata={"stop_reason": "refusal"}),
    "OpenAI's refusal": AIMessage("", additional_kwargs={"refusal": "I cannot"}),
    "a refusal as a block": AIMessage([{"type": "refusal", "refusal": "I cannot"}]),
    "nothing": AIMessage(""),
    "white space": AIMessage(" \n"),
    "an empty list": AIMessage([]),
    "an empty block of text": AIMessage([{"type": "text", "text": ""}]),
    "thoughts alone": AIMessage([{"type": "thinking", "thinking": "Hm"}]),
    "a call that was cut off": AIMessage(
        "", invalid_tool_calls=[{"name": "look", "args": '{"q', "id": "1", "error": None, "type": "invalid_tool_call"}]
    ),
    "a pause": AIMessage("Searching", response_metadata={"stop_reason": "pause_turn"}),
}


@pytest.mark.parametrize("why", UNFINISHED)
def test_an_answer_that_is_not_whole_is_not_kept(why: str, in_memory: Any, calls: Calls) -> None:
    model = SampleModel(lambda messages: UNFINISHED[why], calls)
    middleware = CacheMiddleware(in_memory)
    for _ in range(2):
        answered = middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model)
        assert answered.result[0].content == UNFINISHED[why].content
    assert calls["model"] == 2
    assert in_memory.stats().entries == 0


WHOLE: dict[str, AIMessage] = {
    "OpenAI's stop": AIMessage("Once.", response_metadata={"finish_reason": "stop"}),
    "Anthropic's end_turn": AIMessage("Once.", response_metadata={"stop_reason": "end_turn"}),
    "Gemini's STOP": AIMessage("Once.", response_metadata={"finish_reason": "STOP"}),
    "calls without a text": AIMessage("", tool_calls=[call_of("look", q="x")]),
    "an image": AIMessage([{"type": "image", "base64": _B64, "mime_type": "image/png"}]),
    "thoughts and a text": AIMessage([{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Yes."}]),
    "OpenAI's completed": AIMessage("Once.", response_metadata={"status": "completed", "incomplete_details": None}),
}


@pytest.mark.parametrize("what", WHOLE)
def test_an_answer_comes_back_as_it_was(what: str, cache: Any, calls: Calls) -> None:
    model = SampleModel(lambda messages: WHOLE[what], calls)
    middleware = CacheMiddleware(cache)
    first, second = (
        middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model).result[0] for _ in range(2)
    )
    assert calls["model"] == 1
    assert second.id is not None
    assert second.id != first.id
    assert second.model_copy(update={"id": first.id}) == first


def test_a_hit_is_streamed_as_one_message(in_memory: Any, calls: Calls) -> None:
    agent = create_agent(SampleModel(echo, calls), [], middleware=[CacheMiddleware(in_memory)])
    for _ in range(2):
        chunks = [chunk for chunk, _ in agent.stream(asking("x"), stream_mode="messages")]
        assert "".join(chunk.text for chunk in chunks if chunk.text) == "You said x."
    assert calls["model"] == 1


def test_agents_of_other_names_do_not_share(in_memory: Any, calls: Calls, run: Run) -> None:
    for _ in range(2):
        for name in ("ann", "bob"):
            agent = create_agent(SampleModel(echo, calls), [], name=name, middleware=[CacheMiddleware(in_memory)])
            assert run(agent, asking("x"))["messages"][-1].name == name
    assert calls["model"] == 2


# Once


def test_equal_calls_of_threads_run_once(cache: Any, calls: Calls) -> None:
    arrived = threading.Barrier(5)

    def answer(messages: list[BaseMessage]) -> AIMessage:
        threads_that_ask.wait(20)
        return AIMessage("done", tool_calls=[call_of("look", q="x")])

    threads_that_ask = threading.Event()
    middleware = CacheMiddleware(cache)
    model = SampleModel(answer, calls)

    def ask(number: int) -> Any:
        arrived.wait(20)
        return middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model).result[0]

    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        arrived.wait(20)
        threads_that_ask.set()
        answers = [each.result(20) for each in asked]
    assert calls["model"] == 1
    assert len({each.id for each in answers}) == 4


def test_equal_calls_of_tasks_run_once(cache: Any, calls: Calls) -> None:
    agent = create_agent(SampleModel(echo, calls), [], middleware=[CacheMiddleware(cache)])

    async def main() -> list[Any]:
        return await asyncio.gather(*(agent.ainvoke(asking("x")) for _ in range(4)))

    results = asyncio.run(main())
    assert calls["model"] == 1
    assert len({each["messages"][-1].id for each in results}) == 4


def test_equal_calls_of_tasks_see_what_the_one_that_ran_raised(in_memory: Any, calls: Calls) -> None:
    def fails(messages: list[BaseMessage]) -> AIMessage:
        raise LookupError("no such model")

    middleware = CacheMiddleware(in_memory)
    request = request_of(SampleModel(fails, calls), [HumanMessage("x")])

    async def handler(request: Any) -> Any:
        await asyncio.sleep(0)
        return call_model(request)

    async def main() -> list[Any]:
        asked = (middleware.awrap_model_call(request, handler) for _ in range(3))
        return await asyncio.gather(*asked, return_exceptions=True)

    assert [repr(each) for each in asyncio.run(main())] == ["LookupError('no such model')"] * 3
    assert calls["model"] == 1


def test_a_call_that_is_cancelled_cancels_no_other(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = request_of(SampleModel(echo, calls), [HumanMessage("x")])

    async def main() -> Any:
        began, go = asyncio.Event(), asyncio.Event()

        async def handler(request: Any) -> Any:
            began.set()
            await go.wait()
            return call_model(request)

        first = asyncio.create_task(middleware.awrap_model_call(request, handler))
        await began.wait()
        second = asyncio.create_task(middleware.awrap_model_call(request, handler))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(main()).result[0].content == "You said x."
    assert calls["model"] == 1


# Never fails a run


def test_what_a_model_raises_is_raised_once_for_each_call(cache: Any, calls: Calls, run: Run) -> None:
    def fails(messages: list[BaseMessage]) -> AIMessage:
        raise LookupError("no such model")

    agent = create_agent(SampleModel(fails, calls), [], middleware=[CacheMiddleware(cache)])
    for number in (1, 2):
        with pytest.raises(LookupError, match="no such model") as raised:
            run(agent, asking("x"))
        assert raised.value.__cause__ is None
        assert calls["model"] == number


class _Opaque:
    pass


def test_a_setting_without_content_runs_uncached_and_is_logged_once(
    in_memory: Any, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    for _ in range(2):
        changed = request.override(model_settings={"client": _Opaque()})
        middleware.wrap_model_call(changed, lambda _: call_model(request))
    assert calls["model"] == 2
    (line,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert "model_settings['client'] is of type" in line
    assert "_Opaque" in line
    assert "ignore=" not in line
    assert " at 0x" not in line


def _over(opaque: Any) -> Any:
    return lambda: opaque


@pytest.mark.parametrize(
    "handle",
    [lambda opaque: opaque, _over, lambda opaque: [_over(opaque)], lambda opaque: {"a": (_over(opaque),)}],
    ids=["object", "closure", "list", "dict"],
)
def test_a_model_with_a_field_without_content_runs_uncached(
    handle: Any, in_memory: Any, calls: Calls, caplog: Any
) -> None:
    class Handles(SampleModel):
        handle: Any = None

    middleware = CacheMiddleware(in_memory)
    for _ in range(2):
        model = Handles(echo, calls, handle=handle(_Opaque()))
        middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model)
    assert calls["model"] == 2
    (line,) = [each.getMessage() for each in caplog.records]
    assert "the field 'handle' of the model " in line
    assert "_Opaque" in line
    assert "ignore=" not in line
    assert " at 0x" not in line


def test_a_model_that_says_what_tells_it_may_have_a_client(in_memory: Any, calls: Calls) -> None:
    class Handles(SampleModel):
        handle: Any = None

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"size": self.size}

    middleware = CacheMiddleware(in_memory)
    for size in (1, 2, 1, 2):
        model = Handles(echo, calls, handle=_Opaque(), size=size)
        middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model)
    assert calls["model"] == 2


def test_a_count_of_calls_is_no_setting(in_memory: Any, calls: Calls) -> None:
    class Counts(SampleModel):
        number: int = 0

        def _generate(self, *args: Any, **settings: Any) -> Any:
            self.number += 1
            return super()._generate(*args, **settings)

    middleware = CacheMiddleware(in_memory)
    model = Counts(echo, calls)
    for _ in range(2):
        middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model)
    assert calls["model"] == 1


def test_a_setting_that_is_changed_counts(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    model = SampleModel(echo, calls)
    for temperature in (0.0, 0.5, 0.0, 0.5):
        model.temperature = temperature
        middleware.wrap_model_call(request_of(model, [HumanMessage("x")]), call_model)
    assert calls["model"] == 2


class _Broken(hitrate.InMemoryCache[Any]):
    def get(self, keys: Any) -> Any:
        raise ZeroDivisionError("broken")

    async def aget(self, keys: Any) -> Any:
        raise ZeroDivisionError("broken")


@pytest.mark.parametrize("broken", ["broken", "closed", "a scope", "a key"])
def test_whatever_goes_wrong_the_model_and_the_tool_run_once(broken: str, calls: Calls, run: Run, caplog: Any) -> None:
    def wrong(request: Any) -> Any:
        raise KeyError("tenant")

    cache = _Broken() if broken == "broken" else hitrate.InMemoryCache[Any]()
    if broken == "closed":
        cache.close()
    options: dict[str, Any] = {"a scope": {"scope": wrong}, "a key": {"key": wrong}}.get(broken, {})
    agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"], **options)])
    assert run(agent, asking("x"))["messages"][-1].content == "It is X."
    assert calls == {"model": 2, "look": 1}
    assert "runs uncached (logged once)" in caplog.text


def test_what_cannot_be_stored_is_returned(in_memory: Any, calls: Calls, run: Run) -> None:
    class Local(BaseModel):  # no process could find it by its name
        text: str

    def answer(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage("", tool_calls=[call_of("Local", text="x")])

    for number in (1, 2):
        agent = create_agent(
            SampleModel(answer, calls), [], response_format=ToolStrategy(Local), middleware=[CacheMiddleware(in_memory)]
        )
        assert run(agent, asking("x"))["structured_response"] == Local(text="x")
        assert calls["model"] == number


def test_an_entry_of_another_shape_is_no_answer(in_memory: Any, calls: Calls) -> None:
    middleware = CacheMiddleware(in_memory)
    request = _usual(calls)
    middleware.wrap_model_call(request, call_model)
    from hitrate.langchain.model_calls import key_of_model_call

    full_key = key_of_model_call(request, None)
    for number, hostile in enumerate(([1], [0.0, 0, 0, [["x"], None]], {"a": 1}, [0.0, 0, 0, [[], None]]), 2):
        in_memory.set({full_key: (hostile, None)})
        assert middleware.wrap_model_call(request, call_model).result[0].content == "You said x."
        assert calls["model"] == number


# Runs


def test_scopes_bypass_and_refresh(cache: Any, calls: Calls, run: Run) -> None:
    agent = create_agent(SampleModel(echo, calls), [], middleware=[CacheMiddleware(cache)])

    def made() -> int:
        before = calls["model"]
        run(agent, asking("x"))
        return calls["model"] - before

    assert (made(), made()) == (1, 0)
    with hitrate.scope("acme"):
        assert (made(), made()) == (1, 0)
    with hitrate.bypass():
        assert (made(), made()) == (1, 1)
    with hitrate.refresh():
        assert (made(), made()) == (1, 1)
    assert made() == 0


@dataclass
class Context:
    tenant: str


def test_a_scope_of_the_context(cache: Any, calls: Calls, run: Run) -> None:
    middleware: Any = CacheMiddleware(cache, tools=["look"], scope=lambda request: request.runtime.context.tenant)
    agent = agent_that_looks(calls, [middleware], context_schema=Context)
    for tenant in ("acme", "other", "acme", "other"):
        run(agent, asking("x"), context=Context(tenant))
    assert calls == {"model": 4, "look": 2}


def test_a_scope_of_content(in_memory: Any, calls: Calls) -> None:
    for version in (1, 2, 1, 2):
        CacheMiddleware(in_memory, scope=("v", version)).wrap_model_call(_usual(calls), call_model)
    assert calls["model"] == 2


def test_a_ttl(open_cache: Any, calls: Calls, clock: Any, run: Run) -> None:
    agent = create_agent(SampleModel(echo, calls), [], middleware=[CacheMiddleware(open_cache(), ttl=60)])
    for seconds, number in ((0, 1), (59, 1), (2, 2)):
        clock.advance(seconds)
        run(agent, asking("x"))
        assert calls["model"] == number


def test_models_are_left_alone_if_asked(in_memory: Any, calls: Calls, run: Run) -> None:
    agent = agent_that_looks(calls, [CacheMiddleware(in_memory, models=False, tools=["look"])])
    for _ in range(2):
        run(agent, asking("x"))
    assert calls == {"model": 4, "look": 1}


def test_namespaces_are_cleared(cache: Any, calls: Calls, run: Run) -> None:
    agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"])])
    run(agent, asking("x"))
    cache.clear([("langchain", "model", "sample-1")])
    run(agent, asking("x"))
    assert calls == {"model": 4, "look": 1}
    cache.clear_under(("langchain",))
    run(agent, asking("x"))
    assert calls == {"model": 6, "look": 2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cache": {}}, "takes a hitrate cache"),
        ({"tools": "look"}, "list of names"),
        ({"tools": [1]}, "by its name"),
        ({"key": "user"}, "cannot be called"),
        ({"models": ["sample-1"]}, r"models is True or False, not \['sample-1'\] of type list"),
        ({"keep_errors": ValueError}, "keep_errors is True or False"),
        ({"keep_commands": "look"}, "keep_commands is True or False"),
        (
            {"scope": _Opaque()},
            "the argument scope cannot be part of a key.* Give what names it, as an id, in its place$",
        ),
        ({"name": 3}, "name of a middleware"),
        ({"ttl": "1h"}, "TTL"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str, in_memory: Any) -> None:
    with pytest.raises(TypeError, match=said):
        CacheMiddleware(**{"cache": in_memory, **options})
