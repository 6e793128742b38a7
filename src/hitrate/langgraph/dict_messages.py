"""Messages as dicts: ``{"role": "assistant", "content": "Hello", "id": "a"}`` in a channel whose reducer takes them.

LangGraph's ``add_messages`` makes a message of such a dict, with its id. What is stored of a node is still the dict,
and so is what a hit gives back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from typing import Any

_ROLES = {kind: kind for kind in ("human", "ai", "system", "function", "tool", "remove")}
_ROLES |= {"user": "human", "assistant": "ai", "developer": "system"}
_CONSTRUCTED = {
    "AIMessage": "ai",
    "AIMessageChunk": "ai",
    "HumanMessage": "human",
    "SystemMessage": "system",
    "ToolMessage": "tool",
    "FunctionMessage": "function",
    "RemoveMessage": "remove",
}
_REDUCERS = "langgraph.graph.message"
"""The module of ``add_messages``, and of what it returns when it is given options."""


class DictMessage:
    """A message of some type that is a dict, with the attributes of a message: to set one changes the dict."""

    __slots__ = ("__dict__", "type")

    id: str | None = None

    def __init__(self, fields: dict[str, Any], kind: str) -> None:
        self.__dict__ = fields
        self.type = kind

    @property
    def additional_kwargs(self) -> dict[str, Any]:
        """What providers added; an empty dict where there is none."""
        return self._dict("additional_kwargs")

    @additional_kwargs.setter
    def additional_kwargs(self, value: dict[str, Any]) -> None:
        self.__dict__["additional_kwargs"] = value

    @property
    def response_metadata(self) -> dict[str, Any]:
        """What providers say of the response; an empty dict where there is nothing."""
        return self._dict("response_metadata")

    def _dict(self, name: str) -> dict[str, Any]:
        found = self.__dict__.get(name)
        return found if type(found) is dict else {}


def dicts_in(writes: Any, channels: Container[str]) -> list[DictMessage]:
    """Return the messages that are dicts in what a node wrote into channels whose reducer takes dicts as messages."""
    found: list[DictMessage | None] = []
    if type(writes) is deque:
        for write in writes:
            if type(write) is tuple and len(write) == 2 and type(write[0]) is str and write[0] in channels:
                value = write[1]
                found += map(_as_message, value if type(value) in (list, tuple) else (value,))
    return [message for message in found if message is not None]


def _as_message(value: Any) -> DictMessage | None:
    """Return a dict as the message that it is; None if it is none."""
    if type(value) is not dict:
        return None
    kind = _ROLES.get(_text(value.get("role", value.get("type"))))
    if value.get("lc") == 1 and value.get("type") == "constructor":  # as LangChain writes one as JSON
        names, value = value.get("id"), value.get("kwargs")
        kind = _CONSTRUCTED.get(_text(names[-1])) if type(names) is list and names else None
    if kind is None or type(value) is not dict or type(value.get("content")) not in (str, list):
        return None
    id_, calls = value.get("id"), value.get("tool_calls")
    if not (id_ is None or type(id_) is str) or not (calls is None or _are_calls(calls)):
        return None
    return DictMessage(value, kind)


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _are_calls(calls: Any) -> bool:
    return type(calls) is list and all(type(call) is dict and "id" in call for call in calls)


def channels_of_messages(loop: Any) -> frozenset[str]:
    """Return the channels of a run, which LangGraph's loop has, whose reducer takes dicts as messages."""
    specs = getattr(loop, "specs", None)
    if not isinstance(specs, Mapping):
        return frozenset()
    return frozenset(name for name, spec in specs.items() if _takes_dicts(getattr(spec, "operator", None)))


def _takes_dicts(reducer: Any) -> bool:
    return getattr(getattr(reducer, "func", reducer), "__module__", None) == _REDUCERS
