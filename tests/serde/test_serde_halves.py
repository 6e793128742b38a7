"""A payload that was tampered with gives no half of an object: it is refused, or gives one that is whole."""

from __future__ import annotations

import configparser
import datetime as dt
import http.client
import http.cookies
import json
import subprocess
import sys
import time
import tomllib
import traceback
import types
import urllib.error
import zoneinfo
from collections import ChainMap, UserDict, UserList, UserString, deque
from collections.abc import Iterator
from decimal import InvalidOperation
from typing import Any

import init_models as made
import numpy as np
import program_models as p
import pytest
import serde_models as m
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langgraph import types as langgraph_types
from langgraph.types import Command, Interrupt, Send
from ormsgpack import Ext, packb, unpackb
from program_values import NOW, VALUES
from pydantic import HttpUrl, MySQLDsn, PostgresDsn, SecretStr
from serde_equality import same
from test_serde_programs import brief

import releases
from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()
OVERWRITES: list[Any] = [langgraph_types.Overwrite([1])] if releases.LANGGRAPH >= releases.OVERWRITE else []
OTHERS: list[Any] = [
    *(m.Point(1, [2]), m.Slotted([1]), m.Initialised(2, 3), m.Pair(1, [2]), m.Account(name="Ann", nickname=1)),
    *(m.Numbers([1]), m.Colour.RED, m.Mode.READ | m.Mode.WRITE, SecretStr("s"), NOW, dt.time(1, tzinfo=dt.UTC)),
    *(Send("n", {"a": 1}), Command(goto=[Send("a", 1)], update={"x": {1}}), Interrupt("v", id="i"), *OVERWRITES),
    *(AIMessage("x", id="i"), dt.timedelta(1, 2, 3), np.array(["ab", "c"]), np.array([True, False]), np.str_("x")),
    *(np.array([1.5, None], object), np.zeros(2, [("a", "U2"), ("b", "?"), ("c", "M8[s]")]), np.bool_(True)),
    *(np.array(["2026-01-01", "NaT"], "M8[D]"), np.ones(2, np.longdouble), np.array([1], "f2"), np.array([b"a"])),
]
HOLDERS_OF_MESSAGES = (ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult)
"""Nearly all that is in them is a message, and these are changed in more places."""
JUNK: list[Any] = [
    *(None, True, -1, 2**40, float("nan"), "", "x", "\U0010ffff", b"", b"\xff" * 4, [], [1], {}, {"x": 1}, [[]], 1.5),
    *(Ext(2, b"\x90"), Ext(3, b"\x92\x01\x02"), Ext(4, b"\x91\x01"), Ext(60, b"\xed\xa0\x80"), Ext(45, b"UTC")),
    *(Ext(1, packb(["builtins:ValueError#", [], {}])), Ext(10, b'["alias","builtins:list","builtins:int"]')),
]


class Document:
    """An extension whose content is a document of its own, perhaps after some bytes that are not."""

    def __init__(self, code: int, prefix: bytes, content: Any) -> None:
        self.code, self.prefix, self.content = code, prefix, content


class Raw:
    """An extension whose content is bytes."""

    def __init__(self, code: int, data: bytes) -> None:
        self.code, self.data = code, data


def parsed(payload: bytes) -> Any:
    def extension(code: int, data: bytes) -> Any:
        for skipped in (0, 1, 9):
            try:
                content = parsed(data[skipped:])
                if written(content) == data[skipped:]:
                    return Document(code, data[:skipped], content)
            except Exception:  # then its content is nothing but bytes
                continue
        return Raw(code, data)

    return unpackb(payload, ext_hook=extension)


def written(tree: Any) -> bytes:
    def default(node: Any) -> Any:
        if isinstance(node, Raw):
            return Ext(node.code, node.data)
        return Ext(node.code, node.prefix + written(node.content))

    return packb(tree, default)


