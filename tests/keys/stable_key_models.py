"""Classes whose instances are arguments."""

from __future__ import annotations

import enum
import functools
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import msgspec
from pydantic import BaseModel, PrivateAttr


class Colour(enum.Enum):
    RED = "r"


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class Word(enum.StrEnum):
    YES = "yes"


class Size(enum.IntEnum):
    BIG = 3


@dataclass
class Point:
    x: Any
    y: Any = 0

    @functools.cached_property
    def length(self) -> float:
        return float(self.x)


@dataclass
class OtherPoint:
    x: Any
    y: Any = 0


@dataclass(frozen=True, slots=True)
class Slotted:
    x: Any
    later: Any = field(default=None, compare=False)


class Pair(NamedTuple):
    left: Any
    right: Any = None


class Person(BaseModel):
    name: Any
    age: Any = None
    _note: Any = PrivateAttr(default=None)

    @functools.cached_property
    def shout(self) -> str:
        return str(self.name).upper()


class MyStr(str):
    pass


class MyInt(int):
    pass


class MyDict(dict[Any, Any]):
    pass


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    x: T


def with_attribute(value: Any) -> Any:
    """Return a value that was given an attribute."""
    value.note = "n"
    return value


@attrs.frozen
class Corner:
    x: Any
    y: Any = 0


class Struct(msgspec.Struct):
    x: Any
    y: Any = 0


def scaled(x: float, by: float = 2) -> float:
    """Return it times a number."""
    return x * by


def scaling(by: Any) -> Callable[[float], Any]:
    def scale(x: float) -> Any:
        return x * by

    return scale


def calling(each: Any, pair: Any) -> Any:
    return each(*pair)


calling.__annotations__ = {"each": Callable, "pair": typing.Tuple, "return": typing.Callable}  # noqa: UP006

DOUBLED = lambda x, *, y=[1]: f"{x!r:>{y}} {x}"  # noqa: E731


class Scale:
    """Can be called."""

    unit = "m"

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x: float) -> float:
        return x * self.by

    def run(self, x: float) -> float:
        return self(x)

    @classmethod
    def made(cls) -> Scale:
        return cls(1)
