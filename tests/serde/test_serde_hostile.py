"""Stored bytes are hostile: whatever they are, they give a value or a DecodeError, and run and import nothing."""

from __future__ import annotations

import os
import pickle
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
import serde_models as m
from hypothesis import given, settings
from hypothesis import strategies as st
from ormsgpack import Ext, packb
from test_serde_exactness import ALL

from hitrate.errors import DecodeError
from hitrate.serde import MsgpackSerializer
from hitrate.serde.registry import DECODERS

serde = MsgpackSerializer()
serde.loads_typed(serde.dumps_typed(ALL))
CODES = sorted({*DECODERS, 1})


def loads_or_refuses(encoding: str, payload: bytes) -> Any:
    """Restore a payload; only a DecodeError may come of it."""
    try:
        return serde.loads_typed((encoding, payload))
    except DecodeError:
        return None


def ext(code: int, state: Any) -> bytes:
    return packb(Ext(code, state if type(state) is bytes else packb(state)))


STATES: list[Any] = [
    *(None, True, 0, -1, 2**63, 1.5, "", "a", b"", [], {}, [None], [[]], [[], []], {"a": 1}, [1, 2, 3], [0, 0, 0]),
    *(
        ["a", "b"],
        ["a"] * 7,
        [None] * 3,
        [None] * 4,
        [None] * 5,
        [None] * 6,
        [{}, {}],
        [1, 1, 1, 1],
        ["<f8", [2], b"", 0],
    ),
    *(["<f8", [2**62, 2**62], b"", False], ["|S1000000000", [0], b"", False], ["O", [1], b"12345678", False]),
    *(
        ["<f8", [-1], b"", False],
        ["<f8", [0] * 65, b"", False],
        ["f8,f8", [1], b"x" * 16, False],
        [None, [10**9], [], 0],
    ),
    *([None, [0, 2**62], [], False], [["struct", ["a"], ["|O"], [0], [None], 8, False], [1], b"x" * 8, False]),
    *([["sub", "<f8", [3]], [1], b"x" * 24, False], ["|V0", [10**12], b"", False], ["|V0", [2**62] * 3, b"", False]),
    *(
        [["struct", ["a", "b"], ["<f8", "<f8"], [0, 2**40], [None, None], 2**41, False], [0], b"", False],
        ["|O", b"x" * 8],
    ),
    *(
        [["struct", ["a"], [["sub", "<i4", [2**31]]], [0], [None], 4, 0], [1], b"", 0],
        ["<U0", b""],
        ["<M8[zz]", b"x" * 8],
    ),
    *(["(a+)+$", 0], ["(", 0], ["a", 128], ["a", -1], ["a", 2**40], [1, 2], ["(?i", 0], ["a{99999999999}", 0]),
    *(["(" * 5000 + ")" * 5000, 0], [b"a", 32], ["a", 4], [1, 0], [1, -5], ["x", 1], [2**64 - 1, 1], [0, 0, 1]),
    *(["os:system#0"], ["os:system#0", "id"], ["builtins:eval#0", "1"], ["builtins:object#0", {}], [":#"], ["a"], [1]),
    *(["sys:modules#"], ["builtins:int#", 1], ["serde_models:Armed#", {}], [["x"]], [{}], [b"os:system#"]),
    *(
        b"\xff" * 8,
        b"\xc1" + b"\xff" * 8,
        b"\xc1",
        b"\xc1" + b"\0" * 7 + b"\1\x92\1\2",
        b"\0" * 17,
        b"\1" * 17,
        b"\x05" * 9,
    ),
    *(b"1e999999999", b"1E+999999999999999999", b"NaN", b"sNaN", b" 1", b"1_0", b"\xd9\xa1", b"9" * 5000, b"Infinity"),
    *(b"../../etc/passwd", b"/etc/passwd", b"..", b"posix/../../x", b"Europe/Berlin\0", b"a" * 5000, b"Nowhere/Land"),
    *(
        b"\x02C:\0",
        b"\x00a",
        b"\x09a",
        b"\x00999.1.1.1",
        b"\x011.2.3.4/99",
        b"\x00\x80",
        b"\x80\x80",
        b"\x00\xed\xa0\x80",
    ),
]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: b"\x91" + x, lambda x: b"\x92\x01" + x])
def test_no_content_of_an_extension_gives_anything_but_a_value_or_a_decode_error(code: int, wrap: Any) -> None:
    for state in STATES:
        payload = wrap(ext(code, state))
        loads_or_refuses("msgpack", payload)
        loads_or_refuses("writes", payload)
        if type(state) is not bytes:
            loads_or_refuses("msgpack", wrap(ext(code, [Ext(inner, packb(state)) for inner in CODES])))
            for prefix in (b"\0", b"\3", b"\xff", b"\xc1" + b"\0" * 8):
                loads_or_refuses("msgpack", wrap(ext(code, prefix + packb(state))))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CODES), st.binary(max_size=40), st.sampled_from(["msgpack", "writes"]))
def test_random_content_gives_a_value_or_a_decode_error(code: int, content: bytes, encoding: str) -> None:
    loads_or_refuses(encoding, ext(code, content))
    loads_or_refuses(encoding, content)


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers(-5, 300) | st.text(max_size=3) | st.binary(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(max_size=2), inner, max_size=2)
            | st.builds(lambda code, state: Ext(code, packb(state)), st.sampled_from(CODES), inner)
        ),
        max_leaves=8,
    )
)
def test_random_documents_give_a_value_or_a_decode_error(state: Any) -> None:
    loads_or_refuses("msgpack", packb(state))
    loads_or_refuses("writes", packb(state))


