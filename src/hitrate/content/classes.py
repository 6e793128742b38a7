"""Instances of user classes: by module and qualified name, and by what their content is.

That is the state the serializer would store, less what says how the instance was made or used: which fields of a model
were set, the values that cached properties hold, the ids and run metadata of a LangChain message.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from hitrate.serde.classes import ancestry
from hitrate.serde.registry import FIELDS, Encode, Pack, Plan, plan_for

State = Callable[[Any], list[Any]]
"""Returns the name of an instance's class, then its content; the dicts in the list are its fields."""

_states: dict[type, State] = {}


class Selected:
    """The state of an instance of which fields were left out."""

    __slots__ = ("state",)

    def __init__(self, state: list[Any]) -> None:
        self.state = state


def instance_encoder(cls: type) -> Encode:
    """Return how the instances of a user class are written.

    Raises:
        Refused: it is of no known family, or cannot be told by its name.
    """
    state = state_of(cls)

    def encode(obj: Any, pack: Pack) -> bytes:
        return pack(state(obj), FIELDS)

    return encode


def state_of(cls: type) -> State:
    """Return the function that returns the content of an instance.

    Raises:
        Refused: it is of no known family, or cannot be told by its name.
    """
    state = _states.get(cls)
    if state is None:
        plan = plan_for(cls)
        state = _states[cls] = _message_state(cls) or _state(cls, plan)
    return state


def _state(cls: type, plan: Plan) -> State:
    name, dump = plan.mark.rpartition("#")[0], plan.dump
    derived = _cached_properties(cls)

    def plain(obj: Any) -> list[Any]:
        return dump(obj, name)

    def model(obj: Any) -> list[Any]:
        _, _, extra, private, attributes = dump(obj, name)
        return [name, extra or None, private or None, _without(attributes, derived)]

    def root_model(obj: Any) -> list[Any]:
        return [name, _without(dump(obj, name)[2], derived)]

    def with_cached_properties(obj: Any) -> list[Any]:
        return [_without(each, derived) if type(each) is dict else each for each in dump(obj, name)]

    def named_tuple(obj: Any) -> list[Any]:
        return [name, dict(zip(cls._fields, dump(obj, name)[1], strict=True))]  # type: ignore[attr-defined]

    special = {"model": model, "root model": root_model, "namedtuple": named_tuple}
    return special.get(plan.family) or (with_cached_properties if derived else plain)


def _cached_properties(cls: type) -> list[str]:
    found = {name: member for base in reversed(ancestry(cls)) for name, member in vars(base).items()}
    return [name for name, member in found.items() if isinstance(member, functools.cached_property)]


def _without(attributes: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if not any(name in attributes for name in names):
        return attributes
    return {name: value for name, value in attributes.items() if name not in names}


def _message_state(cls: type) -> State | None:
    messages = sys.modules.get("langchain_core.messages")
    if messages is None or not issubclass(cls, messages.BaseMessage):
        return None
    from hitrate.content.messages import message_state

    return message_state(cls)
