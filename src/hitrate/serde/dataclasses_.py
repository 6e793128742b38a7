"""Dataclasses: the instance's own attributes, whether in a dict or in slots, set back as they were."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Collection, Iterable
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Attributes, Declared, check_names, dataclass_fields, described_fields
from hitrate.serde.classes import attribute
from hitrate.serde.registry import Plan, Refused, register_classes

_FIELD: Any = dataclasses._FIELD  # type: ignore[attr-defined]


def _plan(cls: type) -> Plan | None:
    described = described_fields(cls)
    if described is None:
        return None
    fields = {name: each for name, each in dataclass_fields(cls).items() if each._field_type is _FIELD}
    # What __init__ does not set may stay unset; what the class has under the name is seen where the instance has none.
    optional = [name for name, each in fields.items() if not each.init or _has_default(cls, name)]
    return plain_plan(cls, ["dataclass", *described], declared=fields, optional=optional)


def _has_default(cls: type, name: str) -> bool:
    default = attribute(cls, name)
    return default is not None and type(default) is not types.MemberDescriptorType


def plain_plan(
    cls: type, fields: list[str], *, declared: Iterable[str] = (), optional: Collection[str] = (), open: bool = False
) -> Plan:
    """Return the plan of a class whose instances are nothing but attributes.

    Args:
        cls: the class.
        fields: the name of its family, and what is known of its fields.
        declared: names of attributes that are stored and restored only together; all slots if none are given.
        optional: those of them that an instance may lack. It is stored with their names, and comes back without them.
        open: whether ``types=`` leaves it alone.

    Raises:
        Refused: instances hold more than that, or cannot be made without the class's own code.
    """
    attributes = Attributes(cls)
    names = [*declared]
    if not attributes.slots:
        return _plan_of_dict(cls, fields, attributes, Declared(names, optional), open=open)
    slots, has_dict = attributes.slots, attributes.has_dict
    required = {*(names or slots)}.difference(optional)
    in_slots = Declared(slots, slots.keys() - required)
    in_dict = Declared([name for name in names if name not in slots], optional)
    new, filled_of, fill, put_dict = object.__new__, attributes.filled, attributes.fill, attributes.put_dict

    def dump(obj: Any, mark: str) -> list[Any]:
        filled, others = filled_of(obj), obj.__dict__ if has_dict else None
        missing = in_slots.missing(filled) if len(filled) != in_slots.count else []
        if others is not None:
            missing += in_dict.missing(others)
        return [mark, filled, others, missing] if missing else [mark, filled, others]

    def restore(state: list[Any]) -> Any:
        _, filled, others, *rest = state
        missing = rest[0] if rest else ()
        in_slots.check(filled, [name for name in missing if name in slots])
        made: Any = new(cls)
        fill(made, filled)
        if has_dict:
            in_dict.check(others, [name for name in missing if name not in slots])
            put_dict(made, others)
        elif others is not None:
            raise DecodeError("stored attributes are none")
        return made

    return Plan(cls, [*fields, "slots", *slots], dump, restore, open=open)


def _plan_of_dict(cls: type, fields: list[str], attributes: Attributes, declared: Declared, *, open: bool) -> Plan:
    new, put_dict, get_all, count = object.__new__, attributes.put_dict, declared.get_all, declared.count
    if not attributes.has_dict and count:
        raise Refused("its fields are not where they were declared")

    def dump(obj: Any, mark: str) -> list[Any]:
        attributes = obj.__dict__
        try:
            get_all(attributes)
        except KeyError:
            return [mark, attributes, declared.missing(attributes)]
        return [mark, attributes]

    def restore(state: list[Any]) -> Any:
        _, attributes, *missing = state
        if type(attributes) is not dict:
            raise DecodeError("stored attributes are none")
        if missing:
            declared.check(attributes, *missing)
        else:
            try:
                get_all(attributes)
            except KeyError as exc:
                raise DecodeError(f"a stored instance lacks its field {exc}") from None
            if len(attributes) != count:
                check_names(attributes)
        made: Any = new(cls)
        put_dict(made, attributes)
        return made

    return Plan(cls, fields, dump, restore, open=open)


register_classes(_plan)
