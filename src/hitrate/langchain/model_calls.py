"""A call of an agent's model: its key, and what is kept of its response."""

from __future__ import annotations

from typing import Any, Final

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables.config import var_child_runnable_config

from hitrate.base import FullKey, Namespace
from hitrate.content.calls import content_key
from hitrate.langchain.answers import is_whole, make_new, tokens_of
from hitrate.langchain.history import content_of, numbered
from hitrate.langchain.models import identity_of, name_of_model, picks_format_by, told_of
from hitrate.langchain.settings import class_schema, key_of_parts, name_of_class, settings, tool_schema
from hitrate.langchain.spared import StoredResult
from hitrate.langgraph.call_ids import call_ids
from hitrate.langgraph.remembered import Remembered

NAMESPACE: Final[Namespace] = ("langchain", "model")

_PARTS = (
    *("scope", "agent", "model", "model_settings", "messages", "has_system_message", "tools", "tool_choice"),
    "response_format",
)
"""What the parts of a key are called where one of them has no content."""


def key_of_model_call(request: ModelRequest[Any], scope: Any) -> FullKey:
    """Return the full key of a call of a model, in which the scope counts besides.

    Raises:
        Exception: whatever a model or tool raises when it is asked what it is; a TypeError for what has no content.
    """
    model = request.model
    said = request.messages if request.system_message is None else [request.system_message, *request.messages]
    format_ = request.response_format
    parts = (
        scope,
        _name_of_agent(),
        identity_of(model),
        settings(request.model_settings),
        content_of(said),
        request.system_message is not None,
        [tool_schema(tool) for tool in request.tools],
        settings(request.tool_choice),
        None if format_ is None else [_schema_of_format(format_), picks_format_by(model)],
    )
    return (*NAMESPACE, name_of_model(model)), key_of_parts(_PARTS, parts, lambda: _told(request, parts))


def _told(request: ModelRequest[Any], parts: tuple[Any, ...]) -> dict[str, Any]:
    """Return the parts of a key as ``explain`` tells them: each setting, message and tool by itself."""
    given = dict(zip(_PARTS, parts, strict=True))
    messages, tools = given["messages"], [_name_of_tool(each) for each in request.tools]
    if given.pop("has_system_message"):
        system, *messages = messages
        given["system_prompt"] = system[1:]
    given |= {"model": told_of(request.model), "messages": numbered(messages), "tools": tools}
    given |= {f"tools.{name}": schema for name, schema in zip(tools, parts[_PARTS.index("tools")], strict=True)}
    return {name: value for name, value in given.items() if value is not None}


def _name_of_tool(tool: Any) -> str:
    if isinstance(tool, dict):
        return str(tool.get("name") or tool.get("function", {}).get("name") or tool.get("type"))
    return str(getattr(tool, "name", None) or getattr(tool, "__name__", type(tool).__name__))


def _name_of_agent() -> str | None:
    """Return the name of the agent that runs, which its messages carry."""
    config = var_child_runnable_config.get()
    metadata = config.get("metadata") if config else None
    name = metadata.get("lc_agent_name") if metadata else None
    return name if type(name) is str else None


def _schema_of_format(given: Any) -> Any:
    """Return what response format is asked for, by its schema."""
    return _find_schema_of_format(given) if isinstance(given, dict) else _known_schema_of_format(given)


def _find_schema_of_format(given: Any) -> str:
    if isinstance(given, ToolStrategy):
        schemas = [_spec(each) for each in given.schema_specs]
        return content_key("tool", schemas, given.tool_message_content, settings(given.handle_errors))
    if isinstance(given, ProviderStrategy):
        return content_key("provider", _spec(given.schema_spec))
    schema = given.schema if isinstance(given, AutoStrategy) else given
    if isinstance(schema, type):
        return content_key("auto", class_schema(schema))
    return content_key(
        "auto", schema if isinstance(schema, dict) else [_spec(e) for e in ToolStrategy(schema).schema_specs]
    )


_known_schema_of_format = Remembered(_find_schema_of_format)


def _spec(given: Any) -> list[Any]:
    of = name_of_class(given.schema) if isinstance(given.schema, type) else None
    return [given.name, given.description, given.json_schema, given.strict, of]


def kept_of_response(response: Any, seconds: float) -> StoredResult | None:
    """Return what is stored of a response, and the seconds it took; None if it is not good for other runs."""
    if type(response) is not ModelResponse or not response.result:
        return None
    answers = [each for each in response.result if isinstance(each, AIMessage)]
    if not answers or not all(map(is_whole, answers)):
        return None
    if response.structured_response is None and any(isinstance(each, ToolMessage) for each in response.result):
        return None  # the model's answer did not fit the response format
    return StoredResult(seconds, *tokens_of(answers), [response.result, response.structured_response])


def response_of(stored: Any, request: ModelRequest[Any]) -> ModelResponse[Any]:
    """Return the response to a request that what was stored answers, as if the model had just given it."""
    result, structured = stored
    if not result or not all(isinstance(each, BaseMessage) for each in result):
        raise TypeError("it is no response of a model")

    def history() -> set[str]:
        messages = {id(each): each for each in request.messages}
        state = request.state
        # the history in the state, since another middleware may have cut the request's messages
        if isinstance(state, dict):
            messages |= {id(each): each for each in state.get("messages", ()) if isinstance(each, BaseMessage)}
        return {id_ for message in messages.values() for id_ in call_ids(message)}

    make_new(result, history)
    return ModelResponse(result=result, structured_response=structured)
