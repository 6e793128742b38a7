"""attrs classes: their attributes, set as they were without ``__init__``, converters or validators."""

from __future__ import annotations

import types
from typing import Any

import attr

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry, attribute, describe
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, register_classes
from hitrate.serde.set_by_init import always_set

_CACHED_HASH = "_attrs_cached_hash"
_HEAP_TYPE = 1 << 9


def _form(cls: type) -> Form | None:
    fields = attribute(cls, "__attrs_attrs__")
    if not isinstance(fields, tuple) or not all(type(field) is attr.Attribute for field in fields):
        return None
    if type in ancestry(cls):
        return None
    slots, has_dict = _slots(cls), cls.__dictoffset__ != 0
    # An attribute that was never set is refused, because it cannot be told from one that the stored bytes lack.
    required: list[str] = [*dict.fromkeys([*(field.name for field in fields), *always_set(cls)])]
    if _caches_hash(cls):
        required.append(_CACHED_HASH)
    new, set_attribute, get_attribute = object.__new__, object.__setattr__, object.__getattribute__

    def dump(obj: Any, mark: str) -> list[Any]:
        filled = {}
        for name, member in slots.items():
            try:
                filled[name] = member.__get__(obj)
            except AttributeError:
                pass  # a cached property that was not computed yet
        others = get_attribute(obj, "__dict__") if has_dict else None
        missing = _missing(filled, others)
        if missing is not None:
            raise Refused(f"its attribute {missing!r} was never set")
        # The hash of a text differs from process to process; attrs computes it anew if it is None.
        if _CACHED_HASH in filled:
            filled[_CACHED_HASH] = None
        elif others is not None and _CACHED_HASH in others:
            others = {**others, _CACHED_HASH: None}
        return [mark, filled, others] if slots else [mark, others]

    def restore(state: list[Any]) -> Any:
        _, *parts = state
        filled, others = parts if slots else ({}, *parts)
        if type(filled) is not dict or type(others) is not (dict if has_dict else type(None)):
            raise DecodeError("stored attributes are none")
        missing = _missing(filled, others)
        if missing is not None:
            raise DecodeError(f"the stored state lacks the attribute {missing!r}")
        if filled.get(_CACHED_HASH) is not None or (others and others.get(_CACHED_HASH) is not None):
            raise DecodeError("a stored hash is that of another process")
        made: Any = new(cls)
        for name, value in filled.items():
            slots[name].__set__(made, value)
        if others is not None:
            if not all(type(name) is str for name in others):
                raise DecodeError("a stored attribute has no name")
            set_attribute(made, "__dict__", others)
        return made

    def _missing(filled: dict[str, Any], others: dict[str, Any] | None) -> str | None:
        for name in required:
            if name not in ((others or ()) if name not in slots else filled):
                return name
        return None

    known = [f"{field.name}:{describe(field.type)}" for field in fields]
    return Form(cls, ["attrs", *known, *(["slots", *slots] if slots else [])], dump, restore)


def _slots(cls: type) -> dict[str, Any]:
    slots: dict[str, Any] = {}
    for base in ancestry(cls)[:-1]:
        if not base.__flags__ & _HEAP_TYPE:
            raise Refused("it inherits from a built-in type whose content is not in its attributes")
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType:
                if name in slots:
                    raise Refused(f"its slot {name!r} is defined twice")
                slots[name] = member
    return slots


def _caches_hash(cls: type) -> bool:
    code = getattr(attribute(cls, "__hash__"), "__code__", None)
    return code is not None and _CACHED_HASH in code.co_names


register_classes(_form)
