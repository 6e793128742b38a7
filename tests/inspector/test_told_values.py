"""What the inspector and ``hitrate show`` tell of values that only a program and its libraries can restore."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from ormsgpack import Ext, packb
from told_values import TOLD

from hitrate import MsgpackSerializer, SqliteCache
from hitrate.cli.values import decoded, plainly
from hitrate.inspect.preview import preview
from hitrate.serde.outlines import LIBRARIES
from hitrate.serde.registry import _CORE, DECODERS, discover


def told(value: Any) -> str:
    shown, exact = decoded(*MsgpackSerializer().dumps_typed(value))
    assert not exact
    json.dumps(plainly(shown), allow_nan=False)
    text, whole = preview(shown)
    assert whole
    return text


@pytest.mark.parametrize("name", TOLD)
def test_a_value_is_told_by_its_type_and_something_of_it(name: str) -> None:
    value, parts = TOLD[name]
    text = told(value)
    for part in parts:
        assert part in text
    assert "extension" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(10_000_000, "u1"),
        np.zeros((2,) * 20),
        np.array(["x" * 100_000] * 30),
        pd.DataFrame({"text": ["x" * 100_000] * 50}),
        pd.DataFrame(np.zeros((3, 3000))),
        pl.DataFrame({"list": [[*range(10_000)]] * 20}),
        pd.Series([b"\x01" * 100_000] * 50),
    ],
    ids=["long", "many axes", "long texts", "texts", "wide", "lists", "bytes"],
)
def test_however_much_is_stored_little_is_told(value: Any) -> None:
    assert len(told(value)) < 20_000


def test_every_extension_of_a_library_has_an_outline() -> None:
    discover()
    core = {f"hitrate.serde.{module}" for module in _CORE}
    of_libraries = {code for code, decode in DECODERS.items() if getattr(decode, "func", decode).__module__ not in core}
    assert of_libraries <= LIBRARIES
    assert {80, 86, 93, 98} <= of_libraries


def test_the_command_imports_no_library_for_it(tmp_path: Path) -> None:
    with SqliteCache(tmp_path / "c.db") as cache:
        cache.set({(("a",), name): (value, None) for name, (value, _) in TOLD.items()})
    program = (
        "import sys\n"
        "from hitrate.cli.app import run\n"
        f"for name in {[*TOLD]!r}:\n"
        f"    assert run(['show', 'sqlite:///{tmp_path}/c.db', 'a', name]) == 0\n"
        "    assert run(['show', '--json', 'sqlite:///" + str(tmp_path) + "/c.db', 'a', name]) == 0\n"
        "libraries = {'numpy', 'pandas', 'polars', 'pydantic', 'attr', 'msgspec', 'pytz', 'dateutil', 'told_values'}\n"
        "sys.exit(repr(libraries & sys.modules.keys()) if libraries & sys.modules.keys() else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    for _, parts in TOLD.values():
        assert parts[0] in done.stdout


def nested(code: int, payload: bytes, times: int) -> bytes:
    """A document that nests in an extension, again and again."""
    for _ in range(times):
        payload = packb([Ext(code, payload)])
    return payload


@pytest.mark.parametrize("code", [4, 5, 2, 40, 64, 80, 93])
def test_what_is_stored_to_take_long_does_not(code: int) -> None:
    # Each document cannot be what it says, and is read in more than one way: 2 ** 16 times if each read what is in it.
    payload = nested(code, packb([{"a": 1}] * 20_000), 15)
    shown, exact = decoded("msgpack", payload)
    assert (exact, len(preview(shown)[0]) <= 20_000) == (False, True)


@pytest.mark.parametrize("code", sorted(LIBRARIES))
@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x00" * 20, packb([]), packb([1] * 9), packb(["<f8", [10**15], b"", False]), packb({"kind": "range"})),
        *(
            packb([{"kind": "range", "range": [0, 1 << 62, 1], "name": None}]),
            packb([[["struct"] * 50]]),
            packb([None]),
        ),
    ],
    ids=range(9),
)
def test_what_is_no_value_of_a_library_is_told_all_the_same(code: int, data: bytes) -> None:
    shown, exact = decoded("msgpack", packb([Ext(code, data)]))
    assert not exact
    assert len(preview(shown)[0]) < 1000
    json.dumps(plainly(shown), allow_nan=False)
