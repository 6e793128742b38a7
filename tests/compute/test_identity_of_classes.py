"""Classes that functions make share a name: whatever their bodies say tells them apart, and no more than that."""

from __future__ import annotations

import copy
import dataclasses
import enum
import hashlib
import hmac
import inspect
import io
import random
import sqlite3
import struct
import threading
import typing
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import attrs
import msgspec
import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PrivateAttr,
    TypeAdapter,
    create_model,
    field_validator,
    validate_call,
)
from typing_extensions import TypedDict

from hitrate import cached, stable_key


def over(memory: Any, what: Any, **options: Any) -> Any:
    @cached(memory, **options)
    def read() -> str:
        return repr(what)

    return read.key_for()


def plus(number: int) -> Callable[[int], int]:
    return lambda value: value + number


def nested_model(kind: Any) -> Any:
    inner = create_model("Inner", x=(kind, ...))
    return create_model("Outer", inner=(list[inner], ...))  # type: ignore[valid-type]


def validated(mode: Any) -> Any:
    class Validated(BaseModel):
        x: int

        @field_validator("x", mode=mode)
        @classmethod
        def twice(cls, x: Any) -> Any:
            return x * 2

    return Validated


def private(number: int) -> Any:
    class Private(BaseModel):
        _x: int = PrivateAttr(number)

    return Private


def struct_class(default: int, **options: Any) -> Any:
    return msgspec.defstruct("S", [("a_b", int, default)], **options)


def data_class(number: int) -> Any:
    @dataclass
    class Data:
        x: int = dataclasses.field(default=1, metadata={"unit": number})

    return Data


def ordered(order: bool) -> Any:
    @dataclass(order=order)
    class Data:
        x: int = 1

    return Data


def converted(converter: Any) -> Any:
    @attrs.define
    class Converted:
        x: int = attrs.field(converter=converter)

    return Converted


def special(number: int) -> Any:
    return type("Special", (), {"__endpoint__": f"/{number}"})


def function_with_an_attribute(number: int) -> Any:
    def read() -> Any:
        return read.number  # type: ignore[attr-defined]

    read.number = number  # type: ignore[attr-defined]
    return read


def with_slots(*names: str) -> Any:
    return type("Slots", (), {"__slots__": names})


def with_descriptor(get: Any) -> Any:
    return type("Described", (), {"x": type("Descriptor", (), {"__get__": get})()})


def with_descriptor_that_holds(number: int) -> Any:
    class Holding:
        def __init__(self) -> None:
            self.number = number

        def __get__(self, instance: Any, owner: Any = None) -> int:
            return self.number

    return type("Described", (), {"x": Holding()})


def annotated(kind: Any) -> Any:
    def take(x: Any) -> Any:
        return x

    take.__annotations__ = {"x": kind}
    return validate_call(take)


APART: list[tuple[Callable[..., Any], Any, Any]] = [
    (nested_model, int, str),
    (nested_model, Annotated[int, Field(gt=1)], Annotated[int, Field(gt=2)]),
    (nested_model, Annotated[int, AfterValidator(plus(1))], Annotated[int, AfterValidator(plus(2))]),
    (lambda alias: create_model("M", x=(int, Field(1, serialization_alias=alias))), "a", "b"),
    (lambda alias: create_model("M", x=(int, Field(1, validation_alias=alias))), "a", "b"),
    (lambda exclude: create_model("M", x=(int, Field(1, exclude=exclude))), True, None),
    (validated, "before", "after"),
    (private, 1, 2),
    (struct_class, 1, 2),
    (lambda rename: struct_class(1, rename=rename), "camel", "pascal"),
    (lambda tag: struct_class(1, tag=tag), "a", "b"),
    (lambda kind: msgspec.defstruct("S", [("a", kind)]), int, str),
    (lambda kind: msgspec.defstruct("S", [("a", list, msgspec.field(default_factory=kind))]), list, plus(1)),
    (data_class, 1, 2),
    (ordered, False, True),
    (converted, plus(1), plus(2)),
    (special, 1, 2),
    (lambda value: enum.Enum("E", {"A": value}), 1, 2),
    (lambda kind: TypedDict("T", {"x": kind}), int, str),  # type: ignore[operator]
    (lambda total: TypedDict("T", {"x": int}, total=total), True, False),  # type: ignore[operator]
    (lambda bound: TypeVar("T", bound=bound), int, str),  # type: ignore[misc]
    (with_slots, "a", "b"),
    (lambda slots: type("Slots", (), slots), {}, {"__slots__": ()}),
    (with_descriptor, plus(1), plus(2)),
    (with_descriptor_that_holds, 1, 2),
    (function_with_an_attribute, 1, 2),
    (lambda default: inspect.signature(eval(f"lambda a, b={default}: a")), 1, 2),
    (lambda parameters: inspect.signature(eval(f"lambda {parameters}: 1")), "a, b", "a, /, b"),
    (lambda parameters: inspect.signature(eval(f"lambda {parameters}: 1")), "a, b", "b, a"),
    (lambda kind: inspect.Signature(return_annotation=kind), int, str),
    (lambda form: struct.Struct(form), "<i", "<q"),
    (lambda form: struct.Struct(form).unpack, "<i", "<q"),
    (TypeAdapter, list[int], list[str]),
    (annotated, int, str),
]


