"""LangChain messages in the results of nodes: a hit makes new messages, and a new message has an id of its own.

A thread's history is a list in which a message replaces the one that has its id. A message that a node made and a cache
kept would, when the same question is asked again, replace the first answer in place of following it.

A node that edits or removes a message of its input names it by its id. Another thread has the same message under
another id, so that message is looked for in the input of the run that has the hit.

A tool call has an id, too, by which its result refers to it. One that the node made is new as well.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple
from uuid import uuid4

from ormsgpack import OPT_NON_STR_KEYS, OPT_PASSTHROUGH_DATACLASS, OPT_PASSTHROUGH_SUBCLASS, packb
from xxhash import xxh3_128_hexdigest

from hitrate.langgraph.call_ids import call_ids, fields_of, rename, rename_in_place
from hitrate.langgraph.call_ids import new_ids as new_call_ids
from hitrate.langgraph.dict_messages import dicts_in

KEPT = "__hitrate_edited__"
"""The channel of a write that hitrate adds: the messages of its input that a node edited or removed."""

_DEEPEST = 8
_AS_IT_IS = OPT_PASSTHROUGH_DATACLASS | OPT_PASSTHROUGH_SUBCLASS | OPT_NON_STR_KEYS
"""With these ormsgpack leaves out nothing: of a dataclass it would leave out the fields with an underscore."""

_OF_OPENAI = ("rs_", "msg_", "fc_", "ws_", "fs_", "ci_", "mcp_", "mcpl_", "ig_", "cu_", "ctc_")
"""How the ids of the items of OpenAI's Responses API begin. It refuses a history that has one twice."""

_NEED_ID = ("ws_", "fs_", "ci_", "mcp_", "mcpl_", "cu_")
"""Of these, what OpenAI's own tools did: refused without an id, by langchain-openai or by the API."""

_MAKE_CALLS = ("ai", "AIMessageChunk")
"""The types of the messages that make tool calls; others answer them."""

NewId = Callable[[str], str]

Given = list[list[tuple[str | None, str, tuple[str, ...]]]]
"""The messages in a node's input, list by list: the id of each, a digest of what it says, and its ids of tool calls."""


class InputMessage(NamedTuple):
    """A message of a node's input that the node edited or removed.

    Attributes:
        id: its id.
        list: the number of the list that it is in.
        place: in that list.
        length: of that list.
        says: a digest of its type and text.
    """

    id: str
    list: int
    place: int
    length: int
    says: str


_TYPES_OF_KEPT = (str, int, int, int, str)


def given_in(value: Any) -> Given:
    """Return the messages in a node's input."""
    return [
        [(message.id, _digest_of(message), tuple(call_ids(message))) for message in messages]
        for messages in _messages_in(value)
    ]


def calls_in(value: Any) -> set[str]:
    """Return the ids of tool calls that stand in the messages in a value."""
    return {call for messages in _messages_in(value) for message in messages for call in call_ids(message)}


def _digest_of(message: Any) -> str:
    content = message.content
    if type(content) is list:  # any image counts as an image: the digest is only used to find the message again
        content = "\n".join(
            f"{each.get('type')} {each.get('text')}" if type(each) is dict else str(each) for each in content
        )
    return xxh3_128_hexdigest(f"{message.type} {content}".encode("utf-8", "surrogatepass"))


def with_kept(writes: Any, given: Given, channels: Container[str] = ()) -> Any:
    """Return what a node wrote, for storing: with what of its input is in it, if anything is.

    That is messages that it was given, and the ids of tool calls that others had made. In some channels a dict may be a
    message.
    """
    if not given:
        return writes
    written = _written(writes, channels)
    ids = {message.id for message in written if message.id}
    kept = {
        id_: (id_, number, place, len(messages), says)
        for number, messages in enumerate(given)
        for place, (id_, says, _) in enumerate(messages)
        if id_ in ids
    }
    of_input = {call for messages in given for _, _, calls in messages for call in calls}
    calls = of_input.intersection(call for message in written for call in call_ids(message)) if of_input else ()
    return deque([*writes, (KEPT, [*kept.values(), *((call,) for call in sorted(calls))])]) if kept or calls else writes


def take_kept(writes: Any) -> tuple[list[InputMessage], list[str]] | None:
    """Take out of the writes of a hit what ``with_kept`` added, and return it; None if it is not what was added.

    Returns:
        The messages, and the ids of tool calls.
    """
    if not (type(writes) is deque and writes and type(writes[-1]) is tuple and writes[-1][:1] == (KEPT,)):
        return [], []
    added = writes.pop()[-1]
    if type(added) is not list:
        return None
    kept, calls = [], []
    for each in added:
        types = tuple(map(type, each)) if type(each) is tuple else ()
        if types == _TYPES_OF_KEPT:
            kept.append(InputMessage(*each))
        elif types == (str,):
            calls += each
        else:
            return None
    return kept, calls


