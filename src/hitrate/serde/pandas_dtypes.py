"""The dtypes of pandas: each as an empty column of it, which is how the columns of a frame have them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.buffers import Buffer, stored
from hitrate.serde.pandas_columns import column_of, state_of
from hitrate.serde.registry import FIELDS, Hook, Pack, Refused, listed, register

PANDAS_DTYPE = 95

DTYPES: list[type] = [
    *(pd.CategoricalDtype, pd.DatetimeTZDtype, pd.PeriodDtype, pd.IntervalDtype, pd.StringDtype, pd.ArrowDtype),
    *(pd.Int8Dtype, pd.Int16Dtype, pd.Int32Dtype, pd.Int64Dtype, pd.UInt8Dtype, pd.UInt16Dtype, pd.UInt32Dtype),
    *(pd.UInt64Dtype, pd.Float32Dtype, pd.Float64Dtype, pd.BooleanDtype),
]


def encode_dtype(obj: Any, pack: Pack, buffer: Buffer = stored) -> bytes:
    """Return the bytes of a dtype."""
    state = _state_of(obj, buffer)
    if not _is_same(_dtype_of(_state_of(obj, stored)), obj):
        raise Refused(f"an empty column does not give back the dtype {obj}")
    return pack([state], FIELDS)


def _state_of(dtype: Any, buffer: Buffer) -> Any:
    if type(dtype) is pd.CategoricalDtype and dtype.categories is None:
        return {"kind": "any categories", "ordered": dtype.ordered}
    return state_of(pd.Series([], dtype=dtype).array, buffer)


def _dtype_of(state: Any) -> Any:
    if type(state) is dict and state.get("kind") == "any categories":
        ordered = state["ordered"]
        if ordered is not None and type(ordered) is not bool:
            raise DecodeError("a stored dtype is none")
        return pd.CategoricalDtype(ordered=ordered)
    column = column_of(state)
    if len(column) or type(column.dtype) not in DTYPES:
        raise DecodeError("a stored dtype is none")
    return column.dtype


def _is_same(made: Any, dtype: Any) -> bool:
    return type(made) is type(dtype) and made == dtype and repr(made) == repr(dtype)


def _decode(data: bytes, hook: Hook) -> Any:
    (state,) = listed(unpackb(data, ext_hook=hook))
    return _dtype_of(state)


register(PANDAS_DTYPE, _decode, types=DTYPES, encode=encode_dtype)
