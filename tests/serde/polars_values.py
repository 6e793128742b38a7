"""Series and frames of polars, of every kind that is kept."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

_MOMENT = dt.datetime(2024, 10, 27, 1, 30)
_NUMBERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64)
_HALVES = [*filter(None, [getattr(pl, "Float16", None)])]

SERIES: list[Any] = [
    *(pl.Series("n", [1, None, 3], dtype=each) for each in _NUMBERS),
    *(pl.Series("n", [], dtype=each) for each in _NUMBERS),
    *(pl.Series("h", [1.5, None, float("inf")], dtype=each) for each in _HALVES),
    *(pl.Series([1.5, float("nan"), -0.0, None]), pl.Series("b", [True, None, False]), pl.Series([True])),
    *(pl.Series([2**100, None], dtype=pl.Int128), pl.Series("żółć", ["a", None, "", "\0é"]), pl.Series([b"a", None])),
    *(pl.Series([None, None]), pl.Series([], dtype=pl.Null), pl.Series([dt.date(2024, 1, 1), None])),
    *(pl.Series([dt.time(1, 2, 3, 4), None]), pl.Series([dt.timedelta(days=-1, microseconds=3), None])),
    *(pl.Series([_MOMENT, None], dtype=pl.Datetime(unit)) for unit in ("ms", "us", "ns")),
    *(pl.Series([_MOMENT, None]).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Rome"),),
    *(pl.Series([1, None], dtype=pl.Duration(unit)) for unit in ("ms", "us", "ns")),
    *(
        pl.Series(["b", "a", None], dtype=pl.Enum(["a", "b", "c"])),
        pl.Series(["b", "a", None, "b"], dtype=pl.Categorical),
    ),
    *(pl.Series([Decimal("1.10"), None]), pl.Series([Decimal("-3")], dtype=pl.Decimal(10, 3))),
    *(pl.Series([[1, None], None, []]), pl.Series([[_MOMENT], None]), pl.Series([[["a"], []], []])),
    *(pl.Series([{"a": 1, "b": [dt.date(2024, 1, 1)]}, None]), pl.Series([{"a": None}, {"a": 1.5}])),
    *(pl.Series([[1, 2], [3, None]], dtype=pl.Array(pl.Int64, 2)), pl.Series([], dtype=pl.Array(pl.Int8, (2, 3)))),
    *(
        pl.Series([[[1, 2], [3, 4]]], dtype=pl.Array(pl.Int64, (2, 2))),
        pl.Series([], dtype=pl.List(pl.Struct({"x": pl.Time}))),
    ),
    *(pl.Series([["a"], None], dtype=pl.List(pl.Enum(["a", "b"]))), pl.Series([["a"]], dtype=pl.List(pl.Categorical))),
    *(pl.Series([[Decimal("1.1")], None], dtype=pl.List(pl.Decimal(20, 2))), pl.Series([{"d": Decimal("1.1")}])),
    pl.concat([pl.Series("c", [1, 2]), pl.Series("c", [3])], rechunk=False),
]

FRAMES: list[Any] = [
    *(pl.DataFrame(), pl.DataFrame({"a": []}), pl.DataFrame({"a": [1]}).clear(), pl.DataFrame({"": [1], "b": ["x"]})),
    pl.DataFrame([each.alias(str(i)) for i, each in enumerate(SERIES) if len(each) == 2]),
    pl.concat([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})], rechunk=False),
]
