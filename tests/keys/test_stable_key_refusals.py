"""What cannot be keyed is a TypeError that names the argument, the place and the type."""

from __future__ import annotations

import re
import threading
from typing import Any

import numpy as np
import pytest
import stable_key_models as m

from hitrate import stable_key
from hitrate.content.calls import key_of
from hitrate.content.options import PLAIN

LOCK = threading.Lock()


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(TypeError) as caught:
        stable_key(*args, **kwargs)
    assert type(caught.value) is TypeError
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (LOCK, ""),
        ([1, LOCK], "[1]"),
        ({"a": {"b": (1, LOCK)}}, "['a']['b'][1]"),
        ({1: LOCK}, "[1]"),
        (m.Point(LOCK), ".x"),
        (m.Slotted([LOCK]), ".x[0]"),
        (m.Pair(1, LOCK), ".right"),
        (m.Person(name=LOCK), ".name"),
    ],
    ids=["itself", "list", "nested", "odd dict", "dataclass", "slots", "namedtuple", "model"],
)
def test_the_argument_the_place_and_the_type_are_named(value: Any, place: str) -> None:
    said = refusal(1, value)
    assert "the argument args[1] cannot be part of a key" in said
    assert f"args[1]{place} is of type _thread.lock" in said
    assert f"the argument state cannot be part of a key: state{place} is of type _thread.lock" in refusal(state=value)
    assert "ignore=" in said
    assert "only=" in said


def test_a_positional_argument_is_named_if_its_name_is_known() -> None:
    with pytest.raises(TypeError, match=re.escape("the argument connection cannot")):
        key_of(("query", "connection"), ("q", LOCK), {}, PLAIN)
    with pytest.raises(TypeError, match=re.escape("the argument args[2] cannot")):
        key_of(("query", "connection"), ("q", 1, LOCK), {}, PLAIN)


@pytest.mark.parametrize(
    "value",
    [
        *(memoryview(b"x"), [memoryview(b"x")], (i for i in ()), object(), LOCK, ValueError(LOCK)),
        *(np.rec.array([(1, 2)]), np.dtype([("a", "O")]), type("Local", (), {})()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_serializer_refuses_is_refused(value: Any) -> None:
    assert "cannot be part of a key" in refusal(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    looped: list[Any] = [1]
    looped.append({"again": looped})
    assert "args[0][1]['again'] is of type builtins.list: it contains itself" in refusal(looped)
    point = m.Point(1)
    point.y = (point,)
    assert "it contains itself" in refusal(point)


@pytest.mark.parametrize("wrap", [lambda each: [each], lambda each: (each,), lambda each: {"a": each}, m.Point])
def test_a_value_nested_too_deeply_is_refused(wrap: Any) -> None:
    value: Any = 1
    for _ in range(5000):
        value = wrap(value)
    assert "the argument args[0] cannot be part of a key: it is nested too deeply" in refusal(value)


def test_a_key_can_be_made_after_a_refusal() -> None:
    refusal(LOCK)
    assert stable_key(1) == stable_key(1)