@pytest.mark.parametrize("seed", range(4))
def test_damage_gives_a_value_or_a_decode_error(seed: int) -> None:
    rng = random.Random(seed)
    payloads = [serde.dumps_typed([value])[1] for value in ALL]
    for payload in payloads:
        if len(payload) > 5000:
            continue
        for _ in range(12):
            damaged = bytearray(payload)
            for _ in range(rng.choice([1, 1, 1, 4])):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            loads_or_refuses("msgpack", bytes(damaged))
            loads_or_refuses("writes", bytes(damaged))
            loads_or_refuses("msgpack", payload[: rng.randrange(len(payload))])


@pytest.mark.parametrize("encoding", ["pickle", "json", "bytearray", "", "zstd+msgpack", "MSGPACK", "null", "nonsense"])
def test_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(DecodeError):
        serde.loads_typed((encoding, b"\x01"))


class Bomb:
    def __reduce__(self) -> Any:
        return os.abort, ()


def test_a_pickle_is_never_loaded() -> None:
    payload = pickle.dumps(Bomb())
    for encoding in ("pickle", "msgpack", "writes", "bytes", "null"):
        loads_or_refuses(encoding, payload)


def test_nothing_is_imported_because_stored_data_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "canary_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    for ref in ("canary_module:Bird#0", "canary_module.deep:Bird#0", "antigravity:x#0", "this:x#0", "tkinter:Tk#0"):
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", ext(1, [ref, {}])))
    assert "canary_module" not in sys.modules
    assert {"antigravity", "this", "tkinter"}.isdisjoint(set(sys.modules) - before)


def test_nothing_is_called_because_stored_data_names_it() -> None:
    m.armed.append(True)
    try:
        for cls in ("Armed", "Tripwire", "CodeRan", "Outer", "Outer.Inner", "armed", "CodeRan.__init__", "__name__"):
            for state in ([], [{}], [{}, {}], [[], None, None, {}], ["a"], [1]):
                loads_or_refuses("msgpack", ext(1, [f"serde_models:{cls}#0", *state]))
    finally:
        m.armed.clear()


def hostile_depth(levels: int, native: int, opener: bytes = b"\x91") -> bytes:
    document = b"\x01"
    for _ in range(levels):
        content = opener * native + document
        document = b"\xc9" + len(content).to_bytes(4, "big") + b"\x02" + content
    return document


@pytest.mark.parametrize("opener", [b"\x91", b"\x92\x01", b"\x81\xa1a", b"\xdc\x00\x01", b"\x92\xa5\xc4\x85hej"])
@pytest.mark.parametrize(("levels", "native"), [(1, 5000), (3, 1000), (50, 1000), (400, 1), (60, 60), (5000, 1)])
def test_hostile_nesting_is_refused_within_the_stack_of_a_thread(levels: int, native: int, opener: bytes) -> None:
    payload = hostile_depth(levels, native, opener)
    outcomes: list[Any] = []
    thread = threading.Thread(target=lambda: outcomes.append(loads_or_refuses("msgpack", payload)))
    thread.start()
    thread.join()
    assert len(outcomes) == 1


def test_nesting_is_refused_however_deep_the_caller_already_is() -> None:
    payload = hostile_depth(60, 1)

    def deeper(levels: int) -> Any:
        return deeper(levels - 1) if levels else loads_or_refuses("msgpack", payload)

    for levels in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit() - 100, 10):
        deeper(levels)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"),
        *(b"\xc9\xff\xff\xff\xff\x02", ext(80, ["<f8", [2**40], b"", False]), ext(80, [None, [2**40], [], False])),
        *(ext(23, b"1E+999999999999999999"), ext(6, b"\xc1\x7f" + b"\xff" * 7 + b"\x90"), ext(23, b"9" * 100_000)),
    ],
    ids=lambda payload: payload[:12].hex(),
)
def test_a_few_bytes_cannot_ask_for_much_memory_or_time(payload: bytes) -> None:
    started = time.process_time()
    loads_or_refuses("msgpack", payload)
    assert time.process_time() - started < 1


def test_a_giant_integer_and_fraction_take_no_time() -> None:
    number = Ext(20, b"\x7f" + b"\xff" * 1_000_000)
    started = time.process_time()
    loads_or_refuses("msgpack", packb([number, Ext(24, packb([number, number]))]))
    assert time.process_time() - started < 1


def test_a_dict_or_set_whose_keys_meet_is_refused() -> None:
    for payload in (ext(3, [1, "a", 1, "b"]), ext(4, [1, 1]), ext(5, [1, 1.0]), ext(3, [1]), ext(4, [[]])):
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", payload))


def test_the_reason_is_told() -> None:
    with pytest.raises(DecodeError, match="no imported module has the class 'gone:Thing'"):
        serde.loads_typed(("msgpack", packb([Ext(2, packb([Ext(1, packb(["gone:Thing#0"]))]))])))
    with pytest.raises(DecodeError, match="unexpected end"):
        serde.loads_typed(("msgpack", b""))
    assert ormsgpack.unpackb(b"\x01") == 1
