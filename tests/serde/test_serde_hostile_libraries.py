"""Altered payloads of other libraries' types: refused, or a whole value that can be shown, compared and measured."""

from __future__ import annotations

import random
import time
import warnings
from typing import Any

import frame_values as pandas_values
import polars_values
import pytest
import test_serde_attrs_msgspec as classes
import test_serde_headers_and_deltas as small
import test_serde_masked as masked
import test_serde_zones as zones
from mutations import mutated, packed, parts_of
from ormsgpack import Ext, packb

from hitrate.errors import DecodeError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()
GROUPS: dict[str, list[Any]] = {
    "pandas scalars": pandas_values.SCALARS,
    "pandas dtypes": pandas_values.DTYPES,
    "pandas arrays": pandas_values.ARRAYS,
    "pandas indexes": pandas_values.INDEXES,
    "pandas series": pandas_values.SERIES,
    "pandas frames": pandas_values.FRAMES,
    "polars": [*polars_values.SERIES, *polars_values.FRAMES],
    "masked": [*masked.ARRAYS, *masked.DTYPES],
    "zones": [*zones.PYTZ_ZONES, *zones.DATEUTIL_ZONES, *(zones.dt.datetime(2024, 1, 1, tzinfo=zones.ROME),)],
    "classes": classes.VALUES,
    "headers, relative times, secrets": small.VALUES,
}


def use(value: Any) -> None:
    """Do with a restored value what any program may do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        repr(value)
        assert (value == value) is not None
        if hasattr(value, "__len__") and getattr(value, "shape", None) != ():
            len(value)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("group", GROUPS)
def test_an_altered_payload_is_refused_or_a_whole_value(group: str, seed: int) -> None:
    rng = random.Random(f"{group} {seed}")
    payloads = [serde.dumps_typed([value])[1] for value in GROUPS[group]]
    refused = 0
    for _ in range(500):
        payload = mutated(rng.choice(payloads), rng)
        started = time.process_time()
        try:
            value = serde.loads_typed(("msgpack", payload))
        except DecodeError:
            refused += 1
            continue
        use(value)
        for each in value if type(value) is list else []:
            use(each)
        assert time.process_time() - started < 5
    assert refused > 50


@pytest.mark.parametrize("group", GROUPS)
def test_a_payload_that_lacks_any_part_is_refused_or_a_whole_value(group: str) -> None:
    for value in GROUPS[group][:25]:
        payload = serde.dumps_typed(value)[1]
        for cut in range(0, len(payload), max(1, len(payload) // 20)):
            with pytest.raises(DecodeError):
                serde.loads_typed(("msgpack", payload[:cut]))
        for less in parts_of(payload):
            try:
                back = serde.loads_typed(("msgpack", packed(less)))
            except DecodeError:
                continue
            use(back)


BUFFER = {"kind": "buffer", "dtype": "<i8", "content": b"\0" * 16}
RANGE = {"kind": "range", "range": [0, 10**12, 1], "name": None}
BOMBS: list[tuple[int, Any]] = [
    (91, [RANGE]),
    (91, [{**RANGE, "range": [0, 2**62, 1]}]),
    (91, [{**RANGE, "range": [0, 1, 0]}]),
    (92, ["index", RANGE, "name", None, "attrs", {}, "flags", True, "values", BUFFER]),
    (93, ["index", RANGE, "columns", None, "attrs", {}, "flags", True]),
    (94, [{"kind": "periods", "frequency": "1" * 30 + "D", "ordinals": BUFFER}]),
    (94, [{"kind": "buffer", "dtype": "<U1000000000", "content": b""}]),
    (94, [{"kind": "buffer", "dtype": "|O", "content": b"\0" * 8}]),
    (96, b"999999999999999999999D"),
    (96, b"os.system"),
    (97, ["a", {"dtype": ["array", "Int64", 2**30], "items": [None] * 100}]),
    (97, ["a", {"dtype": ["list", ["array", "Int64", 2**30]], "items": [[None]] * 100}]),
    (97, ["a", {"dtype": ["struct", ["x"], [["array", "Int64", 2**30]]], "items": [None] * 100}]),
    (97, ["a", {"dtype": ["array", ["array", "Int64", 2**15], 2**15], "items": [[None] * 2**15]}]),
    (97, ["a", {"dtype": ["enum", ["a", "a"]], "items": ["a"]}]),
    (97, ["a", {"dtype": ["decimal", 99, 99], "items": []}]),
    (97, ["a", {"dtype": ["struct", [], []], "items": []}]),
    (98, ["height", 10**15]),
    (98, ["height", -1]),
    (98, ["height", 2, "a", {"dtype": "Int64", "content": BUFFER}, "a", {"dtype": "Int64", "content": BUFFER}]),
    (83, [None, None, None, False]),
]
nested: Any = "Int8"
for _ in range(40):
    nested = ["list", nested]
BOMBS.append((97, ["a", {"dtype": nested, "items": []}]))


@pytest.mark.parametrize(("code", "state"), BOMBS, ids=range(len(BOMBS)))
def test_a_few_bytes_cannot_ask_for_much(code: int, state: Any) -> None:
    payload = packb(Ext(code, state if type(state) is bytes else packb(state)))
    started = time.process_time()
    with pytest.raises(DecodeError):
        serde.loads_typed(("msgpack", payload))
    assert time.process_time() - started < 2
