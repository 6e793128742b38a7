"""Headers of httpx, relative times of dateutil, pydantic's secrets of any type, and the dtypes of pandas."""

from __future__ import annotations

import datetime as dt
from typing import Any

import frame_values
import httpx
import numpy as np
import pandas as pd
import pytest
from dateutil import rrule
from dateutil.relativedelta import FR, MO, relativedelta
from ormsgpack import Ext, packb
from pydantic import BaseModel, Secret
from test_serde_halves import Document, parsed, written

from hitrate import stable_key
from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()


class SecretDate(Secret[dt.date]):
    def _display(self) -> str:
        return "****"


class Keys(BaseModel):
    number: Secret[int]
    since: SecretDate


HEADERS: list[Any] = [
    *(httpx.Headers(), httpx.Headers({"A": "b"}), httpx.Headers({"A": "é"}, encoding="UTF-8")),
    *(httpx.Headers([("Set-Cookie", "a=1"), ("set-cookie", "b=2")]), httpx.Headers([(b"x", "é".encode("latin-1"))])),
    *(httpx.Response(200, json={"a": 1}).headers, httpx.Request("GET", "http://a.com").headers),
]
VALUES: list[Any] = [
    *HEADERS,
    *(relativedelta(), relativedelta(months=1, day=31, weekday=FR(-1)), relativedelta(days=1.5, leapdays=-1)),
    *(relativedelta(dt.datetime(2024, 1, 31), dt.datetime(2023, 1, 2, 3)), relativedelta(days=np.int64(3))),
    *(relativedelta(years=10**30, hour=True), MO, MO(+2), rrule.SU(-1), [MO, relativedelta(weekday=MO)]),
    *(Secret(("a", 1)), Secret[int](5), SecretDate(dt.date(2024, 1, 1))),
    Keys.model_validate({"number": 1, "since": "2024-01-01"}),
]


@pytest.mark.parametrize("value", [*VALUES, *frame_values.DTYPES], ids=repr)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    key = stable_key(value)
    back = serde.loads_typed(serde.dumps_typed([value]))[0]
    assert type(back) is type(value)
    assert back == value
    assert repr(back) == repr(value)
    assert stable_key(back) == key


def test_keys_tell_apart_what_differs() -> None:
    values = [*VALUES, *(each for each in frame_values.DTYPES if each != pd.StringDtype("pyarrow"))]
    assert len({stable_key(each) for each in values}) == len(values)


def test_a_key_takes_headers_as_they_are_equal() -> None:
    one, other = httpx.Headers([("A", "1"), ("b", "2")]), httpx.Headers([("B", "2"), ("a", "1")])
    repr(other)  # finds out its encoding
    assert one == other
    assert stable_key(one) == stable_key(other)


def test_headers_keep_the_order_and_how_their_names_are_written() -> None:
    back = serde.loads_typed(serde.dumps_typed(httpx.Headers([("B", "2"), ("a", "1")])))
    assert back.raw == [(b"B", b"2"), (b"a", b"1")]


def with_attribute(value: Any, name: str, other: Any) -> Any:
    object.__setattr__(value, name, other)
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(httpx.Headers({"a": "b"}, encoding="cp1252"), with_attribute(httpx.Headers(), "besides", 1)),
        *(with_attribute(relativedelta(), "years", "1"), with_attribute(relativedelta(), "day", [])),
        *(with_attribute(relativedelta(), "weekday", 3), with_attribute(MO(+1), "weekday", 7)),
        *(pd.SparseDtype(float), pd.IntervalDtype()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_kept_is_refused(value: Any) -> None:
    with pytest.raises(SerializationError):
        serde.dumps_typed([value])


@pytest.mark.parametrize(
    "parts",
    [
        *([None, None], [[[b"a"]], None], [[[b"a", "b"]], None], [[[b"a", b"b"]], "rot13"], [[[b"a", b"b"]], "mbcs"]),
        *([[[b"a", b"\xff"]], "utf-8"], [[[b"\xff", b"b"]], "ascii"], [[[b"a", b"b"]], 1], [["ab"], None], [[]]),
    ],
    ids=repr,
)
def test_headers_that_httpx_could_not_read_are_refused(parts: list[Any]) -> None:
    (root,) = parsed(serde.dumps_typed([httpx.Headers({"a": "b"})])[1])
    with pytest.raises(DecodeError):
        serde.loads_typed(("msgpack", written([Document(1, b"", [root.content[0], *parts])])))


@pytest.mark.parametrize("value", [relativedelta(days=1), FR(-1), Secret(1)], ids=repr)
def test_what_lacks_an_attribute_is_refused(value: Any) -> None:
    (root,) = parsed(serde.dumps_typed([value])[1])
    mark, attributes, *rest = root.content
    for name in attributes:
        fewer = {each: attributes[each] for each in attributes if each != name}
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", written([Document(1, b"", [mark, fewer, *rest])])))


def test_a_dtype_is_none_if_its_column_is_not_empty() -> None:
    full = {"kind": "masked", "content": {"kind": "buffer", "dtype": "<i8", "content": b"\0" * 8}}
    mask = {"kind": "buffer", "dtype": "|b1", "content": b"\0"}
    for state in ({**full, "mask": mask}, [], full["content"], {"kind": "any categories", "ordered": 1}):
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", packb(Ext(95, packb([state])))))
