"""A copier's copies are exact and fresh; what is immutable is shared; what decodes as fast has no copier."""

from __future__ import annotations

import datetime as dt
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import init_models
import numpy as np
import program_models as p
import pytest
import serde_models as m
from langchain_core.messages import AIMessage
from serde_equality import same

from hitrate.serde import MsgpackSerializer, copier, is_immutable

serde = MsgpackSerializer()


def fresh(value: Any) -> Any:
    return serde.loads_typed(serde.dumps_typed(value))


MUTABLE: dict[str, Any] = {
    "list": [1, "a", None],
    "floats": [0.5] * 1000,
    "dict": {"a": 1, "b": (2, 3)},
    "odd dict": {1: 2, (3,): 4},
    "set": {1, 2},
    "bytearray": bytearray(b"x"),
    "deque": deque([1, 2], maxlen=3),
    "ordered dict": OrderedDict(b=1, a=2),
    "default dict": defaultdict(list, a=(1,)),
    "counter": Counter("aab"),
    "array": np.arange(10),
    "array in Fortran order": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "message": AIMessage("x", additional_kwargs={"a": [1]}),
    "model": m.Account(name="Ann", nickname=[1]),
    "dataclass": m.Point(1, [2]),
    "slots": m.Slotted([1]),
    "root model": m.Numbers([1, 2]),
    "text with attributes": init_models.WordIn("x", ["de"]),
    "text that may get attributes": p.Word("x"),
    "text with slots": [p.WordWithSlots([1])],
    "rows with a title": init_models.RowsOf([[1]], "t"),
    "error with attributes": init_models.Coded([1]),
    "tuple of lists": ([1], [2], 3),
    "named tuple of lists": m.Pair([1], 2),
    "writes": deque([("messages", [AIMessage("x" * 200)]), ("branch:to:b", None)]),
    "writes of one text": deque([("text", "x" * 1000)]),
}


def poison(value: Any, seen: set[int] | None = None) -> None:
    """Change every mutable thing inside a value."""
    parts: list[Any] = []
    if isinstance(value, (list, deque)):
        parts = [*value]
        value.append("poison") if not isinstance(value, deque) else value.appendleft("poison")
    elif isinstance(value, dict):
        parts = [*value.values()]
        value["poison"] = 1
    elif isinstance(value, tuple):
        parts = [*value]
    elif isinstance(value, set):
        value.add("poison")
    elif isinstance(value, bytearray):
        value += b"poison"
    elif isinstance(value, np.ndarray):
        value[...] = 77
    elif hasattr(value, "__pydantic_fields_set__"):
        parts = [value.__pydantic_extra__, value.__pydantic_private__, value.__dict__]
        value.__pydantic_fields_set__.add("poison")
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        parts = [value.__dict__]
    elif isinstance(value, m.Slotted):
        parts = [value.x]
        value.x = "poison"
    for part in parts:
        poison(part)


@pytest.mark.parametrize("name", MUTABLE)
def test_copies_are_exact_and_nothing_of_them_is_shared(name: str) -> None:
    value = MUTABLE[name]
    make = copier(fresh(value))
    if make is None:
        return
    first = make()
    assert same(first, value)
    poison(first)
    assert same(make(), value)


@pytest.mark.parametrize(
    "name",
    [
        *("list", "floats", "dict", "set", "deque", "message", "writes", "array", "model", "writes of one text"),
        *("text with attributes", "text that may get attributes", "rows with a title"),
    ],
)
def test_common_values_have_a_copier(name: str) -> None:
    assert copier(fresh(MUTABLE[name])) is not None


def test_plain_data_of_many_small_containers_has_none() -> None:
    assert copier([[1, 2]] * 20) is None
    assert copier({"tree": [[[], []], [[], [[]]]]}) is None


IMMUTABLE: list[Any] = [
    *(None, True, 1, 1.5, "x", b"x", 1j, (), (1, ("a", None)), frozenset({1}), range(3), dt.date(2026, 1, 1)),
    *(m.Colour.RED, m.Mode.READ | m.Mode.WRITE, np.float64(1), np.str_("x")),
]


@pytest.mark.parametrize("value", IMMUTABLE, ids=repr)
def test_immutable_values_are_shared(value: Any) -> None:
    assert is_immutable(value)
    make = copier(value)
    assert make is not None
    assert make() is value


@pytest.mark.parametrize(
    "value",
    [[], {}, set(), ([],), (1, (2, {})), bytearray(), deque(), m.Frozen(1), AIMessage("x"), np.zeros(1)],
    ids=repr,
)
def test_what_can_be_changed_is_not_called_immutable(value: Any) -> None:
    assert not is_immutable(value)


def test_what_only_decoding_can_make_has_no_copier() -> None:
    for value in (object(), [object()], {m.MyStr("a")}, [{m.MyStr("a"): 1}], np.array([[1], None], object)):
        assert copier(value) is None
