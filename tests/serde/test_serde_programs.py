"""Values that programs really have come back as they were, and have a key of their own."""

from __future__ import annotations

import array
import os
import subprocess
import sys
import time
import types
from collections import deque
from pathlib import Path
from typing import Any

import httpx
import openai
import program_models as p
import pytest
from langchain_core.messages import AIMessage
from program_values import DIFFERENT, VALUES, having
from pydantic import BaseModel
from pydantic_core import TzInfo
from serde_equality import same

from hitrate import InMemoryCache, SqliteCache, stable_key
from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer, copier, is_immutable, references

serde = MsgpackSerializer()


def fresh(value: Any) -> Any:
    return serde.loads_typed(serde.dumps_typed(value))


def brief(value: Any) -> str:
    shown = sorted(map(ascii, value)) if isinstance(value, (set, frozenset)) else value
    return f"{type(value).__name__}-{ascii(shown)[:40]}"


@pytest.mark.parametrize("value", VALUES, ids=brief)
def test_a_value_comes_back_as_it_was_and_so_does_its_key(value: Any) -> None:
    for wrap in (lambda x: x, lambda x: [x], lambda x: {1: (x,)}, p.Box, lambda x: deque([("channel", x)])):
        back = fresh(wrap(value))
        assert same(wrap(value), back)
        assert stable_key(wrap(value)) == stable_key(back)


@pytest.mark.parametrize("value", VALUES, ids=brief)
def test_a_cache_gives_it_back_at_every_hit(value: Any, tmp_path: Path) -> None:
    key = (("v",), "k")
    for cache in (InMemoryCache[Any](on_error="raise"), SqliteCache[Any](path=tmp_path / "v.db", on_error="raise")):
        with cache:
            cache.set({key: ([value], None)})
            for _ in range(4):
                assert same(cache.get([key])[key], [value])


@pytest.mark.parametrize("value", VALUES, ids=brief)
def test_a_copy_is_as_the_value_was(value: Any) -> None:
    make = copier(fresh([value]))
    if make is not None:
        assert same(make(), [value])
        assert same(make(), [value])


def test_no_two_of_them_have_one_key() -> None:
    keys = [stable_key(value) for value in DIFFERENT]
    assert len({*keys}) == len(DIFFERENT)
    assert [stable_key(fresh(value)) for value in DIFFERENT] == keys


def test_another_process_makes_the_same_of_them() -> None:
    stored = [serde.dumps_typed(value) for value in VALUES]
    lines = "".join(f"{encoding} {payload.hex() or '-'}\n" for encoding, payload in stored)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "program_values.py")],
        input=lines,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    for line, (encoding, _), value in zip(done.stdout.splitlines(), stored, VALUES, strict=True):
        kind, again, key = line.split()
        assert kind == encoding
        assert key == stable_key(value)
        assert same(serde.loads_typed((kind, bytes.fromhex(again))), value)


def read_elsewhere(program: str, *values: Any) -> list[str]:
    """Return the lines that a program prints that is given the payloads of values."""
    command = [sys.executable, "-c", program, *(serde.dumps_typed(value)[1].hex() for value in values)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


# A process for each value, so that none was made ready by the one before.
READER = """
import os, sys
import program_models as p
from hitrate import MsgpackSerializer
for payload in sys.argv[1:]:
    if os.fork():
        assert os.wait()[1] == 0, payload
        continue
    value = MsgpackSerializer().loads_typed(("msgpack", bytes.fromhex(payload)))
    assert type(value).__module__ == "program_models", type(value)
    print(repr(value), flush=True)
    os._exit(0)
"""
UNUSED = [
    *(p.Usage(n=1), p.Usage(n=1, of=p.Later()), p.Page[list[int]](x=[1]), p.Page[p.Page[int]](x=p.Page[int](x=1))),
    *(p.Page[p.T](x=1), p.Sides[int, p.T](left=1, right="r"), p.Page[p.Mood](x=p.Mood.CALM)),
    *(p.Reply[p.T](parts=[p.Later()], parsed=1), p.Page[p.Point](x=p.Point(1))),  # type: ignore[valid-type]
]


def test_a_process_that_has_not_used_the_class_yet_restores_it() -> None:
    assert all(type(value).__pydantic_complete__ for value in UNUSED)
    assert read_elsewhere(READER, *UNUSED) == [repr(value) for value in UNUSED]


PARSED_READER = """
import sys
from openai.types.chat import ParsedChatCompletion
import program_models
from hitrate import MsgpackSerializer
value = MsgpackSerializer().loads_typed(("msgpack", bytes.fromhex(sys.argv[1])))
assert isinstance(value, ParsedChatCompletion)
print(type(value.choices[0].message.parsed).__name__, repr(value))
"""


def test_what_openai_parsed_is_restored_where_only_its_class_was_imported() -> None:
    message = {"role": "assistant", "content": '{"usage": null}'}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    reply = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=reply))
    client = openai.OpenAI(api_key="none", http_client=httpx.Client(transport=transport))
    value = client.chat.completions.parse(model="m", messages=[], response_format=p.Later)
    assert same(fresh(value), value)
    assert stable_key(fresh(value)) == stable_key(value)
    assert read_elsewhere(PARSED_READER, value) == [f"Later {value!r}"]


