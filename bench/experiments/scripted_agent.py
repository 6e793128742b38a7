"""An agent of 10 model calls and 20 tool calls. Its model says what is in a script, and neither takes any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from langchain.agents import create_agent
from langchain.agents.middleware.types import AgentMiddleware, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool
from pydantic import PrivateAttr

MODEL_CALLS = 10
TOOL_CALLS = 20
ANSWER = "These are the results of twenty searches, in a few words."

_CALLS_AT_ONCE = (3, 3, 2, 2, 2, 2, 2, 2, 2)
_QUESTION = {"messages": [("user", "What is there to know about twenty things?")]}


def scripted(step: int) -> AIMessage:
    """Return what the model says after so many of its own messages; its tool calls have new ids, as a provider's."""
    usage = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
    if step == len(_CALLS_AT_ONCE):
        return AIMessage(ANSWER, usage_metadata=usage)
    first = sum(_CALLS_AT_ONCE[:step])
    calls = [
        {"name": "search", "args": {"text": f"thing {first + at}", "limit": 5}, "id": f"call_{uuid4().hex}"}
        for at in range(_CALLS_AT_ONCE[step])
    ]
    return AIMessage(f"In step {step} I search for more.", tool_calls=calls, usage_metadata=usage)


def step_of(messages: Sequence[BaseMessage]) -> int:
    """Return how many messages of the model there are."""
    return sum(message.type == "ai" for message in messages)


class ScriptedModel(BaseChatModel):
    """Says what is in the script, and counts its calls."""

    model_name: str = "scripted-1"
    _ran: Counter[str] = PrivateAttr()

    def __init__(self, ran: Counter[str], **settings: Any) -> None:
        super().__init__(**settings)
        self._ran = ran

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Sequence[Any], **settings: Any) -> Any:
        return self.bind(tools=[each.name for each in tools], **settings)

    def _generate(self, messages: list[BaseMessage], *args: Any, **settings: Any) -> ChatResult:
        self._ran["model"] += 1
        return ChatResult(generations=[ChatGeneration(message=scripted(step_of(messages)))])

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **settings: Any) -> ChatResult:
        return self._generate(messages)


class Prepared(AgentMiddleware[Any, Any, Any]):
    """Answers calls at once, without a model or tool: what an agent costs by itself.

    Args:
        models: whether calls of the model are answered.
        tools: whether calls of tools are.
        name: an agent with two of them needs one for each.
    """

    def __init__(self, *, models: bool, tools: bool, name: str = "prepared") -> None:
        super().__init__()
        self._name = name
        self.tools: Sequence[BaseTool] = ()
        self._models = models
        self._tools = tools

    @property
    def name(self) -> str:
        """The name of the middleware."""
        return self._name

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Return what the script says."""
        return self._response(request) if self._models else handler(request)

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Return what the script says."""
        return self._response(request) if self._models else await handler(request)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the result of a search."""
        return self._result(request) if self._tools else handler(request)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Return the result of a search."""
        return self._result(request) if self._tools else await handler(request)

    def _response(self, request: Any) -> Any:
        return ModelResponse(result=[scripted(step_of(request.messages))], structured_response=None)

    def _result(self, request: Any) -> ToolMessage:
        call = request.tool_call
        return ToolMessage(_found(call["args"]["text"]), tool_call_id=call["id"], name=call["name"])


class HandingOn(AgentMiddleware[Any, Any, Any]):
    """Does nothing but hand on each call: what LangChain takes for any middleware."""

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Return what the model says."""
        return handler(request)

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Return what the model says."""
        return await handler(request)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Return what the tool finds."""
        return handler(request)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Return what the tool finds."""
        return await handler(request)


def runs_agent(
    ran: Counter[str], *middleware: AgentMiddleware[Any, Any, Any], awaited: bool, **settings: Any
) -> Callable[[], Any]:
    """Return what runs an agent once, and returns its answer.

    Args:
        ran: counts the calls of ``"model"`` and ``"tool"`` that ran.
        middleware: of the agent.
        awaited: whether the run is to be awaited.
        settings: of the model, as ``cache``.
    """

    @tool
    def search(text: str, limit: int) -> str:
        """Search for a text."""
        ran["tool"] += 1
        return _found(text)

    @tool("search")
    async def asearch(text: str, limit: int) -> str:
        """Search for a text."""
        ran["tool"] += 1
        return _found(text)

    model = ScriptedModel(ran, **settings)
    agent: Any = create_agent(model, [asearch if awaited else search], middleware=middleware)

    async def ainvoke() -> Any:
        return (await agent.ainvoke(_QUESTION))["messages"][-1].content

    return ainvoke if awaited else lambda: agent.invoke(_QUESTION)["messages"][-1].content


def _found(text: str) -> str:
    return f"What was found of {text}. ".ljust(500, ".")
