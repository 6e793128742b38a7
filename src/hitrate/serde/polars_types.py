"""The element types of polars, described by a small grammar of ours, and the plain types their elements are kept as."""

from __future__ import annotations

from typing import Any

import polars as pl

from hitrate.errors import DecodeError
from hitrate.serde.registry import Refused, listed, made_again
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
    """Return a type as nested lists of str and int."""
    spec = _spec_of(dtype)
    made = made_again(type_of, spec)
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
    """Return the type of a description."""
    if nesting > _MAX_NESTING:
        raise DecodeError("a stored dtype is nested too deeply")
    if type(spec) is str and spec in _SIMPLE:
        return _SIMPLE[spec]
    below = nesting + 1
    match listed(spec):
        case ["datetime", unit, zone] if unit in _UNITS and (zone is None or (type(zone) is str and is_zone_key(zone))):
            return pl.Datetime(unit, zone)
        case ["duration", unit] if unit in _UNITS:
            return pl.Duration(unit)
        case ["decimal", precision, scale] if type(precision) is type(scale) is int and 0 <= scale <= precision <= 38:
            return pl.Decimal(precision, scale)
        case ["enum", categories] if {*map(type, listed(categories))} <= {str}:
            return pl.Enum(categories)
        case ["categorical"]:
            return pl.Categorical()
        case ["list", inner]:
            return pl.List(type_of(inner, below))
        case ["array", inner, size] if type(size) is int and 0 <= size < 2**31:
            return pl.Array(type_of(inner, below), size)
        case ["struct", [_, *_] as names, [*specs]] if {*map(type, names)} == {str} and len({*names}) == len(specs):
            return pl.Struct([pl.Field(name, type_of(each, below)) for name, each in zip(names, specs, strict=True)])
    raise DecodeError("a stored dtype is none")


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