def test_a_model_specialised_in_two_steps_is_no_other_that_looks_like_it() -> None:
    once = p.Sides[int, str](left=1, right="r")
    twice = p.Sides[int, p.U][str](left=1, right="r")  # type: ignore[valid-type, misc]
    assert type(once) is not type(twice)
    assert type(fresh(once)) is type(once)
    with pytest.raises(SerializationError, match="another class of the same generic model"):
        serde.dumps_typed(twice)


def test_a_model_is_one_and_the_same_before_and_after_it_is_built() -> None:
    def late() -> Any:
        made = types.ModuleType("late_models")
        sys.modules["late_models"] = made
        exec(
            "from __future__ import annotations\nfrom pydantic import BaseModel\n"
            "class Late(BaseModel):\n    n: int\n    of: Other | None = None\n",
            made.__dict__,
        )
        return made

    try:
        before = late()
        stored = serde.dumps_typed(before.Late.model_construct(n=1))
        assert not before.Late.__pydantic_complete__
        key = stable_key(before.Late.model_construct(n=1))
        module = late()
        module.Other = type("Other", (BaseModel,), {"__module__": "late_models"})
        module.Late.model_rebuild()
        assert module.Late.__pydantic_complete__
        assert type(serde.loads_typed(stored)) is module.Late
        assert MsgpackSerializer().dumps_typed(module.Late(n=1)) == stored
        assert stable_key(module.Late(n=1)) == key
    finally:
        del sys.modules["late_models"]


REFUSED_READER = """
import sys
import program_models as p
from hitrate import MsgpackSerializer
from hitrate.errors import DecodeError
stored = ("msgpack", bytes.fromhex(sys.argv[1]))
try:
    MsgpackSerializer().loads_typed(stored)
except DecodeError:
    assert p.hooked == []
made = p.Hooked[int](x=1)
assert MsgpackSerializer().loads_typed(stored) == made
print(len(p.hooked))
"""


def test_a_generic_model_with_hooks_is_restored_only_once_the_program_has_made_it() -> None:
    value = p.Hooked[int](x=1)
    assert type(fresh(value)) is type(value)
    assert read_elsewhere(REFUSED_READER, value) == ["1"]


def test_no_more_than_some_generic_models_are_made_to_restore_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_made", [])
    template = serde.dumps_typed(p.Page[list[int]](x=[]))[1]
    refused = 0
    started = time.process_time()
    for i in range(2 * references._MOST_MADE):
        payload = template.replace(b'["alias","builtins:list","builtins:int"]', b'["literal",%d]' % (10**27 + i))
        assert len(payload) == len(template)
        try:
            serde.loads_typed(("msgpack", payload))
        except DecodeError:
            refused += 1
    assert refused >= references._MOST_MADE
    assert time.process_time() - started < 20


def guarded() -> list[Any]:
    made: list[Any] = [str.__new__(p.Guarded, "a"), list.__new__(p.GuardedList), dict.__new__(p.GuardedDict)]
    made += [set.__new__(p.GuardedSet), deque.__new__(p.GuardedQueue), int.__new__(p.GuardedInt, 5)]
    made += [p.OrderedDict.__new__(p.GuardedOrdered), ValueError.__new__(p.GuardedError, "x")]
    list.append(made[1], 1)
    dict.update(made[2], a=1)
    set.add(made[3], 1)
    deque.append(made[4], 1)
    p.OrderedDict.__setitem__(made[6], "b", 1)
    return made


def test_restoring_runs_no_code_of_a_subclass() -> None:
    for value in guarded():
        back = fresh([value])[0]
        assert type(back) is type(value)
    assert list.copy(fresh(guarded()[1])) == [1]
    assert [*dict.items(fresh(guarded()[2]))] == [("a", 1)]
    assert int.__add__(fresh(guarded()[5]), 1) == 6


def test_a_class_with_a_finaliser_is_refused() -> None:
    with pytest.raises(SerializationError, match="__del__"):
        serde.dumps_typed([p.Finalised("a")])


def test_what_is_of_the_raise_is_left_out() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise p.Failed(3) from inner
    except p.Failed as caught:
        back = fresh(caught)
    assert (back.code, back.args) == (3, ("failed with 3",))
    assert (back.__traceback__, back.__cause__, back.__context__) == (None, None, None)


@pytest.mark.parametrize("value", [AIMessage("x").text, p.BareWord("a"), p.Number.__new__(p.Number, 1), TzInfo(0)])
def test_only_what_cannot_be_changed_is_shared(value: Any) -> None:
    changeable = hasattr(value, "__dict__")
    if type(value) is not TzInfo:
        assert is_immutable(value) is not changeable
    assert not is_immutable(having(p.Word("a"), of=[]))
    assert not is_immutable(p.SlottedWord("a"))
    assert not is_immutable((p.Word("a"),))
    cache = InMemoryCache[Any]()
    word = having(p.Word("a"), of=[])
    cache.set({(("v",), "k"): (word, None)})
    for _ in range(4):
        got = cache.get([(("v",), "k")])[(("v",), "k")]
        assert (got, got.of) == ("a", [])
        got.of.append(1)


TEXT_ARRAY = array.array("w" if sys.version_info >= (3, 13) else "u", "a")


@pytest.mark.parametrize("value", [memoryview(b"x"), TEXT_ARRAY, vars(p.Word)], ids=lambda each: type(each))
def test_what_has_no_exact_way_is_refused(value: Any) -> None:
    with pytest.raises(SerializationError, match="cannot store"):
        serde.dumps_typed([value])
    with pytest.raises(TypeError, match="cannot be part of a key"):
        stable_key(value)
