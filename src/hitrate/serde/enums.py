"""Enums and flags: a member by its name, a combination of flags by its value."""

from __future__ import annotations

import enum
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, register_classes

_PLAIN = (str, bytes, int, float, bool, type(None))


def _form(cls: type) -> Form | None:
    if enum.Enum not in ancestry(cls) or not issubclass(cls, enum.Enum):
        return None
    members = cls._member_map_

    def dump(obj: Any, mark: str) -> list[Any]:
        name = obj._name_
        if members.get(name) is obj:
            return [mark, name]
        if isinstance(obj, enum.Flag) and cls._value2member_map_.get(obj._value_) is obj:
            return [mark, obj._value_]
        raise Refused("it is no member of its enum")

    def restore(state: list[Any]) -> Any:
        _, key = state
        if type(key) is str:
            return members[key]
        if type(key) is int and issubclass(cls, enum.Flag):
            return cls._value2member_map_.get(key) or _combine(cls, key)
        raise DecodeError("a stored enum member is none")

    return Form(cls, ["enum", *(f"{name}={_describe(each._value_)}" for name, each in members.items())], dump, restore)


def _describe(value: Any) -> str:
    if type(value) is tuple:
        return f"({','.join(_describe(each) for each in value)})"
    return repr(value) if type(value) in _PLAIN else type(value).__qualname__


def _combine(cls: type[enum.Flag], value: int) -> Any:
    """Return a combination that this process has not made yet, by the standard library's own rules and no others."""
    if cls._member_type_ not in (object, int) or value < 0:  # type: ignore[attr-defined]
        raise DecodeError("a stored combination of flags is none")
    made: Any = enum.Flag.__dict__["_missing_"].__func__(cls, value)
    if type(made) is not cls or made._value_ != value:
        raise DecodeError("a stored combination of flags is none")
    return made


register_classes(_form)
