"""LangChain messages: by role, content and tool calls, and not by what tells one run from another."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from langchain_core.messages import LC_AUTO_PREFIX, BaseMessage, RemoveMessage

from hitrate.content.instances import class_mark

_OF_THE_RUN = frozenset({"id", "response_metadata", "usage_metadata"})
_MOSTLY_EMPTY: dict[str, Any] = {"additional_kwargs": {}, "name": None, "tool_calls": [], "invalid_tool_calls": []}
_roles: dict[str, Any] = {}


def message_state(cls: type[BaseMessage]) -> Callable[[Any, Any], list[Any]]:
    """Return the function that returns the content of a message.

    What is empty is left out, so that a field which another release of LangChain adds or drops changes no key.
    """
    # Of a RemoveMessage the id counts: it says which message is to be removed.
    left_out = _OF_THE_RUN - {"id"} if issubclass(cls, RemoveMessage) else _OF_THE_RUN
    names = [name for name in cls.__pydantic_fields__ if name not in left_out and name not in ("type", "content")]
    get_all = itemgetter(*names)
    empty = tuple(map(_MOSTLY_EMPTY.get, names)) if _MOSTLY_EMPTY.keys() >= {*names} else None

    def state(obj: Any, pack: Any) -> list[Any]:
        attributes = obj.__dict__
        role, values = attributes["type"], get_all(attributes)
        mark = _roles.get(role) or _mark_of(role)
        said = attributes["content"]
        content = {"content": without_made_ids(said) if type(said) is list else said}
        if empty is None or values != empty:
            for name, value in zip(names, values):  # noqa: B905 - one for each, and strict takes time
                kind = type(value)
                # Compared, not tested for truth: an array has no truth value.
                if kind is str or (value is not None and ((kind is not list and kind is not dict) or value)):
                    content[name] = value
            more = content.get("additional_kwargs")
            if type(more) is dict and any(value is None for value in more.values()):
                # Such as "refusal", which is None in the messages of one provider and missing in all others.
                content["additional_kwargs"] = {name: value for name, value in more.items() if value is not None}
                if not content["additional_kwargs"]:
                    del content["additional_kwargs"]
        extra, private = obj.__pydantic_extra__, obj.__pydantic_private__
        return [mark, content, extra or None, private or None] if extra or private else [mark, content]

    return state


def without_made_ids(blocks: list[Any]) -> list[Any]:
    """Return blocks of content without the ids that LangChain gives each block that it makes."""
    return [
        {name: value for name, value in each.items() if name != "id"}
        if type(each) is dict and is_made_id(each.get("id"))
        else each
        for each in blocks
    ]


def is_made_id(id_: Any) -> bool:
    """Tell whether an id is one that LangChain made, and no provider or program."""
    return type(id_) is str and id_.startswith(LC_AUTO_PREFIX)


def _mark_of(role: str) -> Any:
    # No class has a name that begins with a colon.
    mark = _roles[role] = class_mark(f":{role}")
    return mark
