"""Messages as a key has them: by what they say to a model, and not by what tells one run from another."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from langchain_core.messages import BaseMessage

from hitrate.content.messages import is_made_id
from hitrate.langchain.media import is_media, media
from hitrate.langchain.settings import CACHE_CONTROL
from hitrate.langgraph.call_ids import OF_CALLS, call_ids, with_ids
from hitrate.langgraph.messages import without_item_ids

_NOT_AMONG_MORE = frozenset(
    {"id", "response_metadata", "usage_metadata", "artifact", "type", "content", "additional_kwargs"}
)
"""Fields that do not count, and the last three, which ``_content_of`` puts in places of their own."""


_NOTHING = frozenset({type(None), list, dict, str})
"""The types of values that say nothing where they are empty."""


def content_of(messages: Iterable[BaseMessage]) -> list[Any]:
    """Return what messages say, as content.

    The ids of messages, of tool calls and of a provider's items do not count, but which result is of which call does:
    an id of a call becomes the number of its first appearance. Usage and metadata of responses do not count, nor do
    artifacts, which no model sees.
    """
    names: dict[str, str] = {}
    return [_content_of(message, names) for message in messages]


def numbered(messages: Iterable[list[Any]]) -> dict[str, Any]:
    """Return what messages say by their numbers, as ``explain`` tells each: who says it, and what."""
    return {str(number): [who, said, *filter(None, more)] for number, (who, said, *more) in enumerate(messages)}


def _content_of(message: BaseMessage, names: dict[str, str]) -> list[Any]:
    attributes = message.__dict__
    content = attributes["content"]
    more: dict[str, Any] = {}
    kwargs = attributes["additional_kwargs"]
    if type(content) is not str or kwargs:
        content, kwargs = _with_numbers(message, names)
        if kwargs:
            more["additional_kwargs"] = kwargs
    for name, value in attributes.items():
        if name in _NOT_AMONG_MORE or (not value and type(value) in _NOTHING):
            continue
        if name == "tool_call_id":
            value = names.setdefault(value, str(len(names)))
        elif name in OF_CALLS:
            value = [
                {**call, "id": names.setdefault(call["id"], str(len(names)))} if call.get("id") else call
                for call in value
            ]
        more[name] = value
    extra = message.__pydantic_extra__
    return [attributes["type"], content, more, extra] if extra else [attributes["type"], content, more]


def _with_numbers(message: BaseMessage, names: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """Return content and additional_kwargs of a message with numbers for ids of calls, without a provider's items."""
    # what is changed for the key is not changed in the message itself
    changed = {"additional_kwargs": {**message.additional_kwargs}, "response_metadata": {}}
    own = SimpleNamespace(**message.__dict__ | changed)
    without_item_ids(own)
    for id_ in call_ids(own):
        names.setdefault(id_, str(len(names)))
    content = own.content
    if type(content) is list:
        content = _text_of([block(each) for each in with_ids(content, names)])
    elif isinstance(content, str):
        content = str.__str__(content)  # such as the `text` of a message, a subclass of str
    kwargs = with_ids(own.additional_kwargs, names)
    # None is what one provider says where others leave out the field
    return content, {name: value for name, value in kwargs.items() if value is not None and name != CACHE_CONTROL}


def _text_of(blocks: list[Any]) -> Any:
    """Return blocks of content; the text of one that is nothing else, as what marks a prompt makes of a text."""
    if len(blocks) == 1 and type(blocks[0]) is dict and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"] if blocks[0]["type"] == "text" else blocks
    return blocks


def block(given: Any) -> Any:
    """Return what a block of content says: media by a hash, without marks for a provider's own cache."""
    if type(given) is not dict:
        return str.__str__(given) if isinstance(given, str) else given
    if isinstance(given.get("text"), str):
        given = {**given, "text": str.__str__(given["text"])}
    if CACHE_CONTROL in given:
        given = {name: value for name, value in given.items() if name != CACHE_CONTROL}
    if is_made_id(given.get("id")):
        given = {name: value for name, value in given.items() if name != "id"}
    if is_media(given):
        return media(given)
    inner = given.get("content")
    if type(inner) is list:  # the result of a tool has blocks of its own
        return {**given, "content": [block(each) for each in inner]}
    return given
