"""Values that programs really have; run as a program it prints, for each payload it is given, what it makes of it."""

from __future__ import annotations

import array
import datetime as dt
import json
import os
import time
import types
import typing
import uuid
from collections import ChainMap, OrderedDict, UserDict, UserList, UserString
from decimal import Decimal
from typing import Any

import program_models as p
import pydantic
import pydantic_core
from bs4 import BeautifulSoup
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue
from langgraph.store.base import Item, SearchItem
from markupsafe import Markup
from openai._models import construct_type
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import TypeAdapter

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
USAGE: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def having(obj: Any, **attributes: Any) -> Any:
    """Return an object that was given attributes."""
    for name, value in attributes.items():
        setattr(obj, name, value)
    return obj


def noted(error: BaseException) -> BaseException:
    error.add_note("while asking Rome")
    return error


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def page() -> Any:
    return p.Page[int](x=1)


COMPLETION = {
    "id": "x",
    "choices": [
        {
            "finish_reason": "stop",
            "index": 0,
            "logprobs": None,
            "message": {"content": "hi", "role": "assistant", "refusal": None},
        }
    ],
    "created": 1,
    "model": "m",
    "object": "chat.completion",
    "usage": {"completion_tokens": 1, "prompt_tokens": 2, "total_tokens": 3},
    "unknown": {"a": [1]},
}
RESPONSE = {
    "id": "r",
    "created_at": 1.0,
    "output": [
        {
            "id": "o",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hey", "annotations": []}],
        }
    ],
}
SUBCLASSES: list[Any] = [
    *(AIMessage("x").text, Markup("<b>"), p.Word("a"), p.BareWord("żółć"), p.BareWord("\ud800"), p.Word("")),
    *(having(p.Word("a"), of=[1, (2,)]), having(p.SlottedWord("a"), language="en"), p.SlottedWord("b")),
    *(p.Number(-1), p.Number(2**70), p.Ratio(-0.0), p.Ratio("nan"), p.Phase(1, -0.0), p.Blob(b"\xc4"), p.Buffer(b"x")),
    *(p.Triple((1, [2])), p.Triple(), p.Rows([1, p.Rows([])]), having(p.Rows([1]), total=1), p.Table({1: 2, "a": []})),
    *(having(p.Table(a=1), name="t"), p.Bag({1, "a"}), p.FrozenBag({1}), p.Queue([1, [2]], 5), p.Queue()),
    *(p.Ordered([("b", 1), ("a", [])]), having(p.Ordered(), note=1)),
    *(p.Defaults(list, {"a": [1]}), p.Defaults(None, b=1), p.Tally("abca"), p.OrderedTally("cab")),
    *(p.Money("1.10"), p.Money("sNaN"), p.Share(-3, 7), p.Ident(int=5, is_safe=uuid.SafeUUID.safe)),
    *(p.Moment(2026, 10, 25, 2, 30, fold=1, tzinfo=dt.UTC), p.Day(2026, 1, 2), p.Clock(1, 2, fold=1)),
    *(p.Span(days=-1, microseconds=5), having(p.Moment(2026, 1, 1), zone="here"), p.TableWithFields([1])),
    *(
        TypeAdapter(pydantic.ByteSize).validate_python("1kb"),
        BeautifulSoup("<p>a</p>", "html.parser").p.string.extract(),
    ),
    {p.Word("k"): p.Number(1), p.Triple((1,)): p.Blob(b"")},
]
LIBRARIES: list[Any] = [
    ChatGeneration(message=AIMessage("x", usage_metadata=USAGE)),
    ChatGenerationChunk(message=AIMessageChunk("x", chunk_position="last")),
    ChatResult(generations=[ChatGeneration(message=AIMessage("x", usage_metadata=USAGE))], llm_output={"a": 1}),
    LLMResult(generations=[[ChatGeneration(message=AIMessage("x")), Generation(text="y")]]),
    ChatPromptValue(messages=[HumanMessage("x")]),
    Item(value={"a": (1,)}, key="k", namespace=("a", "b"), created_at=NOW, updated_at=NOW),
    SearchItem(value={}, key="k", namespace=("a",), created_at=NOW, updated_at=NOW, score=0.5),
    construct_type(value=COMPLETION, type_=ChatCompletion),
    construct_type(value=RESPONSE, type_=Response),
    construct_type(
        value={"data": [{"embedding": [0.1], "index": 0, "object": "embedding"}], "model": "m", "object": "list"},
        type_=CreateEmbeddingResponse,
    ),
]
MODELS: list[Any] = [
    *(p.Usage.model_construct(n=1), p.Usage.model_construct(note="n is missing"), p.Later.model_construct()),
    *(
        p.Event.model_validate_json(json.dumps({"at": at}))
        for at in ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00-03:30")
    ),
    p.Event.model_validate_json('{"at":"2024-01-01T00:00:00+02:00"}').at,
    *(pydantic_core.TzInfo(0), pydantic_core.TzInfo(-86399)),
    p.Event(at=NOW, link="https://user:pass@£££.com:81/a?b=c&d#e"),
    *(
        pydantic.HttpUrl("http://a.b"),
        pydantic.AnyUrl("x:y"),
        pydantic.FileUrl("file:///a"),
        pydantic_core.Url("a://b"),
    ),
    *(pydantic.PostgresDsn("postgres://u:p@h1:1,h2:2/db"), pydantic.RedisDsn("redis://h")),
    pydantic_core.MultiHostUrl("mongodb://a:1,b:2/c"),
    *(page(), p.Page[list[int]](x=[1]), p.Page[p.Usage](x=p.Usage(n=1)), p.Page[p.Page[int]](x=page())),
    *(p.Page[int | None](x=None), p.Page[typing.Literal["a", 1]](x="a"), p.Pages[int](page=page()), p.Page(x=1)),
    *(p.Page[typing.Optional[str]](x="a"), p.Page[typing.List[str]](x=["a"]), p.Page[dict[str, Any]](x={})),  # noqa: UP006, UP045
    *(p.Box[int](1), p.Box[list[p.Word]]([]), p.Box(p.Box[int](1)), p.Order[int](1), p.Order(x="a")),
]
STANDARD: list[Any] = [
    *(
        types.SimpleNamespace(a=1, b=[p.Word("x")]),
        types.SimpleNamespace(),
        UserDict(a=[1]),
        UserList([1]),
        UserString("x"),
    ),
    *(p.Settings({1: 2}), having(p.Items([1]), note=2), p.Title("x"), ChainMap({"a": [1]}, {2: 3}), ChainMap()),
    *(types.MappingProxyType({"a": [1], 2: 3}), types.MappingProxyType(OrderedDict(a=1))),
    *(array.array("d", [1.5, -0.0]), array.array("b"), array.array("Q", [2**64 - 1])),
    *(list[int], dict[str, list[int]], int | None, typing.Optional[int], typing.List[int], typing.Literal["a", None]),  # noqa: UP006, UP045
    *(p.Box[int], tuple[int, ...], typing.Union[int, str]),  # noqa: UP007
    *(list[p.T], p.Box[p.T], p.T | None),  # type: ignore[valid-type]  # a value, not an annotation
    *(time.gmtime(0), time.struct_time((2026, 1, 2, 3, 4, 5, 6, 7, 1)), time.localtime(1e9), os.stat(__file__)),
    *(os.uname(), os.terminal_size((80, 24)), os.times_result((1.5, 2.0, 0.0, 0.0, 9.25)), os.statvfs("/")),
]
ERRORS: list[Any] = [
    *(ValueError(), ValueError("x", 1, [2]), KeyError("k"), p.Failed(3), p.FailedFile("f"), noted(p.Failed(4))),
    *(OSError(2, "gone", "a", None, "b"), FileNotFoundError(2, "gone"), OSError("text"), BlockingIOError(1, "a", 5)),
    *(UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad"), UnicodeEncodeError("a", "ż", 0, 1, "b")),
    *(UnicodeTranslateError("ż", 0, 1, "b"), StopIteration(5), SystemExit(3), SyntaxError("bad", ("f", 1, 2, "t"))),
    *(AttributeError("a", name="b", obj=[1]), ImportError("a", name="b", path="c"), NameError("a", name="b")),
    *(ExceptionGroup("g", [ValueError(1), ExceptionGroup("h", [p.Failed(1)])]), p.Group("g", (KeyError(1),))),
    *(BaseExceptionGroup("g", [KeyboardInterrupt()]), having(p.SlottedError("x"), detail=[5]), p.SlottedError("y")),
    *(p.ErrorWithFields(2, [3]), raised(KeyError("r")), KeyboardInterrupt(), TimeoutError("late")),
    having(OSError("a"), errno=5),
]
DECLARED: list[Any] = [p.Lazy(1), having(p.Lazy(1), size=2), p.Two(1, [2]), p.SlottedTwo(1, p.Word("a"))]
DECLARED += [
    p.WordWithSlots(1),
    p.WordOfSeed(1, 2),
    p.ErrorOfAttrs(1),
    p.OpenErrorOfAttrs(1),
    p.TableOfAttrs(),
    p.RowsOfAttrs(1),
]
VALUES: list[Any] = [*SUBCLASSES, *LIBRARIES, *MODELS, *STANDARD, *ERRORS, *DECLARED]

# Equal in content to one of another type, and to none of its own.
DIFFERENT: list[Any] = [
    *("a", p.Word("a"), p.BareWord("a"), Markup("a"), UserString("a"), p.Title("a"), having(p.Word("a"), of=1)),
    *(
        1,
        p.Number(1),
        1.0,
        p.Ratio(1),
        True,
        Decimal(1),
        p.Money(1),
        [1],
        p.Rows([1]),
        UserList([1]),
        (1,),
        p.Triple((1,)),
    ),
    *({"a": 1}, p.Table(a=1), UserDict(a=1), types.SimpleNamespace(a=1), types.MappingProxyType({"a": 1})),
    *(having(p.Table(a=1), note=1), ChainMap({"a": 1}), OrderedDict(a=1), p.Ordered(a=1), array.array("b", [1])),
    *(array.array("h", [1]), ValueError(1), KeyError(1), ValueError(2), noted(ValueError(1)), p.Failed(1), p.Failed(2)),
    *(
        OSError(1, "a"),
        OSError(1, "a", "f"),
        p.Box(1),
        p.Box[int](1),
        p.Box[str](1),
        p.Page[int](x=1),
        p.Page[str](x="1"),
    ),
    *(p.Page[float](x=1), {p.Word("a"): 1}, {1}, p.Bag({1}), frozenset({1}), p.FrozenBag({1}), b"a", p.Blob(b"a")),
    *(list[int], list[str], int | str, pydantic.HttpUrl("http://a"), pydantic.AnyUrl("http://a"), "http://a/"),
    *(pydantic_core.TzInfo(0), dt.UTC, pydantic_core.TzInfo(60), p.Span(1), dt.timedelta(1), p.Day(2026, 1, 1)),
    *(p.Lazy(1), having(p.Lazy(1), size=None), p.Usage.model_construct(n=1, of=None), p.Usage.model_construct(note="")),
]


def main() -> None:
    import sys

    from hitrate import MsgpackSerializer, stable_key

    serde = MsgpackSerializer()
    for line in sys.stdin:
        encoding, payload = line.split()
        value = serde.loads_typed((encoding, bytes.fromhex(payload)))
        again = serde.dumps_typed(value)
        print(again[0], again[1].hex(), stable_key(value))


if __name__ == "__main__":
    main()