def mutations(tree: Any) -> Iterator[Any]:
    """Give all trees with one node replaced, removed, doubled, or its bytes changed."""
    yield from JUNK
    if isinstance(tree, list):
        for i, each in enumerate(tree):
            yield [*tree[:i], *tree[i + 1 :]]
            yield [*tree[: i + 1], *tree[i:]]
            for other in mutations(each):
                yield [*tree[:i], other, *tree[i + 1 :]]
        yield [*tree, []]
        yield [*tree, ["x"]]
        yield [*tree, None]
    elif isinstance(tree, dict):
        for key, each in tree.items():
            yield {name: value for name, value in tree.items() if name != key}
            for other in mutations(each):
                yield {**tree, key: other}
        yield {**tree, "besides": 1}
    elif isinstance(tree, Document):
        for other in mutations(tree.content):
            yield Document(tree.code, tree.prefix, other)
        yield tree.content
    elif isinstance(tree, Raw):
        yield from (Raw(tree.code, data) for data in changed(tree.data))
    elif isinstance(tree, bytes):
        yield from changed(tree)
    elif isinstance(tree, str):
        yield tree[:-1]
        yield tree + "x"


def changed(data: bytes) -> Iterator[bytes]:
    yield data[:-1]
    yield data + b"\0"
    for i in range(min(len(data), 40)):
        yield data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]
        yield data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]


def see_whole(value: Any, seen: set[int]) -> None:
    """Use a value and all that is in it in the ways that any value can be used."""
    if id(value) in seen:
        return
    seen.add(id(value))
    repr(value), str(value)
    try:
        value == value  # noqa: B015 - that it can be asked
    except InvalidOperation:
        assert "sNaN" in str(value)
    try:
        hash(value)
    except (TypeError, ValueError) as exc:
        assert "hash" in str(exc)  # noqa: PT017
    parts: list[Any] = []
    if isinstance(value, BaseException):
        traceback.format_exception_only(value)
        parts += value.args
    if isinstance(value, (dict, types.MappingProxyType, UserDict, ChainMap)):
        parts += [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset, deque, UserList)):
        parts += [*value]
    elif isinstance(value, (str, UserString)):
        assert len(value + "") == len(value)
    elif isinstance(value, (np.ndarray, np.generic)):
        repr(value.tolist())
    elif isinstance(value, dt.datetime):
        value.isoformat()
    if not isinstance(value, type):
        parts += [*getattr(value, "__dict__", {}).values()]
    for part in parts:
        see_whole(part, seen)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [*VALUES, *OTHERS], ids=brief)
