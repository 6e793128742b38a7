"""What programs hand to other libraries: functions and classes of a module, cached and with cached methods."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

import pydantic
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.types import Command, StreamWriter

from hitrate import InMemoryCache, cached

CACHE = InMemoryCache()


class State(TypedDict, total=False):
    question: str
    answer: str


class Private(TypedDict, total=False):
    question: str
    secret: str


def route(state: State) -> Command[Literal["one"]]:
    return Command(goto="one")


async def aroute(state: State) -> Command[Literal["one"]]:
    return Command(goto="one")


def one(state: State) -> Private:
    return {"secret": "s3"}


async def aone(state: State) -> Private:
    return {"secret": "s3"}


def two(state: Private) -> State:
    return {"answer": str(state.get("secret"))}


async def atwo(state: Private) -> State:
    return {"answer": str(state.get("secret"))}


@dataclass(frozen=True)
class Two:
    """A node that is an object, and one that is a method."""

    name: str = "two"

    def __call__(self, state: Private) -> State:
        return {"answer": str(state.get("secret"))}

    @cached(CACHE)
    def method(self, state: Private) -> State:
        return {"answer": str(state.get("secret"))}

    @cached(CACHE)
    async def amethod(self, state: Private) -> State:
        return {"answer": str(state.get("secret"))}


@dataclass
class Context:
    user: str


def with_runtime(state: State, runtime: Runtime[Context]) -> State:
    return {"answer": runtime.context.user}


def with_config(state: State, config: RunnableConfig) -> State:
    return {"answer": "ada"}


def with_writer(state: State, writer: StreamWriter) -> State:
    return {"answer": "ada"}


def with_store(state: State, *, store: BaseStore) -> State:
    return {"answer": "ada"}


class Model(pydantic.BaseModel):
    n: int

    @cached(CACHE)
    def square(self) -> int:
        return self.n**2

    @cached(CACHE)
    async def asquare(self) -> int:
        return self.n**2

    @property
    @cached(CACHE)
    def next(self) -> int:
        return self.n + 1

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    @cached(CACHE)
    def twice(self) -> int:
        return self.n * 2

    @functools.cached_property
    @cached(CACHE)
    def thrice(self) -> int:
        return self.n * 3

    @classmethod
    @cached(CACHE)
    def of(cls, n: int) -> Any:
        return cls(n=n)

    @staticmethod
    @cached(CACHE)
    def static(n: int) -> int:
        return n

    @pydantic.field_validator("n", mode="before")
    @classmethod
    @cached(CACHE)
    def as_int(cls, value: Any) -> int:
        return int(value)


class Other(Model):
    pass


@pydantic.dataclasses.dataclass
class Data:
    n: int

    @cached(CACHE)
    def square(self) -> int:
        return self.n**2


class Pair(NamedTuple):
    a: int

    @cached(CACHE)
    def first(self) -> int:
        return self.a


@dataclass(frozen=True, slots=True)
class Slotted:
    a: int

    @cached(CACHE)
    def first(self) -> int:
        return self.a


class Doubling(BaseTool):
    name: str = "doubling"
    description: str = "Doubles."

    @cached(CACHE, ignore="self")
    def _run(self, a: int) -> int:
        return a * 2

    @cached(CACHE, ignore="self")
    async def _arun(self, a: int) -> int:
        return a * 2


class Body(pydantic.BaseModel):
    a: int
