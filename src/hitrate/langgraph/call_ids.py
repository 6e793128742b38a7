"""The ids of tool calls: where they stand in a message, and how one id takes the place of another.

A provider makes an id for each tool call. It says nothing but which result belongs to which call, and stands in several
places of a message, which have to agree.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from random import choices
from typing import Any, Final

_NAMES = frozenset({"id", "call_id", "tool_call_id", "tool_use_id", "toolUseId"})
"""What the fields of content blocks and additional_kwargs that hold such an id are called."""

OF_CALLS: Final = ("tool_calls", "invalid_tool_calls", "tool_call_chunks")
"""Fields of messages that are lists of tool calls."""

_NOT_OURS = frozenset({"args", "arguments", "input", "text", "partial_json"})
"""Fields of blocks that the model filled in: an id in there is a text like any other."""

_DEEPEST = 8

_LETTERS = string.ascii_letters + string.digits
_SHORTEST = 9


def call_ids(message: Any) -> Iterable[str]:
    """Yield the ids of tool calls that a message makes or answers, in their order."""
    attributes = message.__dict__
    for name in OF_CALLS:
        for call in attributes.get(name) or ():
            if call.get("id"):
                yield call["id"]
    answered = attributes.get("tool_call_id")
    if answered:
        yield answered
    content = attributes["content"]
    if type(content) is list:
        for block in content:
            if type(block) is dict and type(block.get("type")) is str and _is_of_a_call(block["type"]):
                for name in ("call_id", "id", "tool_use_id", "tool_call_id"):
                    if type(block.get(name)) is str:
                        yield block[name]
                        break


def _is_of_a_call(kind: str) -> bool:
    return "tool" in kind or "function_call" in kind or kind.endswith("_call")


def with_ids(value: Any, names: Mapping[str, str]) -> Any:
    """Return content blocks or additional_kwargs in which ids of tool calls are replaced; copies where any is."""
    if type(value) is list:
        return [with_ids(each, names) if type(each) in (list, dict) else each for each in value]
    replaced = {}
    for name, each in value.items():
        kind = type(each)
        if kind is str:
            replaced[names.get(name, name)] = names.get(each, each) if name in _NAMES else each
        elif (kind is dict or kind is list) and name not in _NOT_OURS:
            # Such as "__openai_function_call_ids__", a dict whose keys are the ids of calls.
            replaced[names.get(name, name)] = with_ids(each, names)
        else:
            replaced[names.get(name, name)] = each
    return replaced


def rename_in_place(value: Any, names: Mapping[str, str], depth: int = 0) -> None:
    """Replace ids of tool calls in what a value holds, as in a call that is sent to the node of tools.

    Messages are left alone, with what is in them: they are for ``rename``.
    """
    kind = type(value)
    if depth > _DEEPEST:
        return
    if kind is dict:
        for name, each in value.items():
            if type(each) is str:
                if name in _NAMES and each in names:
                    value[name] = names[each]
            elif name not in _NOT_OURS:
                rename_in_place(each, names, depth + 1)
    elif kind is list or kind is tuple or kind is deque:
        for each in value:
            rename_in_place(each, names, depth + 1)
    elif not hasattr(value, "additional_kwargs"):
        for name in fields_of(value):
            each = getattr(value, name, None)
            if type(each) is not str:
                rename_in_place(each, names, depth + 1)
            elif name in _NAMES and each in names and not _is_frozen(kind):
                with suppress(AttributeError):
                    object.__setattr__(value, name, names[each])  # so that no code of the program runs


def fields_of(value: Any) -> Iterable[str]:
    """Return the names of the fields of a dataclass, a pydantic model, a Send or a Command; of others nothing."""
    cls = type(value)
    if hasattr(cls, "__pydantic_fields__") or hasattr(cls, "__dataclass_fields__"):
        return dict.fromkeys((*getattr(cls, "__dataclass_fields__", ()), *getattr(value, "__dict__", ())))
    return cls.__slots__ if cls.__module__ == "langgraph.types" and hasattr(cls, "__slots__") else ()


def _is_frozen(cls: Any) -> bool:
    """Tell whether an instance is frozen: a cache may have given the same one to other callers."""
    settings = getattr(cls, "__dataclass_params__", None)
    return bool(getattr(settings, "frozen", False)) or bool(getattr(cls, "model_config", {}).get("frozen"))


def rename(message: Any, names: Mapping[str, str]) -> None:
    """Replace ids of tool calls in a message, in place, wherever they stand."""
    attributes = message.__dict__
    for name in OF_CALLS:
        if attributes.get(name):
            attributes[name] = [{**call, "id": names.get(call["id"], call["id"])} for call in attributes[name]]
    if "tool_call_id" in attributes:
        message.tool_call_id = names.get(message.tool_call_id, message.tool_call_id)
    if type(message.content) is list:
        message.content = with_ids(message.content, names)
    if message.additional_kwargs:
        message.additional_kwargs = with_ids(message.additional_kwargs, names)


def new_ids(messages: Iterable[Any], taken: Callable[[], set[str]]) -> dict[str, str]:
    """Return new ids for those tool calls of a response that have one of the ids that ``taken`` returns."""
    ids = [*dict.fromkeys(id_ for message in messages for id_ in call_ids(message))]
    if not ids:
        return {}
    there = taken()
    return {id_: _like(id_) for id_ in ids if id_ in there}


def _like(id_: str) -> str:
    """Return a new id of the form of an old one: some providers refuse others."""
    head, mark, tail = id_.rpartition("_")
    return head + mark + "".join(choices(_LETTERS, k=max(len(tail), _SHORTEST)))
