"""Instances of user classes: by module and qualified name, and by what their content is.

That is the state the serializer would store, less what says how the instance was made or used: which fields of a model
were set, the values that cached properties hold, the ids and run metadata of a LangChain message.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from hitrate.content.instances import class_mark
from hitrate.serde.classes import ancestry
from hitrate.serde.forms import Form
from hitrate.serde.registry import form_of

State = Callable[[Any, Any], list[Any]]
"""Returns an extension with the name of an instance's class, then its content; dicts in the list are its fields.

The second argument is not used: a state serves as a rule as it is.
"""

_states: dict[type, State] = {}


def state_of(cls: type) -> State:
    """Return the function that returns the content of an instance.

    Raises:
        Refused: it is of no known family, or cannot be told by its name.
    """
    state = _states.get(cls)
    if state is None:
        state = _component_state(cls)
        if state is None:
            form = form_of(cls)
            state = _message_state(cls) or _state(cls, form)
        _states[cls] = state
    return state


def _state(cls: type, form: Form) -> State:
    mark: Any = class_mark(form.mark.rpartition("#")[0])
    dump = form.dump
    derived = _cached_properties(cls)

    def plain(obj: Any, pack: Any) -> list[Any]:
        state = dump(obj, mark)
        # The names of attributes that were never set are left out: their absence says the same.
        return state[:-1] if len(state) > 2 and type(state[-1]) is list else state

    def model(obj: Any, pack: Any) -> list[Any]:
        _, _, extra, private, attributes = dump(obj, mark)[:5]
        return [mark, _without(attributes, derived), extra or None, private or None]

    def root_model(obj: Any, pack: Any) -> list[Any]:
        return [mark, _without(dump(obj, mark)[2], derived)]

    def with_cached_properties(obj: Any, pack: Any) -> list[Any]:
        return [_without(each, derived) if type(each) is dict else each for each in plain(obj, None)]

    def named_tuple(obj: Any, pack: Any) -> list[Any]:
        fields: Any = cls
        return [mark, dict(zip(fields._fields, dump(obj, mark)[1], strict=True))]

    def headers(obj: Any, pack: Any) -> list[Any]:
        # As httpx compares them: the case of names and their order do not count, nor whether they were decoded.
        return [mark, sorted([name.lower(), value] for name, value in dump(obj, mark)[1])]

    special = {"model": model, "root model": root_model, "namedtuple": named_tuple, "headers": headers}
    return special.get(form.family) or (with_cached_properties if derived else plain)


def _cached_properties(cls: type) -> list[str]:
    found = {name: member for base in reversed(ancestry(cls)) for name, member in vars(base).items()}
    plain = [name for name, member in found.items() if isinstance(member, functools.cached_property)]
    return plain + [name for base in ancestry(cls) for name in _cached_properties_in_slots(base)]


def _cached_properties_in_slots(cls: type) -> list[str]:
    """Return the slots that attrs made for cached properties, which it fills from a ``__getattr__`` of its own."""
    space = vars(cls)
    code = getattr(space.get("__getattr__"), "__code__", None)
    if code is None or not code.co_filename.startswith("<attrs generated getattr"):
        return []
    fields = {field.name for field in space["__attrs_attrs__"]}
    return [name for name, member in space.items() if type(member) is types.MemberDescriptorType and name not in fields]


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


def _component_state(cls: type) -> State | None:
    if "langchain_core.runnables" not in sys.modules and "langchain_core.embeddings" not in sys.modules:
        return None
    from hitrate.content.langchain_ import component_state

    return component_state(cls)
