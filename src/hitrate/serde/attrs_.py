"""attrs classes: their attributes, set as they were without ``__init__``, converters or validators."""

from __future__ import annotations

from typing import Any

import attr

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Attributes
from hitrate.serde.classes import ancestry, attribute, describe
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, register_classes
from hitrate.serde.set_by_init import always_set

_CACHED_HASH = "_attrs_cached_hash"


def _form(cls: type) -> Form | None:
    fields = attribute(cls, "__attrs_attrs__")
    if not isinstance(fields, tuple) or not all(type(field) is attr.Attribute for field in fields):
        return None
    if type in ancestry(cls):
        return None
    attributes = Attributes(cls)
    slots, has_dict = attributes.slots, attributes.has_dict
    # An attribute that was never set is refused, because it cannot be told from one that the stored bytes lack.
    required: list[str] = [*dict.fromkeys([*(field.name for field in fields), *always_set(cls)])]
    if _caches_hash(cls):
        required.append(_CACHED_HASH)
    new, get_attribute = object.__new__, object.__getattribute__

    def dump(obj: Any, mark: str) -> list[Any]:
        filled = attributes.filled(obj)  # without cached properties that were not computed yet
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
        attributes.check(filled, others)
        missing = _missing(filled, others)
        if missing is not None:
            raise DecodeError(f"the stored state lacks the attribute {missing!r}")
        if filled.get(_CACHED_HASH) is not None or (others and others.get(_CACHED_HASH) is not None):
            raise DecodeError("a stored hash is that of another process")
        made: Any = new(cls)
        attributes.fill(made, filled)
        attributes.put_dict(made, others)
        return made

    def _missing(filled: dict[str, Any], others: dict[str, Any] | None) -> str | None:
        for name in required:
            if name not in ((others or ()) if name not in slots else filled):
                return name
        return None

    known = [f"{field.name}:{describe(field.type)}" for field in fields]
    return Form(cls, ["attrs", *known, *(["slots", *slots] if slots else [])], dump, restore)


def _caches_hash(cls: type) -> bool:
    code = getattr(attribute(cls, "__hash__"), "__code__", None)
    return code is not None and _CACHED_HASH in code.co_names


register_classes(_form)
