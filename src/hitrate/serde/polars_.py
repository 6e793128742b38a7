"""Frames and series of polars: numbers and times as buffers with a mask, everything else as lists of its elements."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import polars as pl

from hitrate.errors import DecodeError
from hitrate.serde import buffers
from hitrate.serde.buffers import Buffer, array_of, stored
from hitrate.serde.polars_types import NUMBERS, describe, holds_arrays, is_shown, plain, type_of
from hitrate.serde.registry import PAIRS, Pack, Refused, listed, of_parts, register
from hitrate.serde.rewriting import brief

SERIES = 97
FRAME = 98


def state_of(series: pl.Series, buffer: Buffer) -> dict[str, Any]:
    """Return what the elements of a series are written as."""
    dtype = series.dtype
    spec = describe(dtype)
    kept = plain(dtype)
    elements = series if kept == dtype else series.cast(kept)
    if not is_shown(elements, dtype):
        raise Refused(f"it has a {dtype} that polars cannot show")
    if str(kept) not in NUMBERS:
        items = elements.to_list()
        if holds_arrays(dtype):
            _refuse_missing(items, dtype, Refused)
        return {"dtype": spec, "items": items}
    state = {"dtype": spec}
    if series.null_count():
        state["mask"] = buffers.state_of(series.is_null().to_numpy(), buffer)
        elements = elements.fill_null(False if str(kept) == "Boolean" else 0)
    return {**state, "content": buffers.state_of(elements.to_numpy(), buffer)}


def _refuse_missing(items: Any, dtype: Any, error: type[Exception]) -> None:
    """Refuse rows that are missing, since polars allocates an array for each, however wide."""
    kind = type(dtype)
    if not holds_arrays(dtype):
        return
    for item in items:
        if kind is pl.Struct and type(item) is dict:
            for field in dtype.fields:
                _refuse_missing([item.get(field.name)], field.dtype, error)
        elif kind is not pl.Struct and type(item) is list and (kind is pl.List or len(item) == dtype.size):
            _refuse_missing(item, dtype.inner, error)
        else:
            raise error("a row that holds an Array is missing")


def series_of(name: str, state: Any) -> pl.Series:
    """Return the series of a decoded state."""
    if type(name) is not str or type(state) is not dict:
        raise DecodeError("a stored series is none")
    dtype = type_of(state["dtype"])
    kept = plain(dtype)
    if str(kept) in NUMBERS:
        elements = _numbers(name, kept, state)
    else:
        items = listed(state["items"])
        if holds_arrays(dtype):
            _refuse_missing(items, dtype, DecodeError)
        elements = pl.Series(name, items, dtype=kept, strict=True)
    if not is_shown(elements, dtype):
        raise DecodeError("a stored time is one that polars cannot show")
    made = elements if kept == dtype else elements.cast(dtype, strict=True)
    if made.dtype != dtype:
        raise DecodeError("a stored series is of another type than its elements")
    return made


def _numbers(name: str, kept: Any, state: dict[str, Any]) -> pl.Series:
    made = pl.Series(name, array_of(state["content"]))
    if made.dtype != kept:
        raise DecodeError("a stored series is of another type than its elements")
    if "mask" in state:
        mask = array_of(state["mask"], "b")
        if len(mask) != len(made):
            raise DecodeError("a stored mask is that of another series")
        made = made.set(pl.Series(mask), None)
    return made


def encode_series(obj: pl.Series, pack: Pack, buffer: Buffer = stored) -> bytes:
    """Return the bytes of a series."""
    return pack([obj.name, state_of(obj, buffer)], PAIRS)


def encode_frame(obj: pl.DataFrame, pack: Pack, buffer: Buffer = stored) -> bytes:
    """Return the bytes of a frame: its columns as pairs with their names, which are what messages name them by."""
    parts: list[Any] = ["height", obj.height]
    for series in obj.get_columns():
        try:
            parts += [series.name, state_of(series, buffer)]
        except Refused as exc:
            raise Refused(f"its column {brief(series.name)}: {exc}") from exc
    return pack(parts, PAIRS)


def _without_panic(make: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make)
    def made(*parts: Any) -> Any:
        try:
            return make(*parts)
        except pl.exceptions.PanicException as exc:
            # It derives from BaseException, and would end the program.
            raise DecodeError(f"polars cannot make it: {exc}") from exc

    return made


def _frame_of(_: Any, height: Any, *flat: Any) -> pl.DataFrame:
    if type(height) is not int or not 0 <= height < 2**32:
        raise DecodeError("a stored frame has no height")
    parts = iter(flat)
    columns = [series_of(name, state) for name, state in zip(parts, parts, strict=True)]
    if not columns and height:
        return pl.DataFrame(height=height)
    made = pl.DataFrame({series.name: series for series in columns})
    if made.width != len(columns):
        raise DecodeError("a stored frame has two columns of one name")
    if made.height != height:
        raise DecodeError("a stored frame has another height than its columns")
    return made


register(SERIES, of_parts(_without_panic(series_of)), types=[pl.Series], encode=encode_series)
register(FRAME, of_parts(_without_panic(_frame_of)), types=[pl.DataFrame], encode=encode_frame)
