"""One class for each way of being a user's class."""

from __future__ import annotations

import enum
import functools
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel, SecretBytes, SecretStr


class CodeRan(BaseException):
    """Raised by every hook of ``Tripwire``; not an Exception, so that nothing swallows it."""


@dataclass
class Point:
    x: Any
    y: Any = 0


@dataclass(frozen=True)
class Frozen:
    x: Any
    tags: Any = ()


@dataclass(slots=True)
class Slotted:
    x: Any
    later: Any = field(init=False, repr=False, compare=False)


@dataclass
class Initialised:
    x: int
    scale: InitVar[int]
    product: int = field(init=False)

    def __post_init__(self, scale: int) -> None:
        self.product = self.x * scale
        self.besides = [scale]


class Outer:
    @dataclass
    class Inner:
        value: Any


class SubPoint(Point):
    """Inherits the fields, and is no dataclass of its own making."""


class Pair(NamedTuple):
    left: Any
    right: Any = None


Plain = namedtuple("Plain", "a b")


class WithMethods(Plain):
    def total(self) -> Any:
        return self.a + self.b


class Colour(enum.Enum):
    RED = "r"
    GREEN = ("g", 1)
    CRIMSON = "r"  # noqa: PIE796


class Word(enum.StrEnum):
    YES = "yes"


class Size(enum.IntEnum):
    BIG = 3


class Mode(enum.Flag):
    READ = 1
    WRITE = 2
    EXECUTE = 4


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


class Account(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: Any
    balance: Any = 0
    password: SecretStr = SecretStr("hunter2")
    token: SecretBytes = SecretBytes(b"\x00\xff")
    _seen: Any = PrivateAttr(default_factory=list)

    @functools.cached_property
    def shout(self) -> str:
        return str(self.name).upper()


class Bank(BaseModel):
    accounts: list[Account] = []
    first: Account | None = None


class Numbers(RootModel[list[int]]):
    pass


class Tripwire(BaseModel):
    """A model none of whose code may run when it is restored."""

    value: Any = None

    def __init__(self, **data: Any) -> None:
        if not data.pop("_allowed", False):
            raise CodeRan
        super().__init__(**data)

    def __setattr__(self, name: str, value: Any) -> None:
        raise CodeRan

    def __setstate__(self, state: Any) -> None:
        raise CodeRan

    def model_post_init(self, context: Any) -> None:
        pass


@dataclass
class Armed:
    value: Any

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if armed:
            raise CodeRan

    def __post_init__(self) -> None:
        if armed:
            raise CodeRan

    def __setstate__(self, state: Any) -> None:
        raise CodeRan


armed: list[bool] = []


class MyDict(dict[Any, Any]):
    pass


class MyList(list[Any]):
    pass


class MyStr(str):
    pass


class MyInt(int):
    pass


class MyFloat(float):
    pass


class MyBytes(bytes):
    pass


@dataclass
class DictWithFields(dict[Any, Any]):
    x: int = 1


@dataclass
class ErrorWithFields(Exception):
    x: int = 1
