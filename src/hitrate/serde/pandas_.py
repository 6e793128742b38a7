"""Frames, series and indexes of pandas: columns, labels of any kind, names, ``attrs`` and flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from hitrate.errors import DecodeError
from hitrate.serde.buffers import Buffer, stored
from hitrate.serde.pandas_columns import column_of, state_of
from hitrate.serde.pandas_scalars import frequency_of, text_of
from hitrate.serde.registry import FIELDS, PAIRS, Pack, Refused, listed, of_parts, register
from hitrate.serde.rewriting import brief

INDEX = 91
SERIES = 92
FRAME = 93

# A RangeIndex is three numbers, whatever its length: a few stored bytes could take 128 MB to compare.
_MAX_RANGE = 1 << 24

_KINDS: dict[str, type] = {
    "index": pd.Index,
    "datetimes": pd.DatetimeIndex,
    "timedeltas": pd.TimedeltaIndex,
    "periods": pd.PeriodIndex,
    "intervals": pd.IntervalIndex,
    "categories": pd.CategoricalIndex,
}
_KIND_OF = {cls: kind for kind, cls in _KINDS.items()}

Levels = Callable[[pd.MultiIndex], dict[str, Any]]
"""How the content of an index of several levels is written."""


def levels_and_codes(index: pd.MultiIndex) -> dict[str, Any]:
    """Return the levels of an index as pandas holds them, unused ones included."""
    return {"levels": [*index.levels], "codes": [state_of(np.asarray(codes)) for codes in index.codes]}


def index_state(index: Any, buffer: Buffer = stored, levels: Levels = levels_and_codes) -> dict[str, Any]:
    """Return what an index is written as, with what two functions write of a buffer and of several levels."""
    if type(index) is pd.RangeIndex:
        return {"kind": "range", "range": [index.start, index.stop, index.step], "name": index.name}
    if type(index) is pd.MultiIndex:
        return {"kind": "levels", "names": [*index.names], **levels(index)}
    kind = _KIND_OF.get(type(index))
    if kind is None:
        raise Refused(f"its index is a {type(index).__qualname__}")
    values = state_of(index.array, buffer)
    if type(values) is list and not _are_hashable(values):
        raise Refused("a label of its index is not hashable")
    state = {"kind": kind, "values": values, "name": index.name}
    if kind in ("datetimes", "timedeltas") and index.freq is not None:
        state["frequency"] = text_of(index.freq)
    return state


def index_of(state: Any, length: int | None = None) -> Any:
    """Return the index of a decoded state, which has to be of this length if one is given."""
    if type(state) is not dict:
        raise DecodeError("a stored index is none")
    index = _index_of(state, length)
    if not _are_hashable(index.names):
        raise DecodeError("a stored index has a name that is not hashable")
    if length is not None and len(index) != length:
        raise DecodeError("a stored index has another length than its columns")
    return index


def _index_of(state: dict[str, Any], length: int | None) -> Any:
    kind = state.get("kind")
    if kind == "range":
        numbers = listed(state["range"])
        if len(numbers) != 3 or any(type(each) is not int for each in numbers):
            raise DecodeError("a stored index is none")
        steps = range(*numbers)
        if len(steps) > (_MAX_RANGE if length is None else length):
            raise DecodeError("a stored index is longer than what it belongs to")
        return pd.RangeIndex(*numbers, name=state["name"])
    if kind == "levels":
        return _several_levels(**state)
    cls = _KINDS.get(kind) if type(kind) is str else None
    if cls is None:
        raise DecodeError("a stored index is of no known kind")
    values = column_of(state["values"])
    if values.dtype == object and not _are_hashable(values):
        raise DecodeError("a stored index has a label that is not hashable")
    index: Any = pd.Index(values, dtype=values.dtype, name=state["name"], copy=False)
    if "frequency" in state:
        index = cls(index, freq=frequency_of(state["frequency"]))
    if type(index) is not cls:
        raise DecodeError("a stored index is of another kind than its values")
    return index


def _several_levels(kind: str, names: Any, levels: Any, codes: Any) -> Any:
    if not all(isinstance(level, pd.Index) for level in listed(levels)) or len(listed(names)) != len(levels):
        raise DecodeError("stored levels are none")
    positions = [column_of(each) for each in listed(codes)]
    if any(type(each) is not np.ndarray or each.dtype.kind != "i" for each in positions):
        raise DecodeError("stored levels are none")
    return pd.MultiIndex(levels=levels, codes=positions, names=names, verify_integrity=True)


def _are_hashable(labels: Any) -> bool:
    try:
        for label in labels:
            hash(label)
    except TypeError:
        return False
    return True


def encode_index(obj: Any, pack: Pack, buffer: Buffer = stored, levels: Levels = levels_and_codes) -> bytes:
    """Return the bytes of an index that stands by itself."""
    if type(obj) is pd.RangeIndex and len(obj) > _MAX_RANGE:
        raise Refused("it is too long for an index without columns")
    return pack([index_state(obj, buffer, levels)], FIELDS)


def _index_alone(state: Any) -> Any:
    return index_of(state)


def encode_series(obj: Any, pack: Pack, buffer: Buffer = stored, levels: Levels = levels_and_codes) -> bytes:
    """Return the bytes of a series."""
    parts = ["index", index_state(obj.index, buffer, levels), "name", obj.name, *_besides(obj)]
    return pack([*parts, "values", state_of(obj.array, buffer)], PAIRS)


def _besides(obj: Any) -> list[Any]:
    return ["attrs", obj.attrs, "flags", obj.flags.allows_duplicate_labels]


def _put_besides(made: Any, attrs: Any, allows_duplicate_labels: Any) -> Any:
    if type(attrs) is not dict or type(allows_duplicate_labels) is not bool:
        raise DecodeError("the stored attrs of a frame are none")
    if attrs:
        made.attrs = attrs
    if not allows_duplicate_labels:
        made.flags.allows_duplicate_labels = False
    return made


def _series_of(*pairs: Any) -> Any:
    index, name, attrs, flags, values = pairs[1::2]
    column = column_of(values)
    made = pd.Series(column, index_of(index, len(column)), dtype=column.dtype, name=name, copy=False)
    return _put_besides(made, attrs, flags)


def encode_frame(obj: Any, pack: Pack, buffer: Buffer = stored, levels: Levels = levels_and_codes) -> bytes:
    """Return the bytes of a frame: its columns as pairs with their labels, which are what messages name them by."""
    parts = ["index", index_state(obj.index, buffer, levels), "columns", obj.columns, *_besides(obj)]
    for label, (_, column) in zip(obj.columns, obj.items(), strict=True):
        try:
            parts += [label if type(label) is str else brief(label), state_of(column.array, buffer)]
        except Refused as exc:
            raise Refused(f"its column {label!r}: {exc}") from exc
    return pack(parts, PAIRS)


def _frame_of(*pairs: Any) -> Any:
    index_parts, columns, attrs, flags, *states = pairs[1::2]
    if not isinstance(columns, pd.Index) or len(columns) != len(states):
        raise DecodeError("a stored frame has other columns than it names")
    arrays = [column_of(state) for state in states]
    index = index_of(index_parts, len(arrays[0]) if arrays else None)
    series = {position: pd.Series(array, index, dtype=array.dtype, copy=False) for position, array in enumerate(arrays)}
    made = pd.DataFrame(series, index)
    made.columns = columns
    return _put_besides(made, attrs, flags)


INDEXES: list[type] = [*_KIND_OF, pd.RangeIndex, pd.MultiIndex]

register(INDEX, of_parts(_index_alone), types=INDEXES, encode=encode_index)
register(SERIES, of_parts(_series_of), types=[pd.Series], encode=encode_series)
register(FRAME, of_parts(_frame_of), types=[pd.DataFrame], encode=encode_frame)
