"""User classes: found anew at each load, restored without running their code, and only if they have not changed."""

from __future__ import annotations

import enum
import subprocess
import sys
import types
from dataclasses import dataclass, make_dataclass
from typing import Any, NamedTuple

import pytest
import serde_models as m
from langchain_core.messages import AIMessage
from pydantic import BaseModel, SecretStr, create_model

from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()
HOME = "serde_home_of_classes"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType(HOME)
    monkeypatch.setitem(sys.modules, HOME, module)
    return module


def put(home: types.ModuleType, cls: Any) -> Any:
    cls.__module__, cls.__qualname__ = HOME, "Thing"
    home.Thing = cls
    return cls


def dataclass_of(*fields: Any, **options: Any) -> Any:
    return make_dataclass("Thing", fields, **options)


def model_of(**fields: Any) -> Any:
    return create_model("Thing", __module__=HOME, **fields)


class Left(NamedTuple):
    a: int


class Right(NamedTuple):
    b: int


CHANGES: dict[str, tuple[Any, Any, Any]] = {
    "field added": (dataclass_of("a"), dataclass_of("a", "b"), {"a": 1}),
    "field renamed": (dataclass_of("a"), dataclass_of("b"), {"a": 1}),
    "field of another type": (dataclass_of(("a", int)), dataclass_of(("a", str)), {"a": 1}),
    "slots": (dataclass_of("a"), dataclass_of("a", slots=True), {"a": 1}),
    "model field added": (model_of(a=(int, 1)), model_of(a=(int, 1), b=(int, 2)), {"a": 1}),
    "model field of another type": (model_of(a=(int, 1)), model_of(a=(str, "")), {"a": 1}),
    "model became a dataclass": (model_of(a=(int, 1)), dataclass_of(("a", int)), {"a": 1}),
    "named tuple field renamed": (Left, Right, {"a": 1}),
    "became a plain class": (dataclass_of("a"), type("Thing", (), {}), {"a": 1}),
    "became an exception": (dataclass_of("a"), type("Thing", (Exception,), {}), {"a": 1}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_instance_of_a_class_that_has_changed_is_not_restored(home: types.ModuleType, name: str) -> None:
    before, after, arguments = CHANGES[name]
    stored = serde.dumps_typed([put(home, before)(**arguments)])
    assert type(serde.loads_typed(stored)[0]) is before
    put(home, after)
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)
    put(home, before)
    assert type(serde.loads_typed(stored)[0]) is before


def test_an_enum_whose_members_have_changed_is_not_restored(home: types.ModuleType) -> None:
    before = put(home, enum.Enum("Thing", {"A": 1, "B": 2}))
    stored = serde.dumps_typed([before.A])
    assert serde.loads_typed(stored) == [before.A]
    put(home, enum.Enum("Thing", {"A": 2, "B": 1}))
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)


def test_a_class_or_module_that_is_gone_is_not_restored(
    home: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = put(home, dataclass_of("a"))
    stored = serde.dumps_typed([cls(1)])
    serde.loads_typed(stored)
    monkeypatch.setitem(sys.modules, HOME, types.ModuleType(HOME))
    with pytest.raises(DecodeError, match="no imported module has the class"):
        serde.loads_typed(stored)
    monkeypatch.delitem(sys.modules, HOME)
    with pytest.raises(DecodeError, match="no imported module has the class"):
        serde.loads_typed(stored)


def test_an_equal_class_in_place_of_the_old_one_is_what_is_restored(home: types.ModuleType) -> None:
    stored = serde.dumps_typed([put(home, dataclass_of("a"))(1)])
    serde.loads_typed(stored)
    again = put(home, dataclass_of("a"))
    assert type(serde.loads_typed(stored)[0]) is again


def test_restoring_runs_no_code_of_the_class() -> None:
    m.armed.clear()
    value = [m.Armed(1), m.Tripwire(value=2, _allowed=True)]
    stored = serde.dumps_typed(value)
    m.armed.append(True)
    try:
        back = serde.loads_typed(stored)
    finally:
        m.armed.clear()
    assert back[0].value == 1
    assert back[1].value == 2


def test_looking_for_a_class_runs_no_code_of_a_module(home: types.ModuleType) -> None:
    asked: list[str] = []

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    class Proxy:
        @property
        def __class__(self) -> Any:  # type: ignore[override]
            asked.append("__class__")
            return type

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise AttributeError(name)

    stored = serde.dumps_typed([put(home, dataclass_of("a"))(1)])
    home.__getattr__ = asked.append  # type: ignore[method-assign, assignment]
    home.Thing = Proxy()
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)
    del home.Thing
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)
    lazy = Lazy(HOME)
    sys.modules[HOME] = lazy
    asked.clear()
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)
    sys.modules[HOME] = Proxy()  # type: ignore[assignment]
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)
    sys.modules[HOME] = home
    assert asked == []


def test_looking_at_a_class_runs_no_code_of_its_metaclass(home: types.ModuleType) -> None:
    class Meta(type):
        def __getattr__(cls, name: str) -> Any:
            raise m.CodeRan(name)

        def __subclasscheck__(cls, other: type) -> bool:
            raise m.CodeRan

        def __instancecheck__(cls, other: object) -> bool:
            raise m.CodeRan

    stored = serde.dumps_typed([put(home, dataclass_of("a"))(1)])
    home.Thing = Meta("Thing", (), {})
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)


def test_types_narrows_what_is_stored_and_restored() -> None:
    narrow = MsgpackSerializer(types=[m.Point, AIMessage, m.Colour])
    for value in ([m.Point(1)], [AIMessage("x")], [m.Colour.RED], [{1: (2,)}, SecretStr("s")]):
        assert narrow.loads_typed(narrow.dumps_typed(value)) == value
    for value in ([m.Frozen(1)], [m.Pair(1)], [m.Mode.READ], [m.Account(name=1)], [m.Point(m.SubPoint(1))]):
        with pytest.raises(SerializationError, match="not among the types"):
            narrow.dumps_typed(value)
        with pytest.raises(DecodeError, match="not among the types"):
            narrow.loads_typed(serde.dumps_typed(value))


def test_no_types_at_all_leaves_the_core_types() -> None:
    core = MsgpackSerializer(types=[])
    assert core.loads_typed(core.dumps_typed({1: {2}})) == {1: {2}}
    with pytest.raises(SerializationError):
        core.dumps_typed(m.Point(1))


def test_fingerprints_are_the_same_in_every_process() -> None:
    program = (
        "import serde_models as m; from hitrate.serde import MsgpackSerializer; "
        "print(MsgpackSerializer().dumps_typed([m.Account(name=1), m.Point(1), m.Mode.READ, m.Pair(1)])[1].hex())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", first + program],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed, first in (("1", ""), ("2", "import hitrate.serde.copying, hitrate.compute.exceptions; "))
    }
    assert len(outputs) == 1


@dataclass
class Node:
    children: list[Any]


def test_trees_of_instances_come_back() -> None:
    tree = Node([])
    for _ in range(25):
        tree = Node([tree, Node([])])
    assert serde.loads_typed(serde.dumps_typed(tree)) == tree


def test_an_incomplete_model_is_restored_as_it_is() -> None:
    class_ = type("Late", (BaseModel,), {"__annotations__": {"x": "Missing"}, "__module__": __name__})
    globals()["Late"] = class_
    try:
        back = serde.loads_typed(serde.dumps_typed(class_.model_construct(x=1)))
        assert type(back) is class_
        assert vars(back) == {"x": 1}
    finally:
        del globals()["Late"]
