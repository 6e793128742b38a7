"""Equal inputs have equal keys, however they were built; different ones different keys, the type included."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import math
import re
import struct
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import stable_key_models as m
from hypothesis import given
from hypothesis import strategies as st

from hitrate import MsgpackSerializer, stable_key

DIFFERENT: list[Any] = [
    *(1, 1.0, True, "1", b"1", bytearray(b"1"), (1,), [1], {1}, frozenset({1}), deque([1]), {1: 1}, 1 + 0j, Decimal(1)),
    *(0, 0.0, -0.0, False, None, "", b"", (), [], {}, set(), deque(), deque(maxlen=0), OrderedDict(), Counter()),
    *(Fraction(1), Decimal("1.0"), "None", "True", float("inf"), float("nan"), Decimal("NaN"), Decimal("sNaN")),
    *(2**64, float(2**64), str(2**64), -(2**64), 10**400, "\ud800", "\ud801", "\ufffd", b"\xed\xa0\x80"),
    *([[1], 2], [[1, 2]], [1, [2]], ((1,), 2), ((1, 2),), [(1, 2)], ([1, 2],)),
    *({"a": 1}, {"a": 1.0}, {"a": True}, {b"a": 1}, {"a": {}}, {"a": []}, OrderedDict(a=1), Counter(a=1), [["a", 1]]),
    *(defaultdict(list, a=1), defaultdict(None, a=1), {"1": 1}, {1.0: 1}, {True: 1}, {(1,): 1}, {None: 1}),
    *(OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), {"a": 1, "b": 2}, deque([1], 1), deque([1], 2)),
    *(range(1), range(2), slice(1), ..., re.compile("a"), re.compile("a", re.I), re.compile(b"a"), "a"),
    *(uuid.UUID(int=1), PurePosixPath("a"), Path("a"), m.Colour.RED, m.Mode.READ, m.Mode(0), m.Word.YES, "yes"),
    *(m.Size.BIG, 3, dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, fold=1), dt.time()),
    *(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), dt.timedelta()),
    *(m.Point(1), m.Point(1.0), m.OtherPoint(1), m.Slotted(1), m.Slotted(1, 2), m.Pair(1), (1, None), m.Person(name=1)),
    *({"x": 1, "y": 0}, {"left": 1, "right": None}, [m.Point(1)], (m.Point(1),)),
]


def test_values_that_differ_in_content_or_type_have_different_keys() -> None:
    keys: dict[str, Any] = {}
    for value in DIFFERENT:
        for each in (value, [value], (value,), {"k": value}, m.Point(value)):
            key = stable_key(each)
            other = keys.setdefault(key, each)
            assert other is each or repr(other) == repr(each), (other, each)


@pytest.mark.parametrize("value", DIFFERENT, ids=lambda value: ascii(value)[:30])
def test_a_value_that_comes_back_from_the_serializer_has_the_same_key(value: Any) -> None:
    serde = MsgpackSerializer()
    assert stable_key(serde.loads_typed(serde.dumps_typed(value))) == stable_key(value)


def test_every_nan_is_one() -> None:
    odd = struct.unpack(">d", b"\xff\xf8\0\0\0\0\0\1")[0]
    assert stable_key(odd) == stable_key(math.nan)
    assert stable_key([1.0, {"a": odd}]) == stable_key([1.0, {"a": math.nan}])
    assert stable_key([odd] * 100) == stable_key([math.nan] * 100)
    assert stable_key(complex(odd, 1)) == stable_key(complex(math.nan, 1))
    assert stable_key(Decimal("-NaN12")) == stable_key(Decimal("NaN"))


def test_the_order_of_dicts_and_sets_does_not_count() -> None:
    items = [("b", 1), ("a", 2), ("ż", 3), ("", 4)]
    assert len({stable_key(dict(each)) for each in itertools.permutations(items)}) == 1
    assert len({stable_key({k: {v: k} for k, v in each}) for each in itertools.permutations(items)}) == 1
    assert stable_key({8, 0, 16, "a"}) == stable_key({"a", 16, 0, 8})
    assert stable_key({1: 2, "a": 3}) == stable_key({"a": 3, 1: 2})
    assert stable_key(b=1, a=2) == stable_key(a=2, b=1)


def test_one_object_twice_is_as_good_as_two_equal_ones() -> None:
    one = m.Point([1, "text"])
    assert stable_key([one, one]) == stable_key([one, copy.deepcopy(one)])
    assert stable_key(*["".join(["a", "b"]) for _ in range(2)]) == stable_key("ab", "ab")


def test_what_was_looked_at_does_not_count() -> None:
    point, person = m.Point(1), m.Person(name="Ann")
    keys = [stable_key(point), stable_key(person)]
    assert (point.length, person.shout) == (1.0, "ANN")
    assert [stable_key(point), stable_key(person)] == keys


def test_a_model_counts_by_what_it_holds_and_not_by_which_fields_were_set() -> None:
    assert stable_key(m.Person(name="Ann")) == stable_key(m.Person(name="Ann", age=None))
    noted = m.Person(name="Ann")
    noted._note = "x"
    assert stable_key(noted) != stable_key(m.Person(name="Ann"))


def test_a_field_that_equality_leaves_out_counts() -> None:
    assert m.Slotted(1, "job") == m.Slotted(1, "other job")
    assert stable_key(m.Slotted(1, "job")) != stable_key(m.Slotted(1, "other job"))


def test_arguments_do_not_run_into_each_other() -> None:
    keys = [
        stable_key(),
        stable_key(1, 2),
        stable_key([1, 2]),
        stable_key((1, 2)),
        stable_key([1], 2),
        stable_key(1, a=2),
        stable_key(a=1, b=2),
        stable_key({"a": 1, "b": 2}),
        stable_key("ab", "c"),
        stable_key("a", "bc"),
    ]
    assert len({*keys}) == len(keys)


@pytest.mark.parametrize("bytes_like", [b"ab", bytearray(b"ab")], ids=["bytes", "bytearray"])
def test_bytes_and_bytearrays_differ_wherever_they_are(bytes_like: Any) -> None:
    other = bytearray(b"ab") if type(bytes_like) is bytes else b"ab"
    wrappers: list[Any] = [
        lambda each: [each],
        lambda each: (each,),
        lambda each: m.Point(each),
        lambda each: m.Slotted({"a": each}),
        lambda each: deque([each]),
        lambda each: defaultdict(None, a=each),
        lambda each: m.Person(name=(1, each)),
    ]
    for wrap in wrappers:
        assert stable_key(wrap(bytes_like)) != stable_key(wrap(other))
        assert stable_key(wrap(bytes_like)) == stable_key(wrap(copy.copy(bytes_like)))


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=9), st.text(st.characters(), max_size=9)
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.dictionaries(scalars, inner, max_size=4),
        st.frozensets(scalars, max_size=4),
        st.builds(m.Point, inner, inner),
        st.builds(m.Pair, inner, inner),
        st.builds(m.Person, name=inner, age=inner),
    ),
    max_leaves=12,
)


def form(value: Any) -> Any:
    """Return a form that is equal for what has to have one key, by another way than bytes."""
    if type(value) is float:
        return ("float", "nan" if value != value else value.hex())
    if isinstance(value, (list, tuple)):
        return (type(value), tuple(map(form, value)))
    if type(value) is dict:
        return (dict, frozenset(Counter((form(key), form(each)) for key, each in value.items()).items()))
    if type(value) is frozenset:
        return (frozenset, frozenset(Counter(map(form, value)).items()))
    if isinstance(value, (m.Point, m.Person)):
        return (type(value), form(vars(value)))
    return (type(value), value)


def rebuilt(value: Any) -> Any:
    """Return an equal value built in another order of other objects."""
    if type(value) is dict:
        return {key: rebuilt(each) for key, each in reversed(value.items())}
    if type(value) in (list, tuple):
        return type(value)(map(rebuilt, value))
    if type(value) is frozenset:
        return frozenset(sorted(value, key=repr, reverse=True))
    return copy.deepcopy(value)


@given(values, values)
def test_keys_are_equal_when_the_values_are_and_only_then(one: Any, other: Any) -> None:
    assert (stable_key(one) == stable_key(other)) == (form(one) == form(other))
    assert stable_key(rebuilt(one)) == stable_key(one)


@given(values)
def test_a_round_trip_keeps_the_key(value: Any) -> None:
    serde = MsgpackSerializer()
    assert stable_key(serde.loads_typed(serde.dumps_typed(value))) == stable_key(value)
