"""Fields left out or kept, and a scope."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any

import pytest
import stable_key_models as m
from langchain_core.messages import HumanMessage
from langgraph.types import Send

from hitrate import stable_key
from hitrate.content.calls import key_of
from hitrate.content.options import PLAIN, KeyOptions


@pytest.mark.parametrize(
    "make",
    [
        lambda time: {"x": 1, "time": time},
        lambda time: {"x": 1, 2: 3, "time": time},
        lambda time: OrderedDict(x=1, time=time),
        lambda time: defaultdict(list, x=1, time=time),
        lambda time: [{"x": 1, "time": time}],
        lambda time: ({"x": 1, "time": time},),
    ],
    ids=["dict", "odd dict", "ordered dict", "defaultdict", "list", "tuple"],
)
def test_an_ignored_field_does_not_count_and_need_not_be_keyable(make: Any) -> None:
    key = stable_key(make(1), ignore="time")
    assert stable_key(make(object()), ignore="time") == key
    assert stable_key(make(1), ignore=["other", "time"]) == key
    assert stable_key(make(1)) != stable_key(make(2))
    assert stable_key(make(1), ignore="x") != stable_key(make(2), ignore="x")


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        (m.Point(1, 2), m.Point(1, object()), "y"),
        (m.Slotted(1, 2), m.Slotted(1, object()), "later"),
        (m.Pair(1, 2), m.Pair(1, object()), "right"),
        (m.Person(name="Ann", age=1), m.Person(name="Ann", age=object()), "age"),
        (HumanMessage("hi", name="Ann"), HumanMessage("hi", name="Bob"), "name"),
        (Send("node", {"a": 1}), Send("node", {"a": 2}), "arg.a"),
    ],
    ids=["dataclass", "slots", "namedtuple", "model", "message", "send"],
)
def test_fields_of_instances_are_ignored_or_kept(one: Any, other: Any, field: str) -> None:
    assert stable_key(one, ignore=field) == stable_key(other, ignore=field)
    assert stable_key(one, only=field) == stable_key(one, only=[field])
    assert stable_key(one, ignore=field) != stable_key(one, only=field)


def test_a_keyword_argument_is_ignored_or_kept_whole() -> None:
    assert stable_key(1, x=2, connection=object(), ignore="connection") == stable_key(1, x=2)
    assert stable_key(x=2, connection=object(), only="x") == stable_key(x=2)
    assert stable_key(x=2, y=3, only=("x", "y")) == stable_key(x=2, y=3)


def test_a_dotted_path_goes_deeper() -> None:
    def state(time: Any, other: Any = 1) -> dict[str, Any]:
        return {"meta": {"time": time, "other": other}, "time": 0, "docs": [{"time": time, "text": "x"}]}

    paths = ["state.meta.time", "state.docs.time"]
    assert stable_key(state=state(1), ignore=paths) == stable_key(state=state(object()), ignore=paths)
    assert stable_key(state=state(1), ignore=paths) != stable_key(state=state(1, 2), ignore=paths)
    assert stable_key(state(1), ignore=["meta.time", "docs.time"]) == stable_key(
        state(2), ignore=["meta.time", "docs.time"]
    )
    assert stable_key(state=state(1), only="state.docs.text") == stable_key(state=state(2, 3), only="state.docs.text")
    assert stable_key(state=state(1), only="state.meta.other") != stable_key(state=state(1, 3), only="state.meta.other")


def test_a_path_of_one_argument_leaves_the_others_alone() -> None:
    one = stable_key(a={"x": 1, "y": 2}, b={"x": 1}, ignore="a.x")
    assert one == stable_key(a={"x": 5, "y": 2}, b={"x": 1}, ignore="a.x")
    assert one != stable_key(a={"x": 1, "y": 2}, b={"x": 5}, ignore="a.x")


def test_the_shorter_of_two_paths_says_it_all() -> None:
    assert stable_key({"a": {"b": 1}}, ignore=["a", "a.b"]) == stable_key({}, ignore="a")
    assert stable_key({"a": {"b": 1, "c": 2}}, only=["a.b", "a"]) == stable_key({"a": {"b": 1, "c": 2}}, only="a")


def test_values_are_not_changed() -> None:
    state = {"a": {"b": 1}, "c": [m.Point(1, {"b": 2})]}
    stable_key(state, ignore=["a.b", "c.y.b"])
    stable_key(state, only="a")
    assert state == {"a": {"b": 1}, "c": [m.Point(1, {"b": 2})]}


def test_keeping_what_is_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="'mesages'"):
        stable_key({"messages": []}, only="mesages")
    assert stable_key(only="a") == stable_key()
    options = KeyOptions.of(only="b")
    assert key_of(("a", "b"), (1,), {}, options) == key_of(("a", "b"), (2,), {}, options)


def test_a_scope_makes_another_key_and_meets_no_argument() -> None:
    keys = [
        stable_key("x"),
        *(stable_key("x", scope=each) for each in ("x", "y", ("x", "y"), ["x", "y"], 1, "", (), {"user": 1})),
        *(stable_key("x", "x"), stable_key(scope="x"), stable_key(["x"], "x"), stable_key(("x",), scope="x")),
    ]
    assert len({*keys}) == len(keys)
    assert stable_key("x", scope=None) == stable_key("x")
    assert stable_key("x", scope={"a": 1, "b": 2}) == stable_key("x", scope={"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"ignore": "a", "only": "b"}, TypeError, "given together"),
        ({"ignore": 1}, TypeError, "ignore="),
        ({"ignore": None}, TypeError, "ignore="),
        ({"ignore": b"a"}, TypeError, "ignore="),
        ({"ignore": {"a": 1}}, TypeError, "ignore="),
        ({"only": [1]}, TypeError, "only= holds 1"),
        ({"only": ()}, ValueError, "names nothing"),
        ({"only": ""}, ValueError, "only= holds ''"),
        ({"ignore": "a..b"}, ValueError, "'a..b'"),
        ({"scope": object()}, TypeError, "the scope cannot"),
    ],
)
def test_nonsense_is_refused(options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        stable_key(1, **options)


def test_a_named_argument_counts_the_same_by_position() -> None:
    names = ("a", "b")
    assert key_of(names, (1, 2), {}, PLAIN) == key_of(names, (1,), {"b": 2}, PLAIN) == stable_key(a=1, b=2)
    assert key_of(names, (1, 2, 3), {}, PLAIN) != key_of(names, (1, 2), {"c": 3}, PLAIN)
    assert key_of((), (1, 2), {}, PLAIN) == stable_key(1, 2)


def test_a_keyword_argument_with_the_name_of_a_positional_only_parameter_does_not_replace_it() -> None:
    keys = [
        key_of(("a",), (1,), {"a": 2}, PLAIN),
        key_of(("a",), (2,), {"a": 1}, PLAIN),
        key_of(("a",), (2, 1), {}, PLAIN),
        key_of(("a",), (1, 2), {}, PLAIN),
    ]
    assert len({*keys}) == 4


def test_options_are_for_parameters_by_name() -> None:
    ignore = KeyOptions.of("connection")
    names = ("connection", "query")
    assert key_of(names, (object(), "q"), {}, ignore) == key_of(names, (object(),), {"query": "q"}, ignore)
    assert key_of(names, (1, {"connection": 1}), {}, ignore) == key_of(names, (1, {"connection": 2}), {}, ignore)
