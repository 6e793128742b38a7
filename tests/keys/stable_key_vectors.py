"""Keys that must never change while the version of the encoding does not; run as a program it prints them anew."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import logging
import operator
import re
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import stable_key_models as m
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langgraph.types import Send

import hitrate

CALL = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}
INPUTS: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "none": (None,),
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
    "send": (Send("node", {"a": 1}),),
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