def test_a_payload_that_was_changed_is_refused_or_gives_a_whole_value(value: Any) -> None:
    _, payload = serde.dumps_typed([value])
    tree = parsed(payload)
    assert written(tree) == payload
    (root,) = tree
    trees = [*mutations(root)]
    most = 250 if isinstance(value, HOLDERS_OF_MESSAGES) else 1500
    started = time.process_time()
    for mutated in trees[:: 1 + len(trees) // most]:
        try:
            back = serde.loads_typed(("msgpack", written([mutated])))
        except DecodeError:
            continue
        see_whole(back, set())
    assert time.process_time() - started < 60


REMOVED: list[Any] = [
    *(p.Two(1, [2]), p.SlottedTwo(1, 2), m.Point(1), Send("n", {}), m.Account(name="a"), m.Numbers([1]), p.Usage(n=1)),
    *(p.UserDict(a=1), p.UserList([1]), ChainMap({}), *OVERWRITES, Interrupt("v", id="i"), Command(goto="a")),
    *(p.TableWithFields(1), p.ErrorWithFields(1), p.Order(1), AIMessage("x")),
    *(p.WordWithSlots(1), p.WordOfSeed(1, 2)),
    *(p.ErrorOfAttrs(1), p.OpenErrorOfAttrs(1), p.TableOfAttrs(), p.RowsOfAttrs(1)),
]


SLOTTED = (
    *(p.SlottedTwo, Send, Interrupt, Command, *map(type, OVERWRITES)),
    *(p.WordWithSlots, p.ErrorOfAttrs, p.TableOfAttrs),
)


@pytest.mark.parametrize("value", REMOVED, ids=brief)
def test_an_instance_without_one_of_its_fields_is_refused(value: Any) -> None:
    root = parsed(serde.dumps_typed([value])[1])[0]
    fields = [i for i, each in enumerate(root.content) if isinstance(each, dict) and each]
    assert fields
    for i in fields:
        for name in root.content[i]:
            rest = {key: each for key, each in root.content[i].items() if key != name}
            state = [*root.content[:i], rest, *root.content[i + 1 :]]
            payload = written([Document(1, b"", state)])
            if name in vars(type(value)) and not isinstance(value, SLOTTED):
                continue  # then the class has it
            with pytest.raises(DecodeError):
                serde.loads_typed(("msgpack", payload))


MADE_BY_INIT: list[Any] = [
    *(json.JSONDecodeError("m", "doc", 1), subprocess.TimeoutExpired("c", 1), subprocess.CalledProcessError(1, "c")),
    *(urllib.error.URLError("r"), configparser.NoOptionError("o", "s"), http.cookies.SimpleCookie("a=1")["a"]),
    *(http.client.IncompleteRead(b"x"), zoneinfo.ZoneInfoNotFoundError("z"), tomllib.TOMLDecodeError("m")),
    *(
        made.Coded(1),
        made.CodedAndMore(1, 2),
        made.CodedByName(1),
        made.CodedWithAnyArguments(1),
        made.CodedByNameWithAnyArguments(code=1),
        made.CodedThroughAProperty(1),
        made.CodedInAMethod(1),
    ),
    *(
        made.WordIn("x", "de"),
        made.WordInAndMore("x", "de"),
        made.RowsOf([1], "t"),
        made.WrapperOf({"a": 1}, 2),
        made.Sum(1, 2),
    ),
    *(made.Coded2(1), made.SumOfAttrs(1)),
]


@pytest.mark.parametrize("value", MADE_BY_INIT, ids=brief)
def test_an_instance_without_what_its_init_sets_is_refused(value: Any) -> None:
    root = parsed(serde.dumps_typed([value])[1])[0]
    assert same(serde.loads_typed(("msgpack", written([root])))[0], value)
    attributes = vars(value)
    (at,) = [n for n, each in enumerate(root.content) if isinstance(each, dict) and each.keys() == attributes.keys()]
    for name in attributes:
        rest = {key: each for key, each in root.content[at].items() if key != name}
        for state in ([*root.content[:at], rest, *root.content[at + 1 :]], [*root.content[:at], rest, [name]]):
            with pytest.raises(DecodeError):
                serde.loads_typed(("msgpack", written([Document(1, b"", state)])))
    bare = [each for n, each in enumerate(root.content) if n != at]
    if attributes:
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", written([Document(1, b"", bare)])))


HONEST: list[Any] = [
    *(
        made.CodedInABranch(0),
        made.CodedInABranch(1),
        made.CodedInATry("1"),
        made.CodedInATry("x"),
        made.WithoutItsBase(1),
    ),
    *(made.CodedWithACallback(1), made.CodedAndClosed(1), made.CodedByDict(1), made.CodedByItself(1)),
]


@pytest.mark.parametrize("value", HONEST, ids=brief)
def test_an_instance_may_lack_what_its_init_does_not_always_set(value: Any) -> None:
    assert same(serde.loads_typed(serde.dumps_typed(value)), value)


def test_an_instance_may_lack_what_a_property_or_a_class_method_deletes() -> None:
    error = made.CodedAndReset.reset(made.CodedAndReset(1))
    del error.code
    assert vars(serde.loads_typed(serde.dumps_typed(error))) == {}


def test_methods_that_call_each_other_in_many_ways_are_each_looked_at_once() -> None:
    error = made.ManyCalls.__new__(made.ManyCalls)  # to call them would take for ever
    error.a = 1
    started = time.process_time()
    with pytest.raises(SerializationError, match="'b' is not set"):
        serde.dumps_typed(error)
    assert time.process_time() - started < 5


def test_an_instance_that_lost_what_its_init_sets_is_refused() -> None:
    error = made.Coded(1)
    del error.code
    with pytest.raises(SerializationError, match="'code' is not set"):
        serde.dumps_typed(error)


def test_to_print_an_import_error_imports_nothing() -> None:
    """It names a module to look for similar names in."""
    error = ImportError("cannot import name 'lod'", name="json.decoder", path="p")
    if hasattr(error, "name_from"):
        error = ImportError("cannot import name 'lod'", name="json.decoder", path="p", name_from="lod")
    assert "lod" in "".join(traceback.format_exception_only(serde.loads_typed(serde.dumps_typed(error))))
    payload = serde.dumps_typed(error)[1]
    for name in ("curses.panel", "not.a.module"):
        hostile = payload.replace(b"json.decoder", name.encode())
        assert hostile != payload
        assert name not in sys.modules
        try:
            traceback.format_exception_only(serde.loads_typed(("msgpack", hostile)))
        except DecodeError:
            assert hasattr(error, "name_from")
        assert name not in sys.modules


@pytest.mark.parametrize("value", [p.Lazy(1), m.Slotted([1]), p.Usage.model_construct(note="x")], ids=brief)
def test_what_was_honestly_never_set_stays_unset(value: Any) -> None:
    back = serde.loads_typed(serde.dumps_typed([value]))[0]
    assert same(back, value)
    for name in ("size", "later", "n"):
        assert hasattr(back, name) is hasattr(value, name)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (HttpUrl("http://a.com/"), b"hxxp://a.com/"),
        (HttpUrl("http://a.com/" + "x" * 2070), b"http://a.com/" + b"x" * 2071),
        (PostgresDsn("postgres://a,b/c"), b"postgrey://a,b/c"),
        (MySQLDsn("mysql://a/b"), b"mysql:///a/b"),
    ],
    ids=lambda each: brief(each)[:60],
)
def test_a_url_that_its_class_does_not_allow_is_refused(value: Any, text: bytes) -> None:
    root = parsed(serde.dumps_typed([value])[1])[0]
    mark, url = root.content
    assert same(serde.loads_typed(("msgpack", written([Document(1, b"", [mark, url])])))[0], value)
    with pytest.raises(DecodeError):
        serde.loads_typed(("msgpack", written([Document(1, b"", [mark, Raw(url.code, text)])])))


