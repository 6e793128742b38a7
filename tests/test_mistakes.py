"""What a program's first mistakes are told: what was wrong, and what to write instead."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

import hitrate
from hitrate import InMemoryCache, MsgpackSerializer, SerializationError, SqliteCache, cached, stable_key
from hitrate.serde import register

KEYS = [(("notes",), "fox"), (("notes", "2026"), "fox"), ((), "fox"), (("a", "b", "c"), "")]


class Plain:
    """A class of no kind that is stored."""


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_single_key_in_place_of_a_list_is_shown_in_a_list(method: str, key: Any) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(InMemoryCache(), method)(key)
    assert str(caught.value) == f"keys is a sequence of full keys, not the single key {key!r}; write [{key!r}]"


def test_a_long_single_key_is_not_repeated_whole() -> None:
    with pytest.raises(TypeError, match="not the single key") as caught:
        InMemoryCache[Any]().get((("notes",), "x" * 10_000))  # type: ignore[arg-type]
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("encoding", [None, b"msgpack", {"msgpack"}, ["msgpack"], {}, 1, "msgpäck"])
def test_a_serializer_that_names_no_encoding_is_told_what_to_return(encoding: Any) -> None:
    class Serializer(MsgpackSerializer):
        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            return encoding, b""

    kind = type(encoding).__name__
    with pytest.raises(SerializationError, match=rf"is to return \(ASCII str, bytes\), and returned \({kind}, bytes\)"):
        InMemoryCache[Any](serde=Serializer()).set({KEYS[0]: ("value", None)})


def test_two_keys_of_which_one_is_wrong_are_no_single_key() -> None:
    with pytest.raises(TypeError, match="a namespace is a tuple of str, not the str 'a'"):
        InMemoryCache[Any]().get((("a", "b"), (("notes",), "fox")))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["json", json, pickle, MsgpackSerializer, {}, 5, False])
def test_what_is_no_serializer_is_named_when_the_cache_is_made(wrong: Any, tmp_path: Path) -> None:
    for make in (InMemoryCache[Any], lambda serde: SqliteCache[Any](tmp_path / "cache.db", serde=serde)):
        with pytest.raises(TypeError, match="serde is an object with dumps_typed and loads_typed, such as Msgpack"):
            make(serde=wrong)


@pytest.mark.parametrize("wrong", [3, 1.5, "now", datetime(2026, 1, 1), None])
def test_what_is_no_clock_is_named_when_the_cache_is_made(wrong: Any, tmp_path: Path) -> None:
    for make in (InMemoryCache[Any], lambda clock: SqliteCache[Any](tmp_path / "cache.db", clock=clock)):
        with pytest.raises(TypeError, match="clock is a function that returns the seconds since the epoch"):
            make(clock=wrong)


@pytest.mark.parametrize("wrong", ["shop.Money", ["shop.Money"], int, 5, [int, None], [list[int]]])
def test_a_serializers_types_are_classes(wrong: Any) -> None:
    with pytest.raises(TypeError, match="types is a list of classes"):
        MsgpackSerializer(types=wrong)


def test_the_path_of_a_file_may_be_the_first_argument(tmp_path: Path) -> None:
    with SqliteCache[int](tmp_path / "cache.db") as cache:
        cache.set({KEYS[0]: (1, None)})
    with SqliteCache[int](path=tmp_path / "cache.db") as cache:
        assert cache.get([KEYS[0]]) == {KEYS[0]: 1}


def test_a_url_in_place_of_a_path_is_told_of_open() -> None:
    with pytest.raises(ValueError, match=r"is a URL, which hitrate\.open takes"):
        SqliteCache("sqlite:///cache.db")


def test_a_mode_in_decimal_is_told_how_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="660 is decimal, write 0o660"):
        SqliteCache(tmp_path / "cache.db", mode=660)


def test_an_opened_cache_takes_functions() -> None:
    with hitrate.open("memory:") as cache:

        @cached(cache)
        def double(number: int) -> int:
            return number * 2

        assert (double(2), double.get(2)) == (4, 4)


def test_an_object_of_a_plain_class_is_told_how_it_could_be_kept() -> None:
    with pytest.raises(SerializationError, match=r"test_mistakes\.Plain.*hitrate\.serde\.register"):
        InMemoryCache[Any]().set({KEYS[0]: (Plain(), None)})
    with pytest.raises(TypeError, match=r"test_mistakes\.Plain.*hitrate\.serde\.register"):
        stable_key(Plain())


class Unreadable:
    def read(self) -> dict[str, Any]:
        raise RuntimeError


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Unspeakable:
    def read(self) -> dict[str, Any]:
        raise Wordless


register(Unreadable, name="test_mistakes.Unreadable", dump=Unreadable.read, load=lambda state: Unreadable())
register(Unspeakable, name="test_mistakes.Unspeakable", dump=Unspeakable.read, load=lambda state: Unspeakable())


class Secretive(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError


class Secret(metaclass=Secretive):
    """Of a class whose name is not told."""


@attrs.define(slots=False)
class ClosedAttrs:
    x: int = 1

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


@dataclass
class Closed:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Unreadable(), r"test_mistakes\.Unreadable: the dump function registered for it raised RuntimeError"),
        (Unspeakable(), r"test_mistakes\.Unspeakable: the dump function registered for it raised Wordless"),
        (object.__new__(Secret), r"test_mistakes\.Secret: no exact encoding is known for it"),
        (Closed(), r"test_mistakes\.Closed: it has a __dict__ of its own making"),
        (ClosedAttrs.__new__(ClosedAttrs), r"test_mistakes\.ClosedAttrs: it has a __dict__ of its own making"),
    ],
    ids=["taught", "no words", "metaclass", "dataclass", "attrs with a __dict__"],
)
def test_what_raises_while_it_is_read_is_refused_with_a_sentence(value: Any, words: str) -> None:
    with pytest.raises(SerializationError, match=words):
        InMemoryCache[Any]().set({KEYS[0]: ([value], None)})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Unreadable(), r"test_mistakes\.Unreadable: the key function registered for it raised RuntimeError"),
        (Unspeakable(), r"test_mistakes\.Unspeakable: the key function registered for it raised Wordless"),
        (object.__new__(Secret), r"test_mistakes\.Secret: "),
        (Closed(), r"test_mistakes\.Closed: it has a __dict__ of its own making"),
        (ClosedAttrs.__new__(ClosedAttrs), r"test_mistakes\.ClosedAttrs: it has a __dict__ of its own making"),
    ],
    ids=["taught", "no words", "metaclass", "dataclass", "attrs with a __dict__"],
)
def test_what_raises_while_a_key_is_made_of_it_is_refused_with_a_sentence(value: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        stable_key([value])