def ids_now(kept: Iterable[InputMessage], given: Given) -> dict[str, str] | None:
    """Return the ids that messages which one run was given have in the input of another, by their ids in the first.

    The same message says the same and stands at the same place, from the end or from the beginning: a policy may
    count the last messages alone. Failing that it is the one with the same id.

    Returns:
        The ids; None if the other run was not given one of the messages.
    """
    present = {id_ for messages in given for id_, _, _ in messages}
    ids: dict[str, str] = {}
    for old in kept:
        messages = given[old.list] if 0 <= old.list < len(given) else []
        for place in (len(messages) - old.length + old.place, old.place):
            id_, says, _ = messages[place] if 0 <= place < len(messages) else (None, "", ())
            if id_ and says == old.says:
                ids[old.id] = id_
                break
        else:
            if old.id not in present:
                return None
            ids[old.id] = old.id
    return ids if len({*ids.values()}) == len(ids) else None


def calls_now(
    writes: Any, ids: Mapping[str, str], calls: Iterable[str], given: Any, channels: Container[str] = ()
) -> dict[str, str] | None:
    """Return the ids that tool calls in one run's input have in the input of another, by their ids in the first.

    A call is the same if it stands at the same place of the same message, and asks for the same.

    Args:
        writes: what a node wrote in the first run.
        ids: the ids of the messages of its input that are in there, and what they are now, as ``ids_now`` returns them.
        calls: the ids of calls of its input that are in there.
        given: the node's input in the other run.
        channels: those in which a dict may be a message.

    Returns:
        The ids; None if the other run has not the same calls.
    """
    there = calls_in(given)
    if there.issuperset(calls):
        return {}
    of_input = {message.id: message for messages in _messages_in(given) for message in messages}
    names: dict[str, str] = {}
    for message in _written(writes, channels):
        if message.id in ids and not there.issuperset(call_ids(message)):
            old, now = _asked_in(message), _asked_in(of_input[ids[message.id]])
            if [*old.values()] != [*now.values()]:
                return None
            names |= zip(old, now, strict=True)
    return names if there.issuperset(call for call in calls if call not in names) else None


def _asked_in(message: Any) -> dict[str, Any]:
    """Return what the tool calls of a message ask for, by their ids; None for a call that the message answers."""
    asked = {call["id"]: (call.get("name"), call.get("args")) for call in getattr(message, "tool_calls", None) or ()}
    return {id_: asked.get(id_) for id_ in call_ids(message)}


def rename_calls(writes: Any, names: Mapping[str, str], channels: Container[str] = ()) -> None:
    """Replace ids of tool calls in what a node wrote, in place."""
    for message in _written(writes, channels):
        rename(message, names)
    rename_in_place(writes, names)


def renew(
    writes: Any,
    kept: Mapping[str, str],
    *,
    new_ids: bool,
    taken: Callable[[], set[str]] = set,
    calls: Iterable[str] = (),
    channels: Container[str] = (),
) -> None:
    """Make the messages in the writes of a hit this run's own, in place.

    A new message gets a new id; one that stands in two places gets one. What removes a message keeps the id, but for
    that of a message in the input. The ids of OpenAI's items go, with its reasoning items, which are nothing without
    theirs. A tool call that a new message makes gets a new id if the input has one with that id already, wherever the
    writes refer to it: some providers refuse a history that has an id twice.

    Args:
        writes: what a node wrote; the caller's own.
        kept: by their ids when it was stored the ids of the messages in the input.
        new_ids: whether the others get new ids.
        taken: returns the ids of tool calls in the input.
        calls: those that were in the input when it was stored: what has one of them refers to the input.
        channels: those in which a dict may be a message.
    """
    renewed: dict[str, str] = {}
    new: list[Any] = []
    for message in _written(writes, channels):
        old = message.id
        if old in kept:
            message.id = kept[old]
        elif new_ids and message.type != "remove":
            if old:
                message.id = renewed.setdefault(old, str(uuid4()))
            with_new_item_ids(message)
            new.append(message)
    makers = [message for message in new if message.type in _MAKE_CALLS]
    names = new_call_ids(makers, lambda: taken().difference(calls)) if makers else {}
    if names:
        for message in new:
            rename(message, names)
        rename_in_place(writes, names)


def with_new_item_ids(message: Any) -> None:
    """Take the ids of OpenAI's items out of a message, in place; those that need one get a new one."""
    renewed: dict[str, str] = {}

    def new_id(old: str) -> str:
        return renewed.setdefault(old, f"{old.partition('_')[0]}_{uuid4().hex}")

    without_item_ids(message, new_id)