def test_a_field_that_every_instance_has_is_not_stored_as_missing() -> None:
    for value, name in ((p.Two(1, 2), "y"), (p.SlottedTwo(1, 2), "y"), (Send("n", 1), "arg")):
        delattr(value, name)
        with pytest.raises(Exception, match=f"its field '{name}' is not set"):
            serde.dumps_typed([value])


@pytest.mark.parametrize(
    ("dtype", "content"),
    [
        *(("<U1", b"\xff\xff\x11\0"), (">U1", b"\0\x11\0\0"), ("<U2", b"a\0\0\0\xff\xff\xff\xff"), ("|b1", b"\2")),
        (["struct", ["a"], ["<U1"], [0], [None], 4, False], b"\0\0\x11\0"),
        (["struct", ["a"], [["sub", "<U1", [2]]], [0], [None], 8, False], b"a\0\0\0\0\0\x11\0"),
        (["struct", ["a", "b"], ["|i1", "|b1"], [0, 1], [None, None], 2, False], b"\1\x07"),
    ],
    ids=str,
)
def test_elements_that_are_no_characters_or_booleans_are_refused(dtype: Any, content: bytes) -> None:
    for extension in (Ext(80, packb([dtype, [1], content, False])), Ext(81, packb([dtype, content]))):
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", packb([extension])))
