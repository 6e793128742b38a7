"""One class for each way of being a class of attrs or msgspec, and one that only its program knows."""

from __future__ import annotations

import functools
from typing import Any, Generic, TypeVar

import attr
import attrs
import msgspec

T = TypeVar("T")
ran: list[str] = []
"""What code of a class ran, while ``watching`` is not empty."""
watching: list[bool] = []


def _run(what: str) -> None:
    if watching:
        ran.append(what)


def _convert(value: Any) -> Any:
    _run("converter")
    return value


def _validate(obj: Any, attribute: Any, value: Any) -> None:
    _run("validator")


@attr.s(auto_attribs=True)
class Plain:
    x: Any


@attr.s(auto_attribs=True, slots=True)
class Slots:
    x: Any
    y: Any = attr.Factory(list)


@attrs.define
class Defined:
    x: Any = attrs.field(converter=_convert, validator=_validate)
    _private: Any = 2
    __mangled: Any = 3

    def __attrs_post_init__(self) -> None:
        _run("post init")

    def __attrs_pre_init__(self) -> None:
        _run("pre init")


@attrs.frozen
class Frozen:
    x: Any
    y: Any = None


@attrs.define
class Late:
    x: Any
    later: Any = attrs.field(init=False)


@attrs.define
class Cached:
    x: Any

    @functools.cached_property
    def double(self) -> Any:
        return [self.x, self.x]


@attr.s(auto_attribs=True, hash=True, cache_hash=True)
class Hashed:
    x: Any


@attr.s(auto_attribs=True, hash=True, cache_hash=True, slots=True)
class HashedSlots:
    x: Any


@attrs.define(weakref_slot=False)
class NoWeakrefs:
    x: Any


@attrs.define(slots=False)
class Open:
    x: Any


@attrs.define
class Sub(Defined):
    z: Any = 0


class Undecorated(Defined):
    pass


@attrs.define
class Box(Generic[T]):
    x: T


@attrs.define
class Empty:
    pass


class Struct(msgspec.Struct):
    x: Any
    y: list[Any] = []


class FrozenStruct(msgspec.Struct, frozen=True, order=True):
    x: Any


class Tagged(msgspec.Struct, tag="t", array_like=True, kw_only=True, omit_defaults=True, rename="camel"):
    some_field: Any
    other: Any = msgspec.UNSET


class Unmanaged(msgspec.Struct, gc=False):
    x: Any


class WithDict(Struct, dict=True):
    z: Any = 0


class HashedStruct(msgspec.Struct, frozen=True, cache_hash=True, weakref=True):
    x: Any


class SubStruct(Struct):
    z: Any = None


class GenericStruct(msgspec.Struct, Generic[T]):
    x: T


class EmptyStruct(msgspec.Struct):
    pass


class Checked(msgspec.Struct):
    x: Any

    def __post_init__(self) -> None:
        _run("post init")


class Fraction3:
    """Of no family that can be stored."""

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b

    def __eq__(self, other: object) -> bool:
        return type(other) is Fraction3 and (self.a, self.b) == (other.a, other.b)

    def __repr__(self) -> str:
        return f"Fraction3({self.a!r}, {self.b!r})"
