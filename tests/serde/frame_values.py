"""Frames, series, indexes and scalars of pandas, of every kind that is kept."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytz

ROME = ZoneInfo("Europe/Rome")
DAYS = pd.date_range("2024-03-30", periods=4, tz=ROME)

SCALARS: list[Any] = [
    *(
        pd.NaT,
        pd.NA,
        pd.Timestamp("2024-01-01"),
        pd.Timestamp("2024-01-01 01:02:03.123456789"),
        pd.Timestamp(5, unit="s"),
    ),
    *(pd.Timestamp("2024-10-27 04:30", tz=ROME), pd.Timestamp("2024-10-27 01:30", tz="UTC").tz_convert(ROME)),
    *(pd.Timestamp(2024, 6, 1, fold=1), pd.Timestamp(2024, 6, 1, fold=1, nanosecond=7, tz=ROME)),
    *(pd.Timestamp("2024-06-01", tz=pytz.timezone("Europe/Rome")), pd.Timestamp("2024-06-01", tz=dt.UTC)),
    *(
        pd.Timestamp("2024-06-01", tz=dt.timezone(dt.timedelta(hours=2))),
        pd.Timestamp(2024, 10, 27, 2, 30, fold=1, tzinfo=ROME),
    ),
    *(pd.Timestamp(np.datetime64(2**40, "s")), pd.Timestamp.min, pd.Timestamp.max),
    *(pd.Timestamp("2024-06-01", tz=ROME).as_unit(unit) for unit in ("s", "ms", "us", "ns")),
    *(pd.Timedelta(1), pd.Timedelta(days=-3), pd.Timedelta(np.timedelta64(5, "s")), pd.Timedelta.max),
    *(pd.Period("2024-03", "M"), pd.Period("2024", "Y"), pd.Period("2024-01-01 05", "h"), pd.Period("2024-01-01", "W")),
    *(pd.Period("2024-01-01", "2D"), pd.Period("2024Q1", "Q-NOV")),
    *(
        pd.Interval(1, 2),
        pd.Interval(1.5, 2.5, "both"),
        pd.Interval(pd.Timestamp("2024"), pd.Timestamp("2025"), "neither"),
    ),
    *(pd.offsets.Day(2), pd.offsets.MonthEnd(), pd.offsets.BDay(3), pd.offsets.Week(weekday=2), pd.offsets.Hour(-1)),
]

DTYPES: list[Any] = [
    *(pd.CategoricalDtype(), pd.CategoricalDtype(ordered=True), pd.CategoricalDtype(["b", "a"])),
    *(pd.CategoricalDtype([3, 1], ordered=True), pd.CategoricalDtype(DAYS), pd.PeriodDtype("M"), pd.PeriodDtype("2D")),
    *(pd.DatetimeTZDtype("ns", "UTC"), pd.DatetimeTZDtype("us", ROME), pd.IntervalDtype("datetime64[ns]", "both")),
    *(pd.IntervalDtype("int64", "left"), pd.StringDtype("python"), pd.StringDtype("pyarrow")),
    *(pd.StringDtype(na_value=np.nan), pd.Int8Dtype(), pd.UInt64Dtype(), pd.Float32Dtype(), pd.BooleanDtype()),
    *(pd.ArrowDtype(kind) for kind in (pa.int64(), pa.bool_(), pa.large_binary(), pa.timestamp("us", "Europe/Rome"))),
]

ARRAYS: list[Any] = [
    *(pd.array(DAYS.as_unit(unit)) for unit in ("s", "ms", "us", "ns")),
    *(pd.array([1, None], dtype="Int64"), pd.array([1, 2], dtype="UInt8"), pd.array([1.5, None], dtype="Float32")),
    *(
        pd.array([True, None], dtype="boolean"),
        pd.array(["a", None], dtype="string"),
        pd.array(["a", None], dtype="str"),
    ),
    *(
        pd.array(["a", pd.NA], dtype=pd.StringDtype("python")),
        pd.array(["é", "\0", ""], dtype=pd.StringDtype("pyarrow")),
    ),
    *(pd.array(["a", None], dtype=pd.StringDtype("python", na_value=np.nan)), pd.array([], dtype="str")),
    *(pd.Categorical(["b", "a", None, "b"]), pd.Categorical([1, 2], categories=[3, 2, 1], ordered=True)),
    *(pd.Categorical(pd.cut([1, 5, 9], 3)), pd.Categorical([]), pd.Categorical([pd.Timestamp("2024", tz=ROME)])),
    *(pd.array(pd.period_range("2024", periods=3, freq="M")), pd.array(pd.interval_range(0, 3))),
    *(pd.array(DAYS), pd.array(pd.to_datetime(["2024", None])), pd.array(pd.to_timedelta([1, None]))),
    *(pd.arrays.IntervalArray.from_breaks(DAYS), pd.array(pd.interval_range(0.0, 1.0, 2, closed="left"))),
    *(pd.array([1, None, 3], dtype="int64[pyarrow]"), pd.array([1.5, None, float("nan")], dtype="double[pyarrow]")),
    *(pd.array(["a", None], dtype="string[pyarrow]"), pd.array([b"a", None], dtype="binary[pyarrow]")),
    *(
        pd.array([True, None], dtype="bool[pyarrow]"),
        pd.array([1, None], dtype="timestamp[ns, tz=Europe/Rome][pyarrow]"),
    ),
    *(
        pd.array([1, None], dtype="duration[us][pyarrow]"),
        pd.array([dt.date(2024, 1, 1), None], dtype="date32[pyarrow]"),
    ),
    *(pd.array([dt.time(1), None], dtype="time64[us][pyarrow]"), pd.array([], dtype="int8[pyarrow]")),
]

INDEXES: list[Any] = [
    *(pd.Index([]), pd.RangeIndex(3), pd.RangeIndex(10, 0, -3, name="r"), pd.Index([3, 1], name=("a", 1))),
    *(pd.Index(["a", "b"]), pd.Index(["a", "b"], dtype=object), pd.Index(["a", None, float("nan"), 1], dtype=object)),
    *(
        pd.Index([1.5, float("nan")]),
        pd.Index([True, False]),
        pd.Index([1, None], dtype="Int64"),
        pd.Index(["a"], dtype="string"),
    ),
    *(
        DAYS,
        DAYS._with_freq(None),
        DAYS[::2],
        pd.date_range("2024", periods=3, freq="ME", name="m"),
        pd.DatetimeIndex([]),
    ),
    *(pd.date_range("2024", periods=3, freq="2h", unit="s"), pd.date_range("2024", periods=3, freq="W-SUN")),
    *(
        pd.timedelta_range(0, periods=3, freq="90min"),
        pd.to_timedelta([1, 5]),
        pd.period_range("2024", periods=3, freq="Q"),
    ),
    *(
        pd.interval_range(0, 3),
        pd.IntervalIndex.from_breaks([0.5, 1.5]),
        pd.CategoricalIndex(["a", "b", "a"], ordered=True),
    ),
    pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("a", 2)], names=["x", None]),
    pd.MultiIndex.from_product([DAYS[:2], ["p", "q"]])[1:3],
    pd.MultiIndex.from_tuples([("a", None), (None, 2)]),
    pd.MultiIndex(levels=[["a", "unused"]], codes=[[0, -1]]),
    pd.Index([(1, 2), "a"], dtype=object, tupleize_cols=False),
]


def _with_attrs() -> pd.DataFrame:
    made = pd.DataFrame({"a": [1]})
    made.attrs = {"source": ("x", [1])}
    return made


SERIES: list[Any] = [
    *(pd.Series([1.5, 2.5], name="s"), pd.Series([], dtype=float), pd.Series([1, 2], index=["a", "b"], dtype="int8")),
    *(pd.Series(["x", None]), pd.Series(["x", None, float("nan"), 1, Decimal("1.0"), [1]], dtype=object)),
    *(
        pd.Series([1j]),
        pd.Series(DAYS),
        pd.Series(pd.to_datetime(["2024-01-01", None])),
        pd.Series([True], name=("a", 1)),
    ),
    *(pd.Series(array) for array in ARRAYS),
    *(pd.Series([1, 2], index=index) for index in INDEXES if len(index) == 2),
    pd.Series([1]).set_flags(allows_duplicate_labels=False),
    pd.Series(np.array([1.5, 2.5], ">f8")),
]

FRAMES: list[Any] = [
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.to_datetime(["2024-01-01", "2024-01-02"])}, index=[5, 7]),
    *(pd.DataFrame(), pd.DataFrame(index=[1, 2]), pd.DataFrame(index=DAYS), pd.DataFrame(columns=["a", "b"])),
    *(
        pd.DataFrame({"a": []}),
        pd.DataFrame(np.ones((2, 3))),
        pd.DataFrame(np.ones((2, 3), "f4"), columns=["a", "a", "b"]),
    ),
    pd.DataFrame([[1, "x"], [2, "y"]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")], names=["u", "v"])),
    pd.DataFrame([[1, 2.0, True]], columns=pd.Index([1, ("t", 2), None], dtype=object, tupleize_cols=False)),
    pd.DataFrame({pd.Timestamp("2024"): [1], pd.Timestamp("2025"): [2]}),
    pd.DataFrame({"a": [1]}, columns=pd.Index(["a"], name="names")),
    _with_attrs(),
    pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    pd.DataFrame({str(i): array[:2] for i, array in enumerate(ARRAYS) if len(array) >= 2}),
    *(pd.DataFrame({"a": [1] * len(index)}, index=index) for index in INDEXES),
    pd.DataFrame({"o": pd.Series(["a", None, 1.5, {"k": (1,)}], dtype=object)}),
]
