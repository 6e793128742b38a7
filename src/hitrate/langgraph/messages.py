"""LangChain messages in the results of nodes: a hit makes new messages, and a new message has an id of its own.

A thread's history is a list in which a message replaces the one that has its id. A message that a node made and a cache
kept would, when the same question is asked again, replace the first answer in place of following it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

from ormsgpack import OPT_NON_STR_KEYS, OPT_PASSTHROUGH_DATACLASS, OPT_PASSTHROUGH_SUBCLASS, packb

KEPT = "__hitrate_edited__"
"""The channel of a write of ours: the ids of messages that a node was given and gave back, edited. They stay."""

_DEEPEST = 8
_AS_IT_IS = OPT_PASSTHROUGH_DATACLASS | OPT_PASSTHROUGH_SUBCLASS | OPT_NON_STR_KEYS
"""With these ormsgpack leaves out nothing: of a dataclass it would leave out the fields with an underscore."""

_OF_OPENAI = ("rs_", "msg_", "fc_", "ws_", "fs_", "ci_", "mcp_", "ig_", "cu_")
"""How the ids of the items of OpenAI's Responses API begin. It refuses a history that has one twice."""


def ids_in(value: Any) -> frozenset[str]:
    """Return the ids of all messages in a node's input."""
    found: set[str] = set()
    base = _base()
    if base is not None and not _is_plain(value):
        _visit(value, base, lambda message: found.add(message.id) if message.id else None)
    return frozenset(found)


def with_kept_ids(writes: Any, ids: frozenset[str]) -> Any:
    """Return what a node wrote, for storing: with the ids of those messages that it was given, if there are any."""
    if not ids:
        return writes
    kept = ids & ids_in(writes)
    return deque([*writes, (KEPT, sorted(kept))]) if kept else writes


def take_kept_ids(writes: Any) -> frozenset[str]:
    """Take out of the writes of a hit what ``with_kept_ids`` added, and return it."""
    if type(writes) is deque and writes and type(writes[-1]) is tuple and writes[-1][0] == KEPT:
        _, ids = writes.pop()
        return frozenset(ids)
    return frozenset()


def renew(writes: Any, kept: frozenset[str]) -> None:
    """Give the messages in the writes of a hit new ids, in place.

    One that stands in two places has one new id. What removes a message, and what edits one, keeps its id. The ids of
    OpenAI's items go, with its reasoning items, which are nothing without theirs.

    Args:
        writes: what a node wrote; the caller's own.
        kept: the ids of messages that the node was given.
    """
    base = _base()
    if base is None or _is_plain(writes):
        return
    renewed: dict[str, str] = {}

    def new_id(message: Any) -> None:
        old = message.id
        if old and old not in kept and message.type != "remove":
            message.id = renewed.setdefault(old, str(uuid4()))
            without_item_ids(message)

    _visit(writes, base, new_id)


def without_item_ids(message: Any) -> None:
    """Take the ids of OpenAI's items out of a message, in place."""
    content = message.content
    if type(content) is list:
        message.content = [_without_id(block) for block in content if not _is_reasoning(block)]
    more = message.additional_kwargs
    if _is_reasoning(reasoning := more.get("reasoning")) or (type(reasoning) is dict and _is_item(reasoning.get("id"))):
        del more["reasoning"]
    for name, value in more.items():
        if type(value) is list:
            more[name] = [_without_id(each) for each in value]
        elif type(value) is dict and name.endswith("_ids__"):  # langchain-openai's map of call ids to item ids
            more[name] = {}
    if type(message.response_metadata) is dict and _is_response(message.response_metadata.get("id")):
        del message.response_metadata["id"]


def _is_item(id_: Any) -> bool:
    return type(id_) is str and id_.startswith(_OF_OPENAI)


def _is_response(id_: Any) -> bool:
    return type(id_) is str and id_.startswith("resp_")


def _is_reasoning(block: Any) -> bool:
    return type(block) is dict and block.get("type") == "reasoning" and _is_item(block.get("id"))


def _without_id(block: Any) -> Any:
    if type(block) is dict and _is_item(block.get("id")):
        return {name: value for name, value in block.items() if name != "id"}
    return block


def _base() -> Any:
    messages = sys.modules.get("langchain_core.messages")
    return None if messages is None else messages.BaseMessage


def _is_plain(value: Any) -> bool:
    """Tell whether a value is proven to hold no message, by packing it: ten times as fast as to visit all of it.

    ormsgpack packs numbers, text, and lists, tuples and dicts of these; what it refuses may hold one.
    """
    parts = [*value] if type(value) is deque else value
    try:
        packb(parts, None, _AS_IT_IS)
    except TypeError:
        return False
    return True


def _visit(value: Any, base: type, seen: Callable[[Any], Any], depth: int = 0) -> None:
    """Call a function with each message in a value: in containers, and in the fields of objects."""
    if isinstance(value, base):
        seen(value)
        return
    if depth == _DEEPEST:
        return
    inner: Iterable[Any]
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, (list, tuple, deque, set, frozenset)):
        inner = value
    else:
        inner = _fields_of(value)
    for each in inner:
        if type(each) not in _ATOMS:
            _visit(each, base, seen, depth + 1)


_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


def _fields_of(value: Any) -> list[Any]:
    """Return the fields of a dataclass, a pydantic model, a Send or a Command; of anything else nothing."""
    cls = type(value)
    if hasattr(cls, "__pydantic_fields__") or hasattr(cls, "__dataclass_fields__"):
        names = (
            [*getattr(cls, "__dataclass_fields__", ()), *vars(value)]
            if hasattr(value, "__dict__")
            else [*cls.__dataclass_fields__]
        )
        return [getattr(value, name, None) for name in dict.fromkeys(names)]
    if cls.__module__ == "langgraph.types" and hasattr(cls, "__slots__"):
        return [getattr(value, name, None) for name in cls.__slots__]
    return []
