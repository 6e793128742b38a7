"""The columns of pandas, its extension arrays and dtypes: each dtype of a closed list as buffers or a list of our own.

Nothing of Arrow's own formats is stored, and no dtype is made from its name: a column says by a kind of ours how it is
read. A column is NumPy's array or one of pandas' extension arrays; a dtype by itself is stored as an empty column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from hitrate.errors import DecodeError
from hitrate.serde import buffers
from hitrate.serde.buffers import Buffer, array_of, stored
from hitrate.serde.pandas_scalars import can_be_zoned, period_dtype_of, period_name
from hitrate.serde.registry import FIELDS, Pack, Refused, listed, of_parts, register
from hitrate.serde.times import is_zone

PANDAS_ARRAY = 94
PANDAS_DTYPE = 95

_MASKED = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)


def string_dtype(storage: str, *, nan: bool) -> Any:
    """Return the dtype of texts, which has NaN or NA for what is missing."""
    return pd.StringDtype(storage, na_value=np.nan) if nan else pd.StringDtype(storage)


_HAS_NAN = "na_value" in pd.StringDtype.__init__.__code__.co_varnames  # from pandas 2.3 on
_STRINGS = {string_dtype("python", nan=nan).construct_array_type() for nan in {False, _HAS_NAN}}
_STRINGS.add(pd.arrays.ArrowStringArray)


def state_of(column: Any, buffer: Buffer = stored) -> Any:
    """Return what a column is written as: a list of its elements if these are Python's objects, otherwise a dict.

    Args:
        column: an array of NumPy or pandas.
        buffer: what of a buffer is written.
    """
    if type(column) is pd.arrays.NumpyExtensionArray:
        column = column.to_numpy()
    if type(column) is np.ndarray:
        return column.tolist() if column.dtype.char == "O" else buffers.state_of(column, buffer)
    write = _WRITERS.get(type(column))
    if write is None:
        raise Refused(f"the dtype {column.dtype} cannot be stored")
    return write(column, buffer)


def _write_times(column: Any, buffer: Buffer) -> Any:
    if getattr(column, "tz", None) is None:
        return buffers.state_of(np.asarray(column), buffer)
    # As instants: with their zone pandas gives them as objects only.
    instants = np.asarray(column.tz_convert(None))
    if not _can_be_zoned(instants):
        raise Refused("pandas cannot show times of such years in a time zone")
    return {"kind": "zoned", "zone": column.tz, "instants": buffers.state_of(instants, buffer)}


def _can_be_zoned(times: np.ndarray[Any, Any]) -> bool:
    there = times[~np.isnat(times)]
    return not len(there) or can_be_zoned(there.min(), there.max())


def _write_periods(column: Any, buffer: Buffer) -> Any:
    return {"kind": "periods", "frequency": period_name(column), "ordinals": buffers.state_of(column.asi8, buffer)}


def _write_intervals(column: Any, buffer: Buffer) -> Any:
    left, right = (state_of(side.array, buffer) for side in (column.left, column.right))
    if type(left) is list:
        raise Refused(f"the dtype {column.dtype} cannot be stored")
    return {"kind": "intervals", "closed": column.closed, "left": left, "right": right}


def _write_categories(column: Any, buffer: Buffer) -> Any:
    codes = buffers.state_of(column.codes, buffer)
    return {"kind": "categories", "categories": column.categories, "ordered": column.ordered, "codes": codes}


def _write_strings(column: Any, buffer: Buffer) -> Any:
    dtype = column.dtype
    texts = column.to_numpy(dtype=object, na_value=None).tolist()
    state = {"kind": "texts", "nan": dtype.na_value is not pd.NA, "texts": texts}
    # In a key it does not count: it is the layout in memory, and depends on whether pyarrow is installed.
    return {**state, "storage": dtype.storage} if buffer is stored else state


def _write_masked(column: Any, buffer: Buffer) -> Any:
    mask = column._mask
    # Elements under the mask are not content: they cannot be seen.
    content = np.where(mask, column._data.dtype.type(0), column._data) if mask.any() else column._data
    return {
        "kind": "masked",
        "content": buffers.state_of(content, buffer),
        "mask": buffers.state_of(mask, buffer),
    }


def _write_arrow(column: Any, buffer: Buffer) -> Any:
    from hitrate.serde import arrow

    return {"kind": "arrow", "array": arrow.state_of(column.__arrow_array__(), buffer)}


_WRITERS: dict[type, Callable[[Any, Buffer], Any]] = {
    pd.arrays.DatetimeArray: _write_times,
    pd.arrays.TimedeltaArray: _write_times,
    pd.arrays.PeriodArray: _write_periods,
    pd.arrays.IntervalArray: _write_intervals,
    pd.Categorical: _write_categories,
    pd.arrays.ArrowExtensionArray: _write_arrow,
    **dict.fromkeys(_STRINGS, _write_strings),
    **dict.fromkeys(_MASKED, _write_masked),
}


def column_of(state: Any) -> Any:
    """Return the column of a decoded state."""
    if type(state) is list:
        return np.fromiter(state, object, len(state))
    if type(state) is not dict:
        raise DecodeError("a stored column is none")
    kind = state.get("kind")
    if kind == "buffer":
        return array_of(state)
    read = _READERS.get(kind) if type(kind) is str else None
    if read is None:
        raise DecodeError("a stored column is of no known kind")
    return read(**{name: part for name, part in state.items() if name != "kind"})


def _read_zoned(zone: Any, instants: Any) -> Any:
    times = array_of(instants, "M")
    if not is_zone(zone) or not _can_be_zoned(times):
        raise DecodeError("a stored time zone is none, or its times out of the range of Python's")
    return pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone).array


def _read_periods(frequency: Any, ordinals: Any) -> Any:
    numbers = array_of(ordinals, "i")
    if numbers.dtype != np.int64:
        raise DecodeError("stored periods are none")
    return pd.arrays.PeriodArray(numbers, dtype=period_dtype_of(frequency))


def _read_intervals(closed: Any, left: Any, right: Any) -> Any:
    sides = []
    for side in (left, right):
        if type(side) is not dict or side.get("kind") not in ("buffer", "zoned"):
            raise DecodeError("a stored side of intervals is none")
        sides.append(pd.Index(column_of(side)))
    if sides[0].dtype != sides[1].dtype:
        raise DecodeError("the stored sides of intervals differ in type")
    return pd.arrays.IntervalArray.from_arrays(*sides, closed=closed)


def _read_categories(categories: Any, ordered: Any, codes: Any) -> Any:
    if not isinstance(categories, pd.Index) or type(ordered) is not bool:
        raise DecodeError("stored categories are none")
    dtype = pd.CategoricalDtype(categories, ordered)
    if dtype.categories.dtype != categories.dtype:
        raise DecodeError("stored categories are none")
    return pd.Categorical.from_codes(array_of(codes, "i"), dtype=dtype)


def _read_strings(storage: Any, nan: Any, texts: Any) -> Any:
    if storage not in ("python", "pyarrow") or type(nan) is not bool or {*map(type, listed(texts))} - {str, type(None)}:
        raise DecodeError("stored texts are none")
    dtype = string_dtype(storage, nan=nan)
    return pd.array(texts, dtype=dtype)


def _read_masked(content: Any, mask: Any) -> Any:
    values, missing = array_of(content, "biuf"), array_of(mask, "b")
    if len(values) != len(missing):
        raise DecodeError("a stored mask is that of another column")
    kind = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(values.dtype.kind, pd.arrays.IntegerArray)
    return kind(values, missing)


def _read_arrow(array: Any) -> Any:
    from hitrate.serde import arrow

    return pd.arrays.ArrowExtensionArray(arrow.array_of(array))


_READERS: dict[str, Callable[..., Any]] = {
    "zoned": _read_zoned,
    "periods": _read_periods,
    "intervals": _read_intervals,
    "categories": _read_categories,
    "texts": _read_strings,
    "masked": _read_masked,
    "arrow": _read_arrow,
}


def encode_array(obj: Any, pack: Pack, buffer: Buffer = stored) -> bytes:
    """Return the bytes of an extension array that stands by itself."""
    return pack([state_of(obj, buffer)], FIELDS)


def _array_of(state: Any) -> Any:
    column = column_of(state)
    if type(column) is not np.ndarray:
        return column
    if column.dtype.kind in "mM":
        return pd.array(column, dtype=column.dtype)
    return pd.arrays.NumpyExtensionArray(column)


ARRAYS: list[type] = [*_WRITERS, pd.arrays.NumpyExtensionArray]

register(PANDAS_ARRAY, of_parts(_array_of), types=ARRAYS, encode=encode_array)


# Dtypes by themselves

DTYPES: list[type] = [
    *(pd.CategoricalDtype, pd.DatetimeTZDtype, pd.PeriodDtype, pd.IntervalDtype, pd.StringDtype, pd.ArrowDtype),
    *(pd.Int8Dtype, pd.Int16Dtype, pd.Int32Dtype, pd.Int64Dtype, pd.UInt8Dtype, pd.UInt16Dtype, pd.UInt32Dtype),
    *(pd.UInt64Dtype, pd.Float32Dtype, pd.Float64Dtype, pd.BooleanDtype),
]


def encode_dtype(obj: Any, pack: Pack, buffer: Buffer = stored) -> bytes:
    """Return the bytes of a dtype."""
    state = _state_of_dtype(obj, buffer)
    if not _is_same(_dtype_of(_state_of_dtype(obj, stored)), obj):
        raise Refused(f"an empty column does not give back the dtype {obj}")
    return pack([state], FIELDS)


def _state_of_dtype(dtype: Any, buffer: Buffer) -> Any:
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


register(PANDAS_DTYPE, of_parts(_dtype_of), types=DTYPES, encode=encode_dtype)
