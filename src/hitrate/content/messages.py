"""LangChain messages: by role, content and tool calls, and not by what tells one run from another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.messages import RemoveMessage

from hitrate.content.classes import class_mark

_OF_THE_RUN = frozenset({"id", "response_metadata", "usage_metadata"})
_roles: dict[str, Any] = {}


def message_state(cls: type) -> Callable[[Any], list[Any]]:
    """Return the function that returns the content of a message.

    What is empty is left out, so that a field which another release of LangChain adds or drops changes no key.
    """
    # What is to be removed is what a RemoveMessage says.
    left_out = (_OF_THE_RUN - {"id"} if issubclass(cls, RemoveMessage) else _OF_THE_RUN) | {"type"}

    def state(obj: Any) -> list[Any]:
        attributes = obj.__dict__
        content = {
            name: value
            for name, value in attributes.items()
            if value is not None
            and name not in left_out
            and (value or (type(value) is not list and type(value) is not dict))
        }
        role = attributes["type"]
        more = content.get("additional_kwargs")
        if more is not None and type(more) is dict and None in more.values():
            # Such as "refusal", which is None in the messages of one provider and missing in all others.
            content["additional_kwargs"] = {name: value for name, value in more.items() if value is not None}
        mark = _roles.get(role) or _mark_of(role)
        extra, private = obj.__pydantic_extra__, obj.__pydantic_private__
        return [mark, content, extra, private] if extra or private else [mark, content]

    return state


def _mark_of(role: str) -> Any:
    # No class has a name that begins with a colon.
    mark = _roles[role] = class_mark(f":{role}")
    return mark
