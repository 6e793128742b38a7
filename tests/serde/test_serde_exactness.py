"""What comes back equals what went in, value and type, all the way down."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import string
import struct
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import ormsgpack
import pytest
import serde_models as m
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langgraph import types as langgraph_types
from langgraph.types import Command, Interrupt, Send
from pydantic import SecretBytes, SecretStr
from serde_equality import same

import releases
from hitrate import SerializationError
from hitrate.serde import MsgpackSerializer, copier, packing

serde = MsgpackSerializer()
record = np.dtype([("id", "<i4"), ("pair", ">f8", (2,)), ("text", "S5")], align=True)


def with_unset_slot() -> m.Slotted:
    return m.Slotted([1])


def account() -> m.Account:
    made = m.Account(name="Ann", nickname=("A", 1))
    made._seen.append({1: 2})
    assert made.shout == "ANN"
    return made


SCALARS: list[Any] = [
    *(None, True, False, 0, -1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, -(10**400)),
    *(0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324),
    *("", "text", "żółć", "\ud800", "a\udfffb", "\0", b"", b"\xc4\xc5\xc6", bytearray(), bytearray(b"x" * 300)),
    *(complex(1, -0.0), complex(float("nan"), float("inf")), Fraction(-3, 7), Fraction(10**30, 7), ...),
    *(range(3), range(10, 0, -3), range(10**30), slice(1, None, (2,)), slice(None)),
    *map(Decimal, ["0", "-0", "1.10", "1E+400", "-0E-300", "NaN", "-sNaN123", "Infinity", "1" * 60]),
    *(dt.date.min, dt.date.max, dt.timedelta.min, dt.timedelta.max, dt.timedelta(microseconds=-1)),
    *(dt.datetime.min, dt.datetime.max, dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
    dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),  # noqa: UP017
    dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=-1, microseconds=3))),
    *(dt.time(1, 2, 3, 4, fold=1), dt.time(tzinfo=dt.timezone(dt.timedelta(hours=1), "here")), ZoneInfo("UTC")),
    *(dt.timezone(dt.timedelta(0), "\ud800"), dt.timezone(dt.timedelta(0), "zero"), dt.UTC),
    *(uuid.UUID(int=0), uuid.UUID(int=5, is_safe=uuid.SafeUUID.unsafe)),
    uuid.UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2", is_safe=uuid.SafeUUID.safe),
    *(Path("/a/b"), Path("."), Path("a\udc80b"), PurePosixPath("//x"), PureWindowsPath("c:/x")),
    *(re.compile("(?i)a|b", re.M), re.compile(b"[a-z]", re.S), re.compile("x # y", re.X | re.A)),
    *(ipaddress.ip_address("1.2.3.4"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.1.2.3/8")),
    *(ipaddress.ip_address("fe80::1%eth0"), ipaddress.ip_network("fe80::/64"), ipaddress.ip_interface("::1%a/7")),
    *(m.Colour.RED, m.Colour.GREEN, m.Colour.CRIMSON, m.Word.YES, m.Size.BIG, m.Mode.READ),
    *(m.Mode.READ | m.Mode.WRITE, m.Mode(0), ~m.Mode.READ, m.Bits.ONE | m.Bits.TWO, m.Bits(8), m.Bits(0)),
]
CONTAINERS: list[Any] = [
    *([], {}, (), set(), frozenset(), deque(), OrderedDict(), Counter()),
    *([1, [2, (3, [4])]], ((),), ([],), {"a": {"b": (1,)}}, [(1, 2), [1, 2]]),
    {1: "int", "1": "str", 1.5: 0, None: 0, (1, ("a",)): 0, b"b": 0, frozenset({1}): 0},
    {True: 1, 2: 2},
    {float("nan"): 1, -0.0: 2},
    {m.Colour.RED: 1, m.Word.YES: 2, m.Size.BIG: 3, m.Pair(1): 4, m.Frozen(1): 5},
    {"\ud800": {"\ud800": "\ud800"}},
    {dt.date(2026, 1, 1): uuid.UUID(int=1), Decimal("1.0"): Path("x")},
    {1, "a", (2, b"c"), frozenset({frozenset()})},
    frozenset({m.Colour.GREEN, None}),
    *(deque([1, [2]], maxlen=5), deque(maxlen=0), deque([(1, 2)], maxlen=2), deque([(1, 2), (3,)])),
    deque([("messages", [AIMessage("x" * 200)]), ("branch:to:b", None)]),
    deque([(1, (2, 3)), ([], b"")]),
    deque([("text", "\ud800"), (1, {2: 3})]),
    *(OrderedDict([("b", 1), ("a", 2)]), OrderedDict([(2, []), ((), 1)])),
    *(defaultdict(list, {"a": [1]}), defaultdict(None, {1: 2}), defaultdict(int), defaultdict(dict, a={})),
    *(Counter("abca"), Counter({1: -3, "x": 0.5})),
    m.Point(bytearray(b"x"), [{"k": m.Point(bytearray(b""))}]),
    {"data": bytearray(b"x"), "deep": [[{"k": bytearray(b"y" * 70000)}]]},
    [b"\xc4\xc5\xc6", bytearray(b"\xc4\xc5\xc6"), b"x" * 300, b"y" * 70000],
    *([1.5] * 100, [0.1 * i for i in range(1536)], [0.1] * 70000, {"embeddings": [[0.1 * i for i in range(200)]]}),
    [*[0.5] * 99, bytearray(b"\xc4\x01\x02\x03\x04\x05\x06"), 0.5],
]
INSTANCES: list[Any] = [
    *(m.Point(1, [2]), m.Frozen([1], {}), m.Slotted([1]), with_unset_slot(), m.Initialised(2, 3), m.Outer.Inner((1,))),
    *(m.SubPoint(1), m.Point({1: 2}, "\ud800"), m.Point(m.Point(m.Point(1)), (m.Point(2),))),
    *(m.Pair(1, [2]), m.Pair("\ud800"), m.Plain(1, ()), m.WithMethods(1, 2), {m.Pair(1): m.Pair(2)}),
    *(account(), m.Account.model_construct(balance=3), m.Bank(accounts=[account()], first=account())),
    *(m.Numbers([1, 2]), m.Account(name={1: bytearray(b"x")}), SecretStr("s"), SecretBytes(b"s")),
    AIMessage(
        "hi",
        id="run-1",
        tool_calls=[{"name": "f", "args": {"a": [1]}, "id": "x"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    ),
    *(HumanMessage([{"type": "text", "text": "x"}]), SystemMessage("x", name="n"), AIMessageChunk("c")),
    *(ToolMessage("x", tool_call_id="1", artifact={1: (2,)}), Document("text", metadata={"a": (1,)})),
    *(Send("n", {"a": (1,)}), Command(goto=[Send("a", 1)], update={"x": {1}}), Interrupt("v", id="i")),
]
if releases.LANGGRAPH >= releases.OVERWRITE:
    INSTANCES.append(langgraph_types.Overwrite([1]))
if releases.LANGGRAPH >= releases.TIMEOUTS:
    INSTANCES += [langgraph_types.TimeoutPolicy(run_timeout=3.0), Send("n", 1, timeout=3.0)]
if releases.LANGGRAPH >= releases.RESPONSE_SCHEMA:
    INSTANCES.append(Interrupt({"a": 1}, id="i", response_schema={"type": "object"}))
ARRAYS: list[Any] = [
    *(np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(5), np.zeros((0, 3))),
    *(np.array(["a", "bcd"]), np.array([b"a\0b"]), np.array(["2026-01-01", "NaT"], "M8[D]"), np.array([1], "m8[25s]")),
    *(np.array([1, 2], ">i4"), np.arange(10)[::2], np.zeros(3, record), np.zeros((2, 2), record)["pair"]),
    *(np.array([True]), np.array([1j], "c8"), np.ones(2, np.longdouble), np.array([1], np.longlong)),
    *(np.array([1, None, [2, (3,)], {4: 5}], object), np.empty((2, 0), object), np.array([np.nan, -0.0], "f2")),
    *(np.float64("nan"), np.float64(-0.0), np.float32(1.5), np.int64(1), np.uint8(255), np.bool_(True)),
    *(np.str_("h\u00e9\0"), np.str_("\ud800"), np.bytes_(b"a\0"), np.datetime64("2026-01-01T00", "25s")),
    *(np.timedelta64(3, "us"), np.datetime64("NaT", "s"), np.longlong(4), np.longdouble(2), np.complex64(1j)),
    *(np.void(b"abc"), np.zeros(1, record)[0], np.str_(""), np.bytes_(b"")),
]
ALL = [*SCALARS, *CONTAINERS, *INSTANCES, *ARRAYS]


def brief(value: object) -> str:
    shown = sorted(map(ascii, value)) if isinstance(value, (set, frozenset)) else value  # named alike in every process
    return f"{type(value).__name__}-{ascii(shown)[:40]}"


@pytest.mark.parametrize("value", ALL, ids=brief)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = serde.loads_typed(serde.dumps_typed(value))
    assert same(value, back)


@pytest.mark.parametrize("value", ALL, ids=brief)
def test_a_value_comes_back_as_it_was_from_inside_others(value: Any) -> None:
    nested = {"list": [value], "tuple": (value,), "point": m.Point(value), "odd": {1: value}, "send": Send("n", value)}
    back = serde.loads_typed(serde.dumps_typed(nested))
    for key in ("list", "tuple", "point", "odd"):
        assert same(nested[key], back[key]), key
    assert same(value, back["send"].arg)


@pytest.mark.parametrize("value", ALL, ids=brief)
def test_a_copy_is_as_the_value_was(value: Any) -> None:
    for wrapped in (value, [value], deque([("channel", value)])):
        make = copier(serde.loads_typed(serde.dumps_typed(wrapped)))
        if make is not None:
            assert same(make(), wrapped)
            assert same(make(), wrapped)


def test_all_of_it_at_once_comes_back() -> None:
    assert same(serde.loads_typed(serde.dumps_typed(ALL)), ALL)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        *((None, "null"), (b"x", "bytes"), ("x", "msgpack"), ("\ud800", "msgpack"), (1, "msgpack"), ([], "msgpack")),
        *((bytearray(b"x"), "msgpack"), (deque([(1, 2)]), "writes"), (deque([(1, 2)], 1), "msgpack")),
    ],
    ids=repr,
)
def test_the_encoding_says_what_the_payload_is(value: Any, encoding: str) -> None:
    assert serde.dumps_typed(value)[0] == encoding


def test_bytes_are_stored_and_returned_without_a_copy() -> None:
    value = b"x" * 1000
    encoding, payload = serde.dumps_typed(value)
    assert payload is value
    assert serde.loads_typed((encoding, payload)) is value


def test_a_payload_may_be_a_memoryview() -> None:
    for value in (b"x", "x", [1, (2,)], deque([("a", 1)])):
        encoding, payload = serde.dumps_typed(value)
        assert same(serde.loads_typed((encoding, memoryview(payload))), value)  # type: ignore[arg-type]


def test_restored_arrays_can_be_written_to() -> None:
    back = serde.loads_typed(serde.dumps_typed(np.arange(3)))
    back[0] = 7
    assert back.tolist() == [7, 1, 2]


def test_enum_members_come_back_as_themselves() -> None:
    assert serde.loads_typed(serde.dumps_typed([m.Colour.CRIMSON]))[0] is m.Colour.RED
    assert serde.loads_typed(serde.dumps_typed([m.Mode.READ | m.Mode.EXECUTE]))[0] is m.Mode.READ | m.Mode.EXECUTE


def test_a_restored_default_dict_still_makes_its_defaults() -> None:
    assert serde.loads_typed(serde.dumps_typed(defaultdict(list)))["new"] == []


def test_a_field_that_was_never_set_stays_unset() -> None:
    back = serde.loads_typed(serde.dumps_typed([m.Slotted(1)]))[0]
    assert not hasattr(back, "later")


def test_the_value_is_not_changed_by_storing_it() -> None:
    value = {1: [bytearray(b"x"), {"\ud800": account()}]}
    serde.dumps_typed(value)
    assert same(value, {1: [bytearray(b"x"), {"\ud800": account()}]})


texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
zones = st.sampled_from([None, dt.UTC, ZoneInfo("Europe/Berlin"), dt.timezone(dt.timedelta(minutes=-90), "odd")])
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=8),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(timezones=zones),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*m.Colour, *m.Mode, m.Mode.READ | m.Mode.WRITE, m.Word.YES, m.Size.BIG, np.float64(0.1)]),
    st.builds(PurePosixPath, st.text(string.ascii_letters + "/.", max_size=8)),
    st.ip_addresses(),
)
arrays = hnp.arrays(
    st.one_of(hnp.scalar_dtypes(), hnp.array_dtypes(max_size=3)), hnp.array_shapes(max_dims=3, max_side=3, min_side=0)
)
leaves = st.one_of(hashables, st.binary(max_size=4).map(bytearray), arrays)
keys = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3), inner.map(m.Pair)
    ),
    max_leaves=4,
)


def unique_by_type(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    return dict(pairs)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    odd_dicts = st.lists(st.tuples(keys, inner), max_size=4).map(unique_by_type)
    lists = st.lists(inner, max_size=4)
    return st.one_of(
        lists,
        lists.map(tuple),
        lists.map(deque),
        lists.map(lambda items: deque(items, len(items) + 1)),
        st.dictionaries(texts, inner, max_size=4),
        odd_dicts,
        odd_dicts.map(OrderedDict),
        odd_dicts.map(lambda d: defaultdict(list, d)),
        st.sets(keys, max_size=4),
        st.builds(m.Point, inner, inner),
        st.builds(m.Frozen, inner, inner),
        inner.map(m.Slotted),
        st.builds(m.Pair, inner, inner),
        inner.map(m.Outer.Inner),
        st.builds(m.Account, name=inner, balance=inner, extra=inner),
        st.builds(AIMessage, st.text(max_size=5), additional_kwargs=st.dictionaries(st.text(max_size=3), inner)),
        st.builds(Send, st.just("node"), inner).map(lambda send: Command(update=send.arg)),
    )


values = st.recursive(leaves, containers, max_leaves=12)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(values)
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    back = serde.loads_typed(serde.dumps_typed(value))
    assert same(value, back)
    make = copier(back)
    if make is not None:
        assert same(make(), value)


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.one_of(st.floats(), texts, st.binary()), lambda i: st.lists(i) | st.dictionaries(texts, i)))
def test_any_plain_value_comes_back_as_it_was(value: Any) -> None:
    assert same(serde.loads_typed(serde.dumps_typed(value)), value)


@pytest.mark.parametrize(
    ("make", "times"),
    [(lambda floats: floats, 1), (lambda floats: {"embedding": floats}, 2), (lambda floats: [floats, floats], 3)],
    ids=["list", "in a dict", "two"],
)
def test_an_embedding_is_packed_no_more_often_than_it_takes(make: Any, times: int, monkeypatch: Any) -> None:
    """Its numbers have bytes in them that may be marks of bytes: a look at it, once for each list that is nested."""
    floats = [struct.unpack(">d", bytes([0x3F, 0xC4, 0xC5, *index.to_bytes(5, "big")]))[0] for index in range(1536)]
    packed: list[Any] = []

    def count(*arguments: Any, **options: Any) -> bytes:
        packed.append(arguments[0])
        return ormsgpack.packb(*arguments, **options)

    monkeypatch.setattr(packing, "packb", count)
    value = make(floats)
    dumped = MsgpackSerializer().dumps_typed(value)
    assert len(packed) == times
    assert MsgpackSerializer().loads_typed(dumped) == value


@pytest.mark.parametrize("wrong", [bytearray(7), memoryview(b"1234567"), bytearray(b"\xcb" * 7)])
@pytest.mark.parametrize("place", [1, 40, 98])
def test_what_is_as_long_as_a_float_does_not_pass_for_one(wrong: Any, place: int) -> None:
    floats: list[Any] = [1.5] * 100
    floats[place] = wrong
    serde = MsgpackSerializer()
    if isinstance(wrong, memoryview):
        with pytest.raises(SerializationError):
            serde.dumps_typed(floats)
    else:
        assert [type(each) for each in serde.loads_typed(serde.dumps_typed(floats))] == [type(each) for each in floats]
        assert serde.loads_typed(serde.dumps_typed(floats)) == floats
