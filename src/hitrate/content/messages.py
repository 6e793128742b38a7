"""LangChain messages: by role, content and tool calls, and not by what tells one run from another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.messages import RemoveMessage

_OF_THE_RUN = frozenset({"id", "response_metadata", "usage_metadata"})


def message_state(cls: type) -> Callable[[Any], list[Any]]:
    """Return the function that returns the content of a message.

    What is empty is left out, so that a field which another release of LangChain adds or drops changes no key.
    """
    # What is to be removed is what a RemoveMessage says.
    left_out = _OF_THE_RUN - {"id"} if issubclass(cls, RemoveMessage) else _OF_THE_RUN

    def state(obj: Any) -> list[Any]:
        attributes = obj.__dict__
        content: dict[str, Any] = {}
        for name, value in attributes.items():
            if value is None or name in left_out or ((type(value) is list or type(value) is dict) and not value):
                continue
            content[name] = value
        # A colon with nothing before it: no class is called so.
        role = content.pop("type", "")
        more = content.get("additional_kwargs")
        if type(more) is dict and None in more.values():
            # Such as "refusal", which is None in the messages of one provider and missing in all others.
            content["additional_kwargs"] = {name: value for name, value in more.items() if value is not None}
        return [f":{role}", content, obj.__pydantic_extra__ or None, obj.__pydantic_private__ or None]

    return state
