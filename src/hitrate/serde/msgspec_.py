"""msgspec: Structs, which msgspec itself fills from their fields, ``UNSET`` and ``Raw``."""

from __future__ import annotations

import types
from typing import Any

import msgspec

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry, annotation, attribute, describe
from hitrate.serde.forms import Form
from hitrate.serde.registry import Hook, Refused, register, register_classes

MSGSPEC = 68

# The metaclass's own: a metaclass derived from it cannot interfere. To call it allocates a Struct and sets the fields
# that it is given; it runs no code of the class but __post_init__, and no default if every field is given.
_META: Any = type(msgspec.Struct)
_names_of = vars(_META)["__struct_fields__"].__get__
_config_of = vars(_META)["__struct_config__"].__get__
_make = vars(_META)["__call__"]
_CACHED_HASH = "__msgspec_cached_hash__"
_dict_of = object.__getattribute__


def _form(cls: type) -> Form | None:
    if msgspec.Struct not in ancestry(cls):
        return None
    if attribute(cls, "__post_init__") is not None:
        raise Refused("it has a __post_init__, without which msgspec makes no instance")
    names = _names_of(cls)
    members = {name: _member(cls, name) for name in names}
    for base in ancestry(cls):
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType and name not in members and name != _CACHED_HASH:
                raise Refused("it has slots besides its fields")
    has_dict = _config_of(cls).dict
    if cls.__dictoffset__ and not has_dict:
        raise Refused("it inherits a __dict__ from a class that is no Struct")

    def dump(obj: Any, mark: str) -> list[Any]:
        try:
            fields = {name: member.__get__(obj) for name, member in members.items()}
        except AttributeError as exc:
            raise Refused("one of its fields was deleted") from exc
        return [mark, fields, _dict_of(obj, "__dict__")] if has_dict else [mark, fields]

    def restore(state: list[Any]) -> Any:
        _, fields, *rest = state
        if type(fields) is not dict or fields.keys() != members.keys() or len(rest) != has_dict:
            raise DecodeError("the stored fields of a Struct are not those of its class")
        made = _make(cls, **fields)
        if has_dict:
            if type(rest[0]) is not dict:
                raise DecodeError("stored attributes are none")
            _dict_of(made, "__dict__").update(rest[0])
        return made

    known = [f"{name}:{describe(annotation(cls, name))}" for name in names]
    return Form(cls, ["struct", *known, *(["dict"] if has_dict else [])], dump, restore)


def _member(cls: type, name: str) -> Any:
    member = attribute(cls, name)
    if type(member) is not types.MemberDescriptorType:
        raise Refused(f"its field {name!r} is overridden")
    return member


def _decode(data: bytes, hook: Hook) -> Any:
    if data[:1] not in (b"", b"\1"):
        raise DecodeError("a stored value of msgspec is none")
    return msgspec.Raw(data[1:]) if data else msgspec.UNSET


register(
    MSGSPEC,
    _decode,
    types=[type(msgspec.UNSET), msgspec.Raw],
    encode=lambda obj, pack: b"" if obj is msgspec.UNSET else b"\1" + bytes(obj),
)
register_classes(_form)
