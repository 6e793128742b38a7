"""The element types of polars, described by a small grammar of ours, and the plain types their elements are kept as."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from hitrate.errors import DecodeError
from hitrate.serde.registry import Refused, listed
from hitrate.serde.times import is_zone_key

NUMBERS: dict[str, Any] = {
    str(each): each()
    for each in (
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
        *(pl.Float32, pl.Float64, pl.Boolean),
        *filter(None, [getattr(pl, "Float16", None)]),
    )
}
_OTHERS: dict[str, Any] = {
    str(each): each()
    for each in (
        pl.Int128,
        pl.String,
        pl.Binary,
        pl.Null,
        pl.Date,
        pl.Time,
        *filter(None, [getattr(pl, "UInt128", None)]),
    )
}
_SIMPLE = {**NUMBERS, **_OTHERS}
_UNITS = ("ms", "us", "ns")
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
# The days of the years 1 to 9999 less one at either end, for time zones: polars panics when it is to show others.
_FIRST_DAY, _LAST_DAY = -719_161, 2_932_895
_MAX_NESTING = 16


def describe(dtype: Any) -> Any:
    """Return a type as nested lists of str and int.

    Raises:
        Refused: it cannot be stored.
    """
    spec = _spec_of(dtype)
    try:
        made = type_of(spec)
    except DecodeError:
        made = None
    if made is None or made != dtype or repr(made) != repr(dtype):
        raise Refused(f"the dtype {dtype} cannot be stored")
    return spec


def _spec_of(dtype: Any) -> Any:
    kind = type(dtype)
    if kind is pl.Datetime:
        return ["datetime", dtype.time_unit, dtype.time_zone]
    if kind is pl.Duration:
        return ["duration", dtype.time_unit]
    if kind is pl.Decimal:
        return ["decimal", dtype.precision, dtype.scale]
    if kind is pl.Enum:
        return ["enum", dtype.categories.to_list()]
    if kind is pl.Categorical:
        return ["categorical"]
    if kind is pl.List:
        return ["list", _spec_of(dtype.inner)]
    if kind is pl.Array:
        return ["array", _spec_of(dtype.inner), dtype.size]
    if kind is pl.Struct:
        return ["struct", [field.name for field in dtype.fields], [_spec_of(field.dtype) for field in dtype.fields]]
    return str(dtype)


def type_of(spec: Any, nesting: int = 0) -> Any:
    """Return the type of a description.

    Raises:
        DecodeError: it describes none.
    """
    if nesting > _MAX_NESTING:
        raise DecodeError("a stored dtype is nested too deeply")
    if type(spec) is str and spec in _SIMPLE:
        return _SIMPLE[spec]
    kind, *parts = listed(spec)
    read = _READERS.get(kind) if type(kind) is str else None
    made = None if read is None else read(*parts, nesting + 1)
    if made is None:
        raise DecodeError("a stored dtype is none")
    return made


def _datetime(unit: Any, zone: Any, nesting: int) -> Any:
    is_known = zone is None or (type(zone) is str and is_zone_key(zone))
    return pl.Datetime(unit, zone) if unit in _UNITS and is_known else None


def _duration(unit: Any, nesting: int) -> Any:
    return pl.Duration(unit) if unit in _UNITS else None


def _decimal(precision: Any, scale: Any, nesting: int) -> Any:
    is_one = type(precision) is int and type(scale) is int and 0 <= scale <= precision <= 38
    return pl.Decimal(precision, scale) if is_one else None


def _enum(categories: Any, nesting: int) -> Any:
    return pl.Enum(categories) if {*map(type, listed(categories))} <= {str} else None


def _categorical(nesting: int) -> Any:
    return pl.Categorical()


def _list(inner: Any, nesting: int) -> Any:
    return pl.List(type_of(inner, nesting))


def _array(inner: Any, size: Any, nesting: int) -> Any:
    return pl.Array(type_of(inner, nesting), size) if type(size) is int and 0 <= size < 2**31 else None


def _struct(names: Any, specs: Any, nesting: int) -> Any:
    if {*map(type, listed(names))} - {str} or len(names) != len(listed(specs)) or len({*names}) != len(names):
        return None
    fields = [pl.Field(name, type_of(each, nesting)) for name, each in zip(names, specs, strict=True)]
    return pl.Struct(fields) if fields else None


_READERS: dict[str, Callable[..., Any]] = {
    "datetime": _datetime,
    "duration": _duration,
    "decimal": _decimal,
    "enum": _enum,
    "categorical": _categorical,
    "list": _list,
    "array": _array,
    "struct": _struct,
}


def plain(dtype: Any) -> Any:
    """Return the type that elements are kept as: times are numbers, categories their texts."""
    kind = type(dtype)
    if kind is pl.Date:
        return pl.Int32()
    if kind in (pl.Datetime, pl.Duration, pl.Time):
        return pl.Int64()
    if kind in (pl.Enum, pl.Categorical):
        return pl.String()
    if kind is pl.List:
        return pl.List(plain(dtype.inner))
    if kind is pl.Array:
        return pl.Array(plain(dtype.inner), dtype.size)
    if kind is pl.Struct:
        return pl.Struct([pl.Field(field.name, plain(field.dtype)) for field in dtype.fields])
    return dtype


def holds_arrays(dtype: Any) -> bool:
    """Tell whether a type is or holds one of arrays, of which polars allocates all elements where there is none."""
    if type(dtype) is pl.Struct:
        return any(holds_arrays(field.dtype) for field in dtype.fields)
    return type(dtype) is pl.Array or (type(dtype) is pl.List and holds_arrays(dtype.inner))


def is_shown(elements: Any, dtype: Any) -> bool:
    """Tell whether all times among elements, which are of the plain type, are ones that polars can show."""
    kind = type(dtype)
    if kind in (pl.List, pl.Array):
        return is_shown(elements.explode(), dtype.inner)
    if kind is pl.Struct:
        return all(is_shown(elements.struct.field(field.name), field.dtype) for field in dtype.fields)
    if kind is pl.Date:
        first, last = _FIRST_DAY, _LAST_DAY
    elif kind is pl.Datetime:
        first, last = (day * _PER_DAY[dtype.time_unit] for day in (_FIRST_DAY, _LAST_DAY))
    elif kind is pl.Duration:
        last = 999_999_999 * _PER_DAY[dtype.time_unit]
        first = -last
    else:
        return True
    low, high = elements.min(), elements.max()
    return low is None or (first <= low and high <= last)
