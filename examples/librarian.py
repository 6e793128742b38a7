"""A chat model for the demo: it takes its time, always answers the same, and needs no network.

It is asked about words in quotes. First it has each of them searched for, then it has the documents that were found
described, and then it answers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

_MOST_DOCUMENTS = 3


class Librarian(BaseChatModel):
    """Stands in for a provider's model.

    Attributes:
        model_name: as what its calls are counted.
        seconds: that it takes to answer.
    """

    model_name: str = "librarian"
    seconds: float

    @property
    def _llm_type(self) -> str:
        return "librarian"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **settings: Any
    ) -> Runnable[Any, AIMessage]:
        """Return the model with the tools that it may call."""
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **settings)

    def _generate(self, messages: list[BaseMessage], *args: Any, **settings: Any) -> ChatResult:
        time.sleep(self.seconds)
        answer = _answer(messages)
        sent, made = sum(map(_tokens, messages)), _tokens(answer)
        answer.usage_metadata = {"input_tokens": sent, "output_tokens": made, "total_tokens": sent + made}
        return ChatResult(generations=[ChatGeneration(message=answer)])


def _answer(messages: list[BaseMessage]) -> AIMessage:
    """Return the next message after those of a conversation."""
    last = max(at for at, message in enumerate(messages) if isinstance(message, HumanMessage))
    results = [message for message in messages[last:] if isinstance(message, ToolMessage)]
    found = [message.text for message in results if message.name == "find"]
    described = [message.text for message in results if message.name == "describe"]
    if described:
        return AIMessage("\n".join(described))
    if not found:
        words = re.findall(r"'(\w+)'", messages[last].text)
        return AIMessage("I look for the words.", tool_calls=[_call("find", word=word) for word in words])
    documents = dict.fromkeys(document for text in found for document in text.splitlines()[:_MOST_DOCUMENTS])
    if not documents:
        return AIMessage("No document says anything about it.")
    return AIMessage("I look into these.", tool_calls=[_call("describe", document=each) for each in documents])


def _call(name: str, **arguments: str) -> ToolCall:
    """Return a call of a tool, with a new id, as every provider gives it."""
    return ToolCall(name=name, args=arguments, id=f"call_{uuid4().hex}", type="tool_call")


def _tokens(message: BaseMessage) -> int:
    """Return about as many tokens as a message has."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return (len(message.text) + sum(len(str(call["args"])) for call in calls)) // 4 + 3
