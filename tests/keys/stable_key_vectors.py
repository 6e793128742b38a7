"""Keys that must never change while the version of the encoding does not; run as a program it prints them anew."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import functools
import ipaddress
import logging
import operator
import re
import time
import types
import uuid
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytz
import stable_key_models as m
import uuid_utils
from dateutil import tz
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langgraph.types import Send
from pydantic import HttpUrl
from pydantic_core import MultiHostUrl, TzInfo, Url

import hitrate

MASKED: Any = np.ma.array([1.5, 2.5], mask=[0, 1], dtype="<f8")
ROME: Any = pytz.timezone("Europe/Rome")
FRAME = pd.DataFrame(
    {
        "n": np.array([1, 2], "<i8"),
        "x": pd.array([1, None], dtype="Int64"),
        "s": pd.array(["a", None], dtype="string"),
        "o": pd.Series(["a", 1], dtype=object),
        "c": pd.Categorical(["b", "a"]),
        "t": pd.DatetimeIndex(np.array([0, 1], "M8[ns]")).tz_localize("UTC"),
    },
    index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["l", None]),
    columns=pd.Index(["n", "x", "s", "o", "c", "t"], dtype=object),
)
CALL = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}
INPUTS: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "none": (None,),
    "record": (time.struct_time((2026, 1, 2, 3, 4, 5, 4, 2, 0)),),
    "int": (1,),
    "float": (1.0,),
    "true": (True,),
    "text": ("1",),
    "bytes": (b"1",),
    "bytearray": (bytearray(b"1"),),
    "two": (1, "a"),
    "tuple": ((1, "a"),),
    "list": ([1, "a"],),
    "negative zero": (-0.0,),
    "nan": (float("nan"),),
    "big int": (2**100,),
    "surrogate": ("\ud800",),
    "dict": ({"b": 1, "a": [None, 2.5]},),
    "odd dict": ({2: "b", 1: "a", "c": 3},),
    "set": ({3, 1, 2, "a", "b"},),
    "frozenset": (frozenset({3, 1, 2}),),
    "ordered dict": (OrderedDict(b=1, a=2),),
    "defaultdict": (defaultdict(list, b=[1], a=[]),),
    "counter": (Counter("abca"),),
    "deque": (deque([1, 2], maxlen=3),),
    "complex": (1 - 2j,),
    "decimal": (Decimal("1.10"),),
    "fraction": (Fraction(-3, 7),),
    "range": (range(1, 9, 2),),
    "datetime": (dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),),
    "date": (dt.date(2026, 1, 2),),
    "time": (dt.time(1, 2, 3, 4),),
    "timedelta": (dt.timedelta(days=-1, microseconds=5),),
    "uuid": (uuid.UUID(int=5),),
    "path": (PurePosixPath("/a/b"),),
    "pattern": (re.compile("a|b", re.I),),
    "address": (ipaddress.ip_address("1.2.3.4"),),
    "array": (np.arange(6, dtype="<i4").reshape(2, 3),),
    "array of objects": (np.array([1, None, "x"], object),),
    "numpy scalar": (np.float32(1.5),),
    "enum": (m.Colour.RED, m.Mode.READ | m.Mode.WRITE),
    "dataclass": (m.Point(1, [2]),),
    "slots": (m.Slotted(1),),
    "namedtuple": (m.Pair(1, "r"),),
    "model": (m.Person(name="Ann"),),
    "messages": ([HumanMessage("hi"), AIMessage("", tool_calls=[CALL]), ToolMessage("sun", tool_call_id="call_1")],),
    "remove": (RemoveMessage(id="7"),),
    "document": (Document("text", metadata={"page": 1}),),
    "attrs": (m.Corner(1, [2]),),
    "struct": (m.Struct(1, [2]),),
    "masked array": (MASKED,),
    "dtype": (np.dtype([("a", "<i4"), ("b", "<f8", (2,))]),),
    "pytz": (ROME.localize(dt.datetime(2026, 7, 1)), pytz.UTC),
    "dateutil": (tz.UTC, tz.tzoffset("X", 3600), tz.gettz("Europe/Rome")),
    "uuid of uuid_utils": (uuid_utils.UUID(int=5),),
    "frame": (FRAME,),
    "series": (pd.Series([1.5, float("nan")], index=pd.Index([2, 1], name="i"), name=("a", 1)),),
    "timestamp": (pd.Timestamp(np.datetime64(5, "ns")), pd.Timedelta(np.timedelta64(5, "s")), pd.NaT, pd.NA),
    "period": (pd.Period("2026-03", "M"), pd.Interval(1, 2), pd.RangeIndex(3), pd.offsets.Day(2)),
    "polars frame": (pl.DataFrame({"a": pl.Series([1, None]), "s": ["x", "y"], "l": [[1.5], []]}),),
    "polars series": (pl.Series("t", [5, None], dtype=pl.Datetime("ms", "UTC")),),
    "send": (Send("node", {"a": 1}),),
    "str subclass": (m.MyStr("x"), AIMessage("x").text),
    "dict subclass": (m.MyDict(b=1, a=[2]),),
    "int subclass with attributes": (m.with_attribute(m.MyInt(1)),),
    "exception": (ValueError("x", 1), OSError(2, "gone", "file")),
    "namespace": (types.SimpleNamespace(b=1, a=2),),
    "view of a mapping": (types.MappingProxyType({"b": 1, "a": 2}),),
    "machine array": (array.array("h", [1, -1]),),
    "type with arguments": (list[int],),
    "zone of pydantic": (TzInfo(3600),),
    "url": (HttpUrl("http://a.b/c"), Url("x://y"), MultiHostUrl("x://a:1,b:2/c")),
    "generic model": (m.Page[list[int]](x=[1]),),
    "function": (m.scaled,),
    "closure": (m.scaling(2), [m.scaling([3])]),
    "lambda": (m.DOUBLED,),
    "own class": (m.Scale, m.Point, m.Colour),
    "class": (int, OrderedDict, HumanMessage),
    "partial": (functools.partial(len, [1]), functools.partial(m.scaled, by=3)),
    "method": (m.Scale(2).run, m.Scale.made),
    "builtin": (len, "a".upper, str.upper, operator.itemgetter(1, "a")),
    "callable object": (m.Scale(3),),
    "module and logger": (re, logging.getLogger("a.b")),
    "annotation": (list[int], dict[str, "int | None"], Annotated[int, "x"], Literal["a"], Callable[[int], str]),
    "what Python defines elsewhere in each version": (
        *(Path, PurePosixPath("a").joinpath, open, zipfile.Path, decimal.getcontext, re.sub, functools.wraps),
        m.calling,
    ),
    "numpy function": (np.add, np.mean),
    "chat model": (FakeListChatModel(responses=["a"]),),
    "prompt": (ChatPromptTemplate.from_messages([("system", "a {x}")]),),
}


def keys() -> dict[str, str]:
    """Return the key of each input."""
    made = {name: hitrate.stable_key(*args) for name, args in INPUTS.items()}
    made["keyword"] = hitrate.stable_key(1, b=2, a=3)
    made["scope"] = hitrate.stable_key(1, scope=("tenant", "user"))
    return made


if __name__ == "__main__":
    import json

    print(json.dumps(keys(), indent=4))