@pytest.mark.parametrize(("make", "one", "other"), APART)
def test_what_it_says_tells_it_apart(memory: Any, make: Callable[..., Any], one: Any, other: Any) -> None:
    assert over(memory, make(one)) == over(memory, make(one))
    assert over(memory, make(one)) != over(memory, make(other))


def test_to_copy_or_pickle_its_objects_changes_nothing(memory: Any) -> None:
    for made in (data_class(1), Scaled):
        before = over(memory, made)
        copy.deepcopy(made(1))
        assert "__slotnames__" in vars(made)
        assert over(memory, made) == before


def test_a_version_pins_its_code_and_not_its_values(memory: Any) -> None:
    def make(number: int) -> Any:
        return type("Made", (), {"number": number, "read": plus(3)})

    keys = [over(memory, make(number), version=1) for number in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]


def test_the_annotations_of_a_function_count_by_name(memory: Any) -> None:
    """Else an edit of the class of a state would empty the caches of all nodes."""

    def make(members: dict[str, Any]) -> Any:
        function = plus(1)
        made = type("State", (), {"__module__": __name__, **members})
        function.__annotations__ = {"value": made}
        globals()["State"] = made
        return over(memory, function)

    try:
        assert make({"x": 1}) == make({"x": 2})
    finally:
        del globals()["State"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: struct.Struct("<i").iter_unpack(bytes(8)).__next__,
        lambda: random.Random(1).random,
        lambda: random.Random(1).choice,
        lambda: hashlib.sha256(b"a"),
        lambda: hashlib.sha256(b"a").update,
        lambda: hashlib.blake2b(b"a").update,
        lambda: hmac.new(b"a", b"b", "sha256").update,
        lambda: zlib.compressobj().compress,
        lambda: io.BytesIO(b"a").read,
        lambda: threading.Lock().acquire,
        lambda: iter([1]).__next__,
        lambda: msgspec.json.Decoder(int).decode,
    ],
)
def test_what_an_extension_module_holds_is_no_content(memory: Any, make: Any) -> None:
    with pytest.raises(TypeError, match=r"scope="):
        over(memory, make())


def test_a_connection_to_a_database_is_no_content(memory: Any) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for what in (connection, connection.execute):
            with pytest.raises(TypeError, match=r"scope="):
                over(memory, what)


def test_what_is_generic_and_can_be_called_has_content(memory: Any) -> None:
    keys = [over(memory, Scaled(factor)) for factor in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]


T_ = typing.TypeVar("T_")


class Scaled(typing.Generic[T_]):
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, value: int) -> int:
        return value * self.factor


def test_constants_of_code_without_a_text() -> None:
    keys = set()
    constants = ["True", "1", "1.0", "False", "0", "0.0", "-0.0", "(1,)", "(True,)"]
    for each in constants:
        space: dict[str, Any] = {}
        exec(f"def give(): return {each}", space)
        keys.add(stable_key(space["give"]))
    assert len(keys) == len(constants)


def test_a_cached_method_of_an_object(memory: Any) -> None:
    class Client:
        def __init__(self, url: str) -> None:
            self.url = url

        @cached(memory, ignore="self")
        def read(self, path: str) -> str:
            return path

        @cached(memory)
        def fetch(self, path: str) -> str:
            return self.url + path

    one, other = Client("a"), Client("b")
    assert over(memory, one.read) == over(memory, other.read)
    assert over(memory, one.fetch) == over(memory, Client("a").fetch) != over(memory, other.fetch)