def without_item_ids(message: Any, new_id: NewId | None = None) -> None:
    """Take the ids of OpenAI's items out of a message, in place; ``new_id`` makes one for those that need one."""
    content = message.content
    if type(content) is list:
        message.content = _blocks(content, new_id)
    more = message.additional_kwargs
    if _is_reasoning(reasoning := more.get("reasoning")) or (type(reasoning) is dict and _is_item(reasoning.get("id"))):
        del more["reasoning"]
    for name, value in more.items():
        if type(value) is list:
            more[name] = _blocks(value, new_id)
        elif type(value) is dict and name.endswith("_ids__"):  # langchain-openai's map of call ids to item ids
            more[name] = {}
    if type(message.response_metadata) is dict and _is_response(message.response_metadata.get("id")):
        del message.response_metadata["id"]


def _blocks(blocks: list[Any], new_id: NewId | None) -> list[Any]:
    return [_block(each, new_id) for each in blocks if not _is_nothing_without_id(each)]


def _is_item(id_: Any) -> bool:
    return type(id_) is str and id_.startswith(_OF_OPENAI)


def _is_response(id_: Any) -> bool:
    return type(id_) is str and id_.startswith("resp_")


def _is_reasoning(block: Any) -> bool:
    return type(block) is dict and block.get("type") == "reasoning" and _is_item(block.get("id"))


def _is_nothing_without_id(block: Any) -> bool:
    return _is_reasoning(block) or (_is_image(block) and not block.get("result"))


def _is_image(block: Any) -> bool:
    return type(block) is dict and block.get("type") == "image_generation_call" and _is_item(block.get("id"))


def _block(block: Any, new_id: NewId | None) -> Any:
    if type(block) is not dict:
        return block
    if _is_image(block):
        # langchain-openai sends the id alone and fails without one: without it, this is an image like any other.
        kind = block.get("output_format") or "png"
        return {"type": "image", "base64": block["result"], "mime_type": f"image/{kind}"}
    extras = block.get("extras")
    if type(extras) is dict and "item_id" in extras:  # for a block whose own id is that of a tool call
        block = {**block, "extras": {name: value for name, value in extras.items() if name != "item_id"}}
    id_, answered = block.get("id"), block.get("tool_call_id")
    if new_id is not None and type(answered) is str and answered.startswith(_NEED_ID):
        block = {**block, "tool_call_id": new_id(answered)}
    if type(id_) is not str or not _is_item(id_):
        return block
    if new_id is not None and id_.startswith(_NEED_ID):
        return {**block, "id": new_id(id_)}
    return {name: value for name, value in block.items() if name != "id"}


def _written(writes: Any, channels: Container[str]) -> list[Any]:
    """Return the messages in what a node wrote, and the dicts in some channels that are messages."""
    return [*chain.from_iterable(_messages_in(writes)), *dicts_in(writes, channels)]


def _messages_in(value: Any) -> Iterator[list[Any]]:
    """Return the messages in containers and in fields of objects; those that are in one container together."""
    messages = sys.modules.get("langchain_core.messages")
    if messages is not None and not _is_plain(_parts_of(value)):
        yield from _lists_of(messages.BaseMessage, [value], 0)


def is_plain(writes: Any) -> bool:
    """Tell whether the writes of a hit are proven to hold no message but dicts, nor what ``with_kept`` added."""
    try:
        parts = _parts_of(writes)
        packb(parts, None, _AS_IT_IS)  # the same test as in `_is_plain`
        return not parts or parts[-1][0] != KEPT
    except (TypeError, LookupError):
        return False


def _parts_of(value: Any) -> Sequence[Any]:
    """Return what is in a deque, as the writes of a node are, which ormsgpack refuses."""
    return [*value] if type(value) is deque else (value,)


def _is_plain(values: Iterable[Any]) -> bool:
    """Tell whether values are proven to hold no message, by packing them: ten times as fast as to visit all of them.

    ormsgpack packs numbers, text, and lists, tuples and dicts of these; what it refuses may hold one.
    """
    try:
        packb(values, None, _AS_IT_IS)
    except TypeError:
        return False
    return True


def _lists_of(base: type, values: Iterable[Any], depth: int) -> Iterator[list[Any]]:
    found: list[Any] = []
    others: list[Any] = []
    for each in values:
        if type(each) not in _ATOMS:
            (found if isinstance(each, base) else others).append(each)
    if found:
        yield found
    if depth <= _DEEPEST:
        for each in others:
            if isinstance(each, dict):
                yield from _lists_of(base, each.values(), depth + 1)
            elif isinstance(each, (list, tuple, deque, set, frozenset)):
                yield from _lists_of(base, each, depth + 1)
            else:
                yield from _lists_of(base, [getattr(each, name, None) for name in fields_of(each)], depth + 1)


_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
