"""A call of an agent's tool: its key, and what is kept of its result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import uuid4

from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from hitrate.base import FullKey, Namespace
from hitrate.compute.identity import identity_of, name_of
from hitrate.content.calls import content_key
from hitrate.failsafe import LoggedOnce
from hitrate.langchain.answers import make_new
from hitrate.langchain.settings import fields_set, key_of_parts, name_of_class, settings
from hitrate.langchain.spared import StoredResult
from hitrate.langgraph.call_ids import rename
from hitrate.langgraph.messages import Given, calls_now, given_in, ids_now, take_kept, with_kept
from hitrate.langgraph.remembered import Remembered

NAMESPACE: Final[Namespace] = ("langchain", "tool")

_PARTS = ("scope", "tool", "args", "key")
"""What the parts of a key are called where one of them has no content."""

_FUNCTIONS = ("func", "coroutine")


def key_of_tool_call(
    request: ToolCallRequest, scope: Any, key: Callable[[ToolCallRequest], Any] | None, once: LoggedOnce | None
) -> FullKey:
    """Return the full key of a call of a tool.

    A tool that holds something without content, as a client, is told from others by that very object, and so found in
    this process alone, unless a scope or ``key`` tells it.

    Args:
        request: the call.
        scope: what counts besides.
        key: returns what counts of the request besides.
        once: logs that; None if nobody has to know.

    Raises:
        Exception: whatever ``key`` raises; a TypeError for what has no content.
    """
    call = request.tool_call
    identity = _identity_of(request.tool)
    tool = identity.content
    if identity.objects is not None and scope is None and key is None:
        tool = identity.objects
        if once is not None:
            once.log(
                f"the tool {call['name']!r}",
                f"{identity.why}. Say with scope= or key= what tells it from another of its kind",
                "is answered in this process alone",
            )
    parts = (scope, tool, call["args"], None if key is None else [key(request)])
    return (*NAMESPACE, call["name"]), key_of_parts(_PARTS, parts)


class _Identity(NamedTuple):
    """What tells a tool from others of its name.

    Attributes:
        content: its class and functions, and the settings that it was given.
        objects: the same, with the objects in it that have no content, each as itself; None if there are none.
        why: what has no content, for people.
    """

    content: str
    objects: str | None
    why: str


def _find_identity_of(tool: BaseTool) -> _Identity:
    """Return what tells a tool from others of its name.

    A function counts as for ``cached``, by its name, its code and what it closes over: two tools that one function
    makes are two. What has no content, as a client, counts as the object that it is.
    """
    told: dict[str, Any] = {}
    objects: dict[str, list[str]] = {}
    why = ""
    for name, value in fields_set(tool, BaseTool):
        is_function = name in _FUNCTIONS and hasattr(value, "__qualname__")
        try:
            told[name] = content_key(name_of(value) if is_function else settings(value))
        except TypeError:
            objects[name] = [_number_of(value)]
            why = why or f"its field {name!r} of type {type(value).__name__} has no content"
            continue
        if is_function:
            lenient = identity_of(value, version=None, is_lenient=True)
            told[f"{name} besides"] = lenient.digest().hex()
            try:
                identity_of(value, version=None).digest()
            except TypeError as error:
                objects[name] = [*map(_number_of, lenient.without_content.values() or [value])]
                why = why or str(error).partition(": ")[2].partition(". Say with")[0]
    cls = name_of_class(type(tool))
    return _Identity(content_key(cls, told), content_key(cls, told, objects) if objects else None, why)


_identity_of = Remembered(_find_identity_of)
_number_of = Remembered(lambda of: uuid4().hex)
"""Returns what tells an object from all others, in other processes too, for as long as it lives."""


_NONE: Final[dict[str, str]] = {}


@dataclass(frozen=True)
class ToolResults:
    """Which results of tools are kept, with errors and commands among them or not, and how they are made new."""

    errors: bool
    commands: bool

    def kept(self, request: ToolCallRequest, result: Any, seconds: float) -> StoredResult | None:
        """Return what is stored of the result of a request; None if it is not good for other runs."""
        messages = [*_messages_of(result)]
        if not self.commands and not isinstance(result, ToolMessage):
            return None
        if not messages and not isinstance(result, Command):
            return None
        if not self.errors and any(getattr(each, "status", None) == "error" for each in messages):
            return None
        return StoredResult(seconds, 0, 0, result if isinstance(result, ToolMessage) else _with_given(result, request))

    def result_of(self, stored: Any, request: ToolCallRequest) -> Any:
        """Return the result of a request that what was stored answers, as if the tool had just run."""
        given = names = _NONE
        if type(stored) is deque:
            given, names = _given_now(stored, request)
            (stored,) = stored
        messages = [*_messages_of(stored)]
        if not messages and not isinstance(stored, Command):
            raise TypeError("it is no result of a tool")
        new = [each for each in messages if each.id not in given] if given else messages
        id_ = request.tool_call["id"]
        calls = {each.tool_call_id for each in new if isinstance(each, ToolMessage)}
        own = dict.fromkeys(calls, id_) if id_ is not None and len(calls) == 1 else {}
        make_new([each for each in new if each.type != "remove"], set)
        for message in messages:
            if given and message.id in given:
                rename(message, {**own, **names})
                message.id = given[message.id]
                continue
            rename(message, {**names, **own} if names else own)
            if isinstance(message, ToolMessage):
                message.id = None
        return stored


def _with_given(result: Any, request: ToolCallRequest) -> Any:
    """Return a result for storing: with what tells the messages and calls of the state that are in it, if any are.

    A command that edits or removes a message names it by its id, and in another thread it has another id.
    """
    own = request.tool_call["id"]
    given: Given = [
        [(id_, says, tuple(call for call in calls if call != own)) for id_, says, calls in messages]
        for messages in given_in(request.state)
    ]
    stored = with_kept((result,), given)
    return stored if type(stored) is deque else result


def _given_now(stored: Any, request: ToolCallRequest) -> tuple[dict[str, str], dict[str, str]]:
    """Take out of what was stored what ``_with_given`` added, and return which ids are others in this run.

    Returns:
        The ids of messages of the state, and those of the tool calls in them.

    Raises:
        LookupError: the state of this run lacks such a message, or such a call.
        TypeError: what was stored is not what ``_with_given`` returns.
    """
    taken = take_kept(stored)
    if taken is None:
        raise TypeError("it is no result of a tool")
    kept, calls = taken
    ids = ids_now(kept, given_in(request.state))
    names = None if ids is None else calls_now(stored, ids, calls, request.state)
    if ids is None or names is None:
        raise LookupError("its command is about messages or calls that this run has not")
    return ids, names


def _messages_of(result: Any) -> Iterable[BaseMessage]:
    """Yield the messages of what a tool returned: one, those that a command adds, or those in a list of such."""
    if isinstance(result, BaseMessage):
        yield result
    elif isinstance(result, Command):
        update: Any = result.update
        if isinstance(update, Mapping):
            update = [*update.values()]
        elif _is_pairs(update):
            update = [value for _, value in update]
        yield from _messages_of(update)
    elif isinstance(result, (list, tuple)):
        for each in result:
            yield from _messages_of(each)


def _is_pairs(update: Any) -> bool:
    """Tell whether an update is a list of pairs, of the name of a field and its value."""
    return isinstance(update, (list, tuple)) and all(type(each) is tuple and len(each) == 2 for each in update)
