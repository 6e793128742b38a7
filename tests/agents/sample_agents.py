"""Models and tools for the tests, which count their calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from pydantic import PrivateAttr

from hitrate.langchain import CacheMiddleware

Run = Callable[..., Any]
Calls = Counter[str]
Answer = Callable[[list[BaseMessage]], AIMessage]

_numbers = count()


class SampleModel(BaseChatModel):
    """A model that answers as a function says, and counts its calls.

    Its tool calls have ids that no call had before, and its messages usage and metadata, as a provider's have.
    """

    model_name: str = "sample-1"
    temperature: float = 0.0
    size: int = 0
    _answer: Answer = PrivateAttr()
    _calls: Calls = PrivateAttr()
    _seen: list[Any] = PrivateAttr(default_factory=list)

    def __init__(self, answer: Answer, calls: Calls, **settings: Any) -> None:
        super().__init__(**settings)
        self._answer = answer
        self._calls = calls

    @property
    def _llm_type(self) -> str:
        return "sample"

    def bind_tools(self, tools: Sequence[Any], **settings: Any) -> Any:
        return self.bind(**settings)

    def _generate(self, messages: list[BaseMessage], *args: Any, **settings: Any) -> ChatResult:
        self._calls["model"] += 1
        self._seen.append(messages)
        answer = self._answer(messages).model_copy(deep=True)
        if answer.usage_metadata is None:
            answer.usage_metadata = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        answer.response_metadata = {"id": f"chatcmpl-{next(_numbers)}", **answer.response_metadata}
        return ChatResult(generations=[ChatGeneration(message=answer)])


def call_of(name: str, **args: Any) -> dict[str, Any]:
    """A tool call with a new id."""
    return {"name": name, "args": args, "id": f"call_{next(_numbers):024}", "type": "tool_call"}


def looks_up(messages: list[BaseMessage]) -> AIMessage:
    """Call the tool with the last question, then say what it said."""
    if isinstance(messages[-1], ToolMessage):
        return AIMessage(f"It is {messages[-1].content}.")
    return AIMessage("", tool_calls=[call_of("look", q=messages[-1].content)])


def tool_that_looks(calls: Calls) -> Any:
    """A tool that counts its calls."""

    @tool
    def look(q: str) -> str:
        """Look it up."""
        calls["look"] += 1
        return q.upper()

    return look


def agent_that_looks(calls: Calls, middleware: Sequence[Any], **options: Any) -> Any:
    """An agent that asks its model, the tool, and its model again."""
    model = options.pop("model", None) or SampleModel(looks_up, calls)
    tools = options.pop("tools", None) or [tool_that_looks(calls)]
    return create_agent(model, tools, middleware=middleware, **options)


def asking(text: str) -> dict[str, Any]:
    """The input of an agent that is asked one question."""
    return {"messages": [HumanMessage(text)]}


def thread(name: str) -> dict[str, Any]:
    """The config of a thread."""
    return {"configurable": {"thread_id": name}}


def agent_with(its_tools: list[Any], made: Callable[[], list[dict[str, Any]]], cache: Any, **options: Any) -> Any:
    """An agent that makes these calls, then says what came back; its model is not cached."""

    def answer(messages: list[BaseMessage]) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage(" ".join(each.text for each in messages if isinstance(each, ToolMessage)))
        return AIMessage("", tool_calls=made())

    of_agent = {name: options.pop(name) for name in ("checkpointer", "context_schema", "store") if name in options}
    middleware: Any = CacheMiddleware(cache, models=False, **options)
    return create_agent(SampleModel(answer, Calls()), its_tools, middleware=[middleware], **of_agent)


def results(state: dict[str, Any]) -> list[ToolMessage]:
    """The results of tools in the state of an agent."""
    return [each for each in state["messages"] if isinstance(each, ToolMessage)]
