"""The attributes of an instance, in its ``__dict__`` and in slots: which there are, and that none is missing.

They are read and set by the descriptors of the interpreter itself, so that no code of the class runs. The stored state
of an instance holds all attributes that its class declares, and names those that were never set. So a payload from
which an attribute was taken away is refused.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable, Collection, Iterable
from operator import itemgetter
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry, attribute, describe
from hitrate.serde.registry import Refused
from hitrate.serde.set_by_init import always_set

_FIELD: Any = dataclasses._FIELD  # type: ignore[attr-defined]
_HEAP_TYPE = 1 << 9
_MANAGED_DICT = 1 << 4  # a type flag: the dict lies before the instance, and is not counted in its size
_POINTER = object.__basicsize__ // 2

_size_of: Callable[[type], int] = vars(type)["__basicsize__"].__get__
_dict_offset: Callable[[type], int] = vars(type)["__dictoffset__"].__get__
_weakref_offset: Callable[[type], int] = vars(type)["__weakrefoffset__"].__get__
base_of: Callable[[type], Any] = vars(type)["__base__"].__get__
"""The base class whose content instances of a class have, asked of the class itself; None of ``object``."""


class Attributes:
    """The attributes that instances of a class have besides the content of a built-in type that it derives from.

    Args:
        cls: the class.
        base: the built-in type, ``object`` for a class that is nothing but attributes.
        carried: base classes whose slots belong to the content.

    Attributes:
        slots: the slots by name.
        has_dict: whether instances have a ``__dict__``.
        put_dict: sets it.
        in_slots: what the class declares of its slots; nothing until ``declare`` was called.
        in_dict: likewise of its ``__dict__``.

    Raises:
        Refused: instances hold more than that, or the class's own code would run.
    """

    __slots__ = ("has_dict", "in_dict", "in_slots", "put_dict", "slots")

    def __init__(self, cls: type, base: type = object, carried: Collection[type] = ()) -> None:
        self.slots: dict[str, Any] = {}
        for each in ancestry(cls):
            if each is base or each in ancestry(base):
                continue
            if not each.__flags__ & _HEAP_TYPE:
                if _holds_no_more_than(each, base):
                    continue
                raise Refused("it inherits from a built-in type whose content is not in its fields")
            own_new = vars(each).get("__new__")
            if type(own_new) is types.BuiltinFunctionType and own_new.__self__ is each:
                raise Refused("it inherits from an extension type, which the built-in type's __new__ cannot make")
            if each in carried:
                continue
            for name, member in vars(each).items():
                if type(member) is types.MemberDescriptorType:
                    if name in self.slots:
                        raise Refused(f"its slot {name!r} is defined twice")
                    self.slots[name] = member
        carried_slots = sum(
            type(member) is types.MemberDescriptorType for each in carried for member in vars(each).values()
        )
        own_dict = _dict_offset(cls) != 0 and not _dict_offset(base) and not cls.__flags__ & _MANAGED_DICT
        own_weakrefs = _weakref_offset(cls) > 0 and not _weakref_offset(base)
        own = len(self.slots) + carried_slots + own_dict + own_weakrefs
        # An extension type written in C or Rust is made like a class of Python, but has room of its own.
        if _size_of(cls) > _size_of(base) + own * _POINTER:
            raise Refused("it inherits from an extension type whose content is not in its fields")
        self.has_dict = _dict_offset(cls) != 0
        self.put_dict: Callable[[Any, Any], None] = _nothing
        if self.has_dict:
            space = attribute(cls, "__dict__")
            if type(space) is not types.GetSetDescriptorType:
                raise Refused("it has a __dict__ of its own making")
            self.put_dict = space.__set__
        self.declare(())

    def declare(self, names: Iterable[str], optional: Collection[str] = ()) -> None:
        """Note what the class declares; the arguments are those of ``Declared``."""
        given = [*names]
        self.in_slots = Declared([name for name in given if name in self.slots], optional)
        self.in_dict = Declared([name for name in given if name not in self.slots], optional)

    def missing(self, filled: dict[str, Any], others: dict[str, Any]) -> list[str]:
        """Return the declared names that an instance has neither in slots nor in its dict; see ``Declared``."""
        return self.in_slots.missing(filled) + self.in_dict.missing(others)

    def check(self, filled: Any, others: Any, missing: Collection[str] = ()) -> None:
        """See that what is stored of the slots and the dict is whole; see ``Declared``."""
        of_slots = [name for name in missing if name in self.slots] if len(missing) else ()
        self.in_slots.check(filled, of_slots)
        if self.has_dict:
            self.in_dict.check(others, [name for name in missing if name not in of_slots] if len(missing) else ())
        elif others is not None:
            raise DecodeError("stored attributes are none")

    def filled(self, obj: Any) -> dict[str, Any]:
        """Return the values of the slots that were set."""
        found = {}
        for name, member in self.slots.items():
            try:
                found[name] = member.__get__(obj)
            except AttributeError:
                pass
        return found

    def fill(self, obj: Any, values: Any) -> None:
        """Set the slots of an instance that is made anew."""
        if type(values) is not dict:
            raise DecodeError("stored slots are none")
        for name, value in values.items():
            member = self.slots.get(name)
            if member is None:
                raise DecodeError("a stored slot is none")
            member.__set__(obj, value)


class Declared:
    """The names of attributes that a class declares, and which of them an instance may lack.

    Args:
        names: all of them.
        optional: those that an instance may lack; with another missing it is neither stored nor restored.

    Attributes:
        names: all of them, in order.
        get_all: takes a dict and raises KeyError if one is missing; the fastest way to see that none is.
    """

    __slots__ = ("_optional", "get_all", "names")

    def __init__(self, names: Iterable[str], optional: Collection[str] = ()) -> None:
        self.names = [*names]
        self._optional = frozenset(optional)
        self.get_all: Callable[[Any], Any] = itemgetter(*self.names) if self.names else _nothing

    def missing(self, attributes: dict[str, Any]) -> list[str]:
        """Return the names that are not there, all of them such as may be missing."""
        names = [name for name in self.names if name not in attributes]
        for name in names:
            if name not in self._optional:
                raise Refused(f"its field {name!r} is not set")
        return names

    def check(self, attributes: Any, missing: Any = ()) -> None:
        """See that a stored dict is whole, but for the stored names of what was not set."""
        check_names(attributes)
        try:
            if self.missing(attributes) != [*missing]:
                raise DecodeError("a stored instance lacks a field")
        except Refused as exc:
            raise DecodeError(f"a stored instance is not whole: {exc}") from exc


def check_names(attributes: Any) -> None:
    """See that stored attributes are a dict under names."""
    if type(attributes) is not dict:
        raise DecodeError("stored attributes are none")
    try:
        "".join(attributes)
    except TypeError:
        raise DecodeError("a stored attribute has no name") from None


def dataclass_fields(cls: type) -> dict[str, Any]:
    """Return the fields that instances of a dataclass have."""
    return {name: field for name, field in (all_fields(cls) or {}).items() if field._field_type is _FIELD}


def all_fields(cls: type) -> dict[str, Any] | None:
    """Return the fields of a dataclass, those of its ``__init__`` or of the class alone too; None if it is none."""
    fields = attribute(cls, "__dataclass_fields__")
    return fields if type(fields) is dict and type not in ancestry(cls) else None


def described_fields(cls: type) -> list[str] | None:
    """Return what makes the fields of a dataclass the same as the stored ones, None if the class is none."""
    fields = all_fields(cls)
    if fields is None:
        return None
    return [f"{name}:{field._field_type.name}:{describe(field.type)}" for name, field in fields.items()]


def has_default(cls: type, name: str) -> bool:
    """Tell whether a class has something under the name of a field, which is seen where an instance has nothing."""
    return type(attribute(cls, name)) not in (types.NoneType, types.MemberDescriptorType)


def _declared_names(cls: type) -> list[str]:
    """Return the fields that instances of a dataclass or an attrs class hold themselves; none if it is neither.

    It is asked for classes that derive from a built-in type or an exception; the others have a family of their own.
    """
    attr: Any = sys.modules.get("attr")
    fields = [*dataclass_fields(cls)]
    of_attrs = attribute(cls, "__attrs_attrs__")
    if attr is not None and isinstance(of_attrs, tuple) and type not in ancestry(cls):
        fields += [each.name for each in of_attrs if type(each) is attr.Attribute]
    return [name for name in fields if not has_default(cls, name)]


def described(cls: type, attributes: Attributes) -> list[str]:
    """Declare the attributes of a class that derives from a built-in type, and return what describes its fields."""
    declared = _declared_names(cls)
    attributes.declare(dict.fromkeys([*declared, *always_set(cls)]))
    return described_fields(cls) or declared


def _holds_no_more_than(cls: type, base: type) -> bool:
    """Tell whether a built-in exception adds nothing to the content of another: ``KeyError`` to that of ``OSError``."""
    if BaseException not in ancestry(cls):
        return False
    while cls not in ancestry(base):
        if _size_of(cls) != _size_of(base_of(cls)):
            return False
        cls = base_of(cls)
    return True


def _nothing(*_: Any) -> None:
    return None
