"""Arrays of Arrow types inside other values: as buffers of numbers with a mask, or as lists of texts.

Arrow's own format is not used: a reader of it trusts offsets and lengths that whoever writes to a store could choose.
"""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from hitrate.errors import DecodeError
from hitrate.serde import buffers
from hitrate.serde.buffers import Buffer
from hitrate.serde.registry import Refused, listed
from hitrate.serde.times import is_zone_key

_NUMBERS = {
    str(each): each
    for each in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.bool_()),
    )
}
_LISTS = {str(each): each for each in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())}
_TIMES = {
    str(each): each
    for each in (
        *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    )
}
_TYPES = {**_NUMBERS, **_LISTS, **_TIMES}
_UNITS = ("s", "ms", "us", "ns")
_OFFSET = re.compile(r"[+-][0-9]{2}:[0-9]{2}", re.ASCII)


def state_of(array: Any, buffer: Buffer) -> dict[str, Any]:
    """Return what an array, chunked or not, is written as."""
    kind = array.type
    spec = _spec_of(kind)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if spec["type"] in _LISTS:
        return {**spec, "items": array.to_pylist()}
    mask = array.is_null().to_numpy(zero_copy_only=False)
    plain = array.view(_physical(kind))
    empty = False if pa.types.is_boolean(kind) else 0
    content = plain.fill_null(empty).to_numpy(zero_copy_only=False)
    return {**spec, "content": buffers.state_of(content, buffer), "mask": buffers.state_of(mask, buffer)}


def _spec_of(kind: Any) -> dict[str, Any]:
    name = str(kind)
    if pa.types.is_timestamp(kind):
        if kind.tz is not None and not _is_zone(kind.tz):
            raise Refused(f"the Arrow type {kind} cannot be stored")
        return {"type": "timestamp", "unit": kind.unit, "zone": kind.tz}
    if _TYPES.get(name) == kind:
        return {"type": name}
    raise Refused(f"the Arrow type {kind} cannot be stored")


def _physical(kind: Any) -> Any:
    if kind in _NUMBERS.values():
        return kind
    return pa.int32() if kind.bit_width == 32 else pa.int64()


def _is_zone(text: Any) -> bool:
    return type(text) is str and (_OFFSET.fullmatch(text) is not None or is_zone_key(text))


def _type_of(state: dict[str, Any]) -> Any:
    name = state.get("type")
    if name == "timestamp":
        unit, zone = state.get("unit"), state.get("zone")
        if unit in _UNITS and (zone is None or _is_zone(zone)):
            if zone is not None and _OFFSET.fullmatch(zone) is None:
                ZoneInfo(zone)  # raises if there is no such time zone, which Arrow does not ask
            return pa.timestamp(unit, zone)
    elif type(name) is str and name in _TYPES:
        return _TYPES[name]
    raise DecodeError("a stored Arrow type is none")


def array_of(state: Any) -> Any:
    """Return the array of a decoded state."""
    if type(state) is not dict:
        raise DecodeError("a stored Arrow array is none")
    kind = _type_of(state)
    if state["type"] in _LISTS:
        expected = bytes if "binary" in state["type"] else str
        items = listed(state["items"])
        if {*map(type, items)} - {expected, type(None)}:
            raise DecodeError("a stored Arrow array has items of another type")
        return pa.array(items, kind)
    content, mask = buffers.array_of(state["content"]), buffers.array_of(state["mask"], "b")
    physical = _physical(kind)
    if len(content) != len(mask) or content.dtype != np.dtype(physical.to_pandas_dtype()):
        raise DecodeError("a stored Arrow array has content of another type")
    made = pa.array(content, physical, mask=mask, from_pandas=False)
    if kind != physical:
        made = made.view(kind)
        there = content[~mask]
        if len(there):
            # Arrow holds times that Python cannot show; if it can show the earliest and the latest, it can show all.
            pa.array([there.min(), there.max()], physical).view(kind).to_pylist()
    made.validate(full=True)
    return made
