"""Dataclasses: the instance's own attributes, whether in a dict or in slots, set back as they were."""

from __future__ import annotations

import types
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry, attribute, describe
from hitrate.serde.registry import Plan, Refused, register_classes

_HEAP_TYPE = 1 << 9


def _plan(cls: type) -> Plan | None:
    fields = attribute(cls, "__dataclass_fields__")
    if type(fields) is not dict or type in ancestry(cls):
        return None
    known = [f"{name}:{field._field_type.name}:{describe(field.type)}" for name, field in fields.items()]
    return plain_plan(cls, ["dataclass", *known])


def plain_plan(cls: type, fields: list[str]) -> Plan:
    """Return the plan of a class whose instances are nothing but attributes.

    Raises:
        Refused: they hold more than that, or cannot be made without the class's own code.
    """
    if any(not base.__flags__ & _HEAP_TYPE for base in ancestry(cls)[:-1]):
        raise Refused("it inherits from a built-in type whose content is not in its fields")
    slots: dict[str, Any] = {}
    for base in ancestry(cls)[:-1]:
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType:
                if name in slots:
                    raise Refused(f"its slot {name!r} is defined twice")
                slots[name] = member
    has_dict = cls.__dictoffset__ != 0
    new, set_attribute = object.__new__, object.__setattr__

    def dump(obj: Any, mark: str) -> list[Any]:
        return [mark, obj.__dict__]

    def restore(state: list[Any]) -> Any:
        _, attributes = state
        if type(attributes) is not dict:
            raise DecodeError("stored attributes are none")
        made: Any = new(cls)
        set_attribute(made, "__dict__", attributes)
        return made

    def dump_slots(obj: Any, mark: str) -> list[Any]:
        filled = {}
        for name, member in slots.items():
            try:
                filled[name] = member.__get__(obj)
            except AttributeError:
                pass  # a field that was never set stays so
        return [mark, filled, obj.__dict__ if has_dict else None]

    def restore_slots(state: list[Any]) -> Any:
        _, filled, attributes = state
        made: Any = new(cls)
        for name, value in filled.items():
            slots[name].__set__(made, value)
        if has_dict:
            if type(attributes) is not dict:
                raise DecodeError("stored attributes are none")
            set_attribute(made, "__dict__", attributes)
        return made

    if slots:
        return Plan(cls, [*fields, "slots", *slots], dump_slots, restore_slots)
    return Plan(cls, fields, dump, restore)


register_classes(_plan)
