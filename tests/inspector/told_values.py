"""Values of libraries and of classes, and what is told of each."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Any, NamedTuple

import attrs
import dateutil.tz
import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytz
import uuid_utils
from langchain_core.messages import AIMessage


@dataclasses.dataclass
class Point:
    x: int
    label: str


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    label: str


class Model(pydantic.BaseModel):
    city: str
    days: list[int] = []
    token: pydantic.SecretStr = pydantic.SecretStr("hunter2")


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: int
    right: str


@attrs.define
class WithAttrs:
    x: int


class Struct(msgspec.Struct):
    x: int


FRAME = pd.DataFrame(
    {
        "city": ["Rome", "Oslo"],
        "when": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True).tz_convert("Europe/Rome"),
        "kind": pd.Categorical(["warm", "cold"]),
        "count": pd.array([1, None], "Int64"),
        "span": pd.to_timedelta([1, 2], unit="h"),
        "period": pd.period_range("2026-01", periods=2, freq="M"),
        "arrow": pd.array([1, None], "int16[pyarrow]"),
    }
)
TOLD: dict[str, tuple[Any, list[str]]] = {
    "matrix": (np.arange(12.0).reshape(3, 4), ["numpy.ndarray", "float64", "shape (3, 4)", "[4.0, 5.0, 6.0, 7.0]"]),
    "fortran": (np.asfortranarray(np.arange(6).reshape(2, 3)), ["int64", "shape (2, 3)", "[0, 1, 2]", "[3, 4, 5]"]),
    "large": (np.zeros((1000, 1000)), ["shape (1000, 1000)", "…"]),
    "single": (np.array([0.1, np.nan, np.inf], "f4"), ["float32", "[0.1, nan, inf]"]),
    "big-endian": (np.array([258], ">i2"), [">i2", "[258]"]),
    "texts": (np.array(["a", "bé"]), ["<U2", "'bé'"]),
    "flags": (np.array([True, False]), ["bool", "[True, False]"]),
    "moments": (
        np.array(["2026-01-02T03:04:05.000000006", "NaT"], "M8[ns]"),
        ["datetime64[ns]", "'2026-01-02T03:04:05.000000006'", "'NaT'"],
    ),
    "spans": (np.array([-1500], "m8[ms]"), ["timedelta64[ms]", "'-0:00:01.5'"]),
    "records": (np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]), ["{a: int32, b: float64}", "'b': 2.5"]),
    "objects": (np.array([1, "a", None], object), ["object", "[1, 'a', None]"]),
    "no axis": (np.array(5), ["shape ()", "5"]),
    "nothing": (np.zeros((0, 3)), ["shape (0, 3)", "[]"]),
    "scalar": (np.float32(0.1), ["numpy.float32", "0.1"]),
    "dtype": (np.dtype("M8[s]"), ["numpy.dtype", "datetime64[s]"]),
    "masked": (np.ma.MaskedArray([1, 2], mask=[False, True]), ["numpy.ma.MaskedArray", "[1, 2]", "[False, True]"]),
    "frame": (
        FRAME,
        [
            *("pandas.DataFrame", "2 rows x 7 columns", "city: ", "Europe/Rome]", "kind: category", "count: Int64"),
            *("'Rome'", "'2026-01-02T00:00:00+00:00'", "'cold'", "None", "'2:00:00'", "'2026-02'", "int16[pyarrow]"),
        ],
    ),
    "large frame": (pd.DataFrame(np.zeros((5000, 50))), ["5000 rows x 50 columns", "19: float64", "…"]),
    "levels": (
        pd.Series([1, 2], pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        ["pandas.Series", "2 elements", "('a', 1)"],
    ),
    "index": (pd.date_range("2026", periods=300), ["pandas.DatetimeIndex", "300 labels", "2026-01-01T00:00:00"]),
    "timestamp": (
        pd.Timestamp("2026-01-02 03:04:05.000000006", tz="Europe/Rome"),
        ["pandas.Timestamp", "Europe/Rome", "2026-01-02T02:04:05.000000006+00:00"],
    ),
    "timedelta": (pd.Timedelta("1D 2h"), ["pandas.Timedelta", "1 day, 2:00:00"]),
    "missing": (pd.NaT, ["pandas.NaT"]),
    "period": (pd.Period("2026-03", "M"), ["pandas.Period", "2026-03"]),
    "interval": (pd.Interval(1, 2), ["pandas.Interval", "(1, 2]"]),
    "extension array": (pd.array([1, None], "Int64"), ["pandas.array", "Int64", "[1, None]"]),
    "polars": (
        pl.DataFrame({"n": [1, None], "day": [dt.date(2026, 1, 2)] * 2, "at": [dt.datetime(2026, 1, 2, 5)] * 2}),
        [
            *("polars.DataFrame", "2 rows x 3 columns", "n: Int64", "day: Date", "at: Datetime(us)"),
            *("[1, '2026-01-02', '2026-01-02T05:00:00']", "None"),
        ],
    ),
    "polars series": (pl.Series("v", [1.5]), ["polars.Series", "Float64", "1 element", "'v'", "[1.5]"]),
    "zone of pytz": (
        pytz.timezone("Europe/Rome").localize(dt.datetime(2026, 1, 2)),
        ["datetime.datetime", "in Europe/Rome", "2026-01-02T00:00:00"],
    ),
    "zone of dateutil": (
        dt.datetime(2026, 1, 2, tzinfo=dateutil.tz.gettz("Europe/Rome")),
        ["datetime.datetime", "in Europe/Rome"],
    ),
    "uuid": (uuid_utils.UUID(int=5), ["uuid_utils.UUID", "00000000-0000-0000-0000-000000000005"]),
    "dataclass": (Point(1, "here"), ["told_values:Point", "'x': 1", "'label': 'here'"]),
    "slots": (Slotted(1, "here"), ["told_values:Slotted", "'x': 1", "'label': 'here'"]),
    "model": (Model(city="Rome"), ["told_values:Model", "'city': 'Rome'", "'days': []", "**********"]),
    "enum": (Colour.RED, ["told_values:Colour", "'RED'"]),
    "namedtuple": (Pair(1, "b"), ["told_values:Pair", "[1, 'b']"]),
    "attrs": (WithAttrs(1), ["told_values:WithAttrs", "'x': 1"]),
    "struct": (Struct(1), ["told_values:Struct", "'x': 1"]),
    "message": (AIMessage("hello"), ["langchain_core.messages.ai:AIMessage", "'content': 'hello'"]),
    "within": ({"points": [Point(1, "a")], "vector": np.zeros(3)}, ["told_values:Point", "shape (3,)", "'points'"]),
}
"""By name: a value, and texts that are in what is told of it."""
