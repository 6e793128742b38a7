"""What cannot be stored exactly is refused, with its type, its place and what to do."""

from __future__ import annotations

import resource
import sys
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import serde_models as m
from langchain_core.messages import AIMessage
from langgraph.types import Interrupt, Send

import releases
from hitrate.errors import SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()


@dataclass
class Local:
    x: int


def locals_class() -> Any:
    @dataclass
    class Hidden:
        x: int = 1

    return Hidden()


def impostor() -> Any:
    cls = dataclass(
        type("Point", (), {"__annotations__": {"x": int}, "__module__": m.__name__, "__qualname__": "Point"})
    )
    return cls(1)


def with_attribute(value: Any) -> Any:
    value.besides = 1
    return value


def generator() -> Any:
    yield 1


class SubPair(m.Pair):
    pass


REFUSED: dict[str, Any] = {
    "memoryview": memoryview(b"x"),
    "function": generator,
    "lambda": lambda: 1,
    "generator": generator(),
    "class": int,
    "object": object(),
    "module": sys,
    "class of a function": locals_class(),
    "class that its name does not lead to": impostor(),
    "factory of its own": defaultdict(lambda: 1),
    "attributes on an ordered dict": with_attribute(OrderedDict()),
    "attributes on a named tuple": with_attribute(SubPair(1)),
    "record of the standard library that is not listed": resource.getrusage(resource.RUSAGE_SELF),
    "masked array of objects": np.ma.array([object()], dtype=object),
    "matrix": np.asarray([[1]]).view(np.matrix),
    "record array": np.rec.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
    "array of objects that are none": np.array([object()], object),
    "array of records with objects": np.zeros(1, [("a", "O")]),
    "array of dtype with metadata": np.zeros(1, np.dtype("i4", metadata={"a": 1})),
    "a class in an interrupt": (
        Interrupt(1, response_schema=int) if releases.LANGGRAPH >= releases.RESPONSE_SCHEMA else Interrupt(int)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused_wherever_it_is(name: str) -> None:
    bad = REFUSED[name]
    for value in (
        bad,
        [bad],
        {"k": bad},
        (bad,),
        {1: bad},
        deque([("a", bad)]),
        m.Point(bad),
        AIMessage("x", artifact=bad),
    ):
        with pytest.raises(SerializationError, match="Convert it before it is cached"):
            serde.dumps_typed(value)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (object(), "value"),
        ({"rows": [1, 2, 3, m.Point(1, object())]}, "value['rows'][3].y"),
        ({"rows": (1, {2: {object(): 1}})}, "value['rows'][1][2].key(<object "),
        (
            deque([("messages", [AIMessage("x", additional_kwargs={"a": object()})])]),
            "state['messages'][0].additional_kwargs['a']",
        ),
        (deque([("__return__", {"rows": [object()]})]), "result['rows'][0]"),
        (deque([("__root__", [object()])]), "state[0]"),
        (deque([("__pregel_tasks", Send("n", {"a": object()}))]), "Send.arg['a']"),
        (m.Pair(1, object()), "value[1]"),
        (m.Slotted({(1, 2): object()}), "value.x[(1, 2)]"),
        (OrderedDict(a=OrderedDict(b=object())), "value['a']['b']"),
        (np.array([1, object()], object), "value[1]"),
        ({"\ud800": [object()]}, "[0]"),
    ],
)
def test_a_refusal_says_where(value: Any, where: str) -> None:
    with pytest.raises(SerializationError) as caught:
        serde.dumps_typed(value)
    assert where in caught.value.where
    assert caught.value.where in str(caught.value)
    assert caught.value.type_name == "builtins.object"
    assert "builtins.object" in str(caught.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    items: list[Any] = []
    items += [items, items]
    point = m.Point(1)
    point.y = {"deep": (point,)}
    mapping: dict[Any, Any] = {}
    mapping[1] = mapping
    for value in (items, point, mapping, [point], AIMessage("x", additional_kwargs={"a": point})):
        with pytest.raises(SerializationError, match="contains itself"):
            serde.dumps_typed(value)


@pytest.mark.parametrize("depth", [70, 300, 5000, 100_000])
@pytest.mark.parametrize(
    "wrap",
    [lambda x: [x], lambda x: (x,), lambda x: {"k": x}, lambda x: {1: x}, m.Point],
    ids=["list", "tuple", "dict", "dict of an int", "dataclass"],
)
def test_what_is_nested_too_deeply_is_refused_or_comes_back(wrap: Any, depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    if depth > 255 or (depth > 64 and wrap(1) != [1] and wrap(1) != {"k": 1}):
        with pytest.raises(SerializationError, match="too deeply"):
            serde.dumps_typed(value)
    else:
        serde.loads_typed(serde.dumps_typed(value))
    while not isinstance(value, int):
        value = (
            value.x if isinstance(value, m.Point) else next(iter(value.values() if isinstance(value, dict) else value))
        )


def test_nesting_that_people_use_comes_back() -> None:
    value: Any = 1
    for _ in range(12):
        value = m.Point([{"k": (value,)}])
    assert serde.loads_typed(serde.dumps_typed(value)) == value


def test_nothing_is_refused_for_the_bytes_it_happens_to_hold() -> None:
    for value in (["\u0105\u0142" * 50], {"k": b"\xc4\x01"}, [0.1 * i for i in range(100)], list(range(190, 70000, 7))):
        assert serde.loads_typed(serde.dumps_typed(value)) == value


def test_a_class_that_was_replaced_is_not_stored_under_its_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    old = m.Point(1)
    serde.dumps_typed([old])
    monkeypatch.setattr(m, "Point", Local)
    with pytest.raises(SerializationError, match="do not lead back"):
        serde.dumps_typed([old])
