"""Classes of the kinds that programs have, for values that are more than built-in types and dataclasses."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from dataclasses import InitVar, dataclass, field, make_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Annotated, Any, Generic, NoReturn, TypeVar, Union

import attrs
import pydantic
from pydantic import BaseModel, ConfigDict, HttpUrl

T = TypeVar("T")
U = TypeVar("U")


class Mood(Enum):
    CALM = 1


class CodeRan(BaseException):
    """Raised by whatever must not be called; no Exception, so that nothing swallows it."""


def ran(*args: Any, **options: Any) -> NoReturn:
    raise CodeRan


class Word(str):
    pass


class SlottedWord(str):
    __slots__ = ("language",)


class BareWord(str):
    __slots__ = ()


class Number(int):
    pass


class Ratio(float):
    pass


class Phase(complex):
    pass


class Blob(bytes):
    pass


class Buffer(bytearray):
    pass


class Triple(tuple[Any, ...]):
    pass


class Rows(list[Any]):
    pass


class Table(dict[Any, Any]):
    pass


class Bag(set[Any]):
    pass


class FrozenBag(frozenset[Any]):
    pass


class Queue(deque[Any]):
    pass


class Ordered(OrderedDict[Any, Any]):
    pass


class Defaults(defaultdict[Any, Any]):
    pass


class Tally(Counter[Any]):
    pass


class OrderedTally(Counter[Any], OrderedDict[Any, Any]):
    pass


class Money(Decimal):
    pass


class Share(Fraction):
    pass


class Ident(uuid.UUID):
    pass


class Moment(dt.datetime):
    pass


class Day(dt.date):
    pass


class Clock(dt.time):
    pass


class Span(dt.timedelta):
    pass


class Settings(UserDict[Any, Any]):
    pass


class Items(UserList[Any]):
    pass


class Title(UserString):
    pass


class Guarded(str):
    """Nothing of it may be called when it is restored."""

    __new__ = ran  # type: ignore[assignment]
    __init__ = __setattr__ = __setstate__ = __reduce__ = __reduce_ex__ = ran  # type: ignore[assignment]


class GuardedList(list[Any]):
    __new__ = __init__ = append = extend = __setitem__ = __setstate__ = __iter__ = ran  # type: ignore[assignment]


class GuardedDict(dict[Any, Any]):
    __new__ = __init__ = update = __setitem__ = __setstate__ = __iter__ = keys = items = ran  # type: ignore[assignment]


class GuardedSet(set[Any]):
    __new__ = __init__ = add = update = __iter__ = ran  # type: ignore[assignment]


class GuardedOrdered(OrderedDict[Any, Any]):
    __new__ = __init__ = update = __setitem__ = __iter__ = items = ran  # type: ignore[assignment]


class GuardedQueue(deque[Any]):
    __new__ = __init__ = append = extend = __iter__ = ran  # type: ignore[assignment]


class GuardedInt(int):
    __new__ = __init__ = __int__ = __index__ = ran  # type: ignore[assignment]


class GuardedError(ValueError):
    __new__ = __init__ = __setstate__ = __reduce__ = add_note = ran  # type: ignore[assignment]


class Finalised(str):
    def __del__(self) -> None:
        pass


class Failed(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"failed with {code}")
        self.code = code


class FailedFile(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "gone", path)


class SlottedError(Exception):
    __slots__ = ("detail",)


class Group(ExceptionGroup[Any]):
    pass


@dataclass
class ErrorWithFields(Exception):
    x: int = 1
    y: Any = field(default_factory=list)


@dataclass(slots=True)
class WordWithSlots(str):
    x: int

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return str.__new__(cls, "text")


@dataclass
class WordOfSeed(str):
    x: int
    seed: InitVar[int]

    def __post_init__(self, seed: int) -> None:
        self.x += seed

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return str.__new__(cls, "text")


@attrs.define
class ErrorOfAttrs(Exception):
    x: int


@attrs.define(slots=False)
class OpenErrorOfAttrs(Exception):
    x: int


@attrs.define
class TableOfAttrs(dict[Any, Any]):
    x: int = 1


@attrs.define(slots=False)
class RowsOfAttrs(list[Any]):
    x: int


@dataclass
class TableWithFields(dict[Any, Any]):
    x: Any
    y: int = 0


class Usage(BaseModel):
    model_config = ConfigDict(defer_build=True)

    n: int
    of: Later | None = None
    note: str = ""


class Later(BaseModel):
    model_config = ConfigDict(defer_build=True)

    usage: Usage | None = None


class Page(BaseModel, Generic[T]):
    x: T
    more: list[T] = []


class Sides(BaseModel, Generic[T, U]):
    left: T
    right: U


# Its annotation is a class and no text, which would have to be evaluated.
Point = make_dataclass("Point", [("x", int)])
Point.__module__ = __name__


class Label:
    """Metadata of an annotation, as the clients of models have it."""


class Reply(BaseModel, Generic[T]):
    model_config = ConfigDict(defer_build=True)

    parts: list[Annotated[Union[Later, Usage], Label()]]  # noqa: UP007
    parsed: T | None = None


class Pages(BaseModel, Generic[T]):
    page: Page[T]


class Hooked(BaseModel, Generic[T]):
    x: T

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        hooked.append(cls)


hooked: list[type] = []


class Event(BaseModel):
    at: dt.datetime
    link: HttpUrl | None = None


@dataclass
class Box(Generic[T]):
    x: T


@pydantic.dataclasses.dataclass
class Order(Generic[T]):
    x: T
    day: dt.date = dt.date(2026, 1, 1)


@dataclass
class Lazy:
    x: int
    size: Any = field(init=False, repr=False, compare=False)


@dataclass
class Two:
    x: Any
    y: Any


@dataclass(slots=True)
class SlottedTwo:
    x: Any
    y: Any
