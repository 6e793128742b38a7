"""Columns of numbers, flags and times as one buffer each, for frames of every library.

The element type is one of a closed list, and the buffer is as long as its elements: what is read is checked by that
alone, before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hitrate.errors import DecodeError
from hitrate.serde.registry import Refused

Buffer = Callable[[np.ndarray[Any, Any]], Any]
"""What of an array is written: the serializer writes its bytes, a key their digest."""

_UNITS = ("s", "ms", "us", "ns")
_KINDS = [
    *("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"),
    *(f"{kind}8[{unit}]" for kind in "mM" for unit in _UNITS),
]
_DTYPES = {np.dtype(order + kind).str: np.dtype(order + kind) for kind in _KINDS for order in "<>"}


def stored(array: np.ndarray[Any, Any]) -> bytes:
    """Return the elements of an array, in order."""
    return array.tobytes()


def state_of(array: np.ndarray[Any, Any], buffer: Buffer) -> dict[str, Any]:
    """Return what an array of one dimension is written as."""
    if array.dtype.str not in _DTYPES or array.dtype != _DTYPES[array.dtype.str]:
        raise Refused(f"the dtype {array.dtype} cannot be stored")
    return {"kind": "buffer", "dtype": array.dtype.str, "content": buffer(array)}


def array_of(state: Any, kinds: str = "biufcmM") -> np.ndarray[Any, Any]:
    """Return the array of a stored state, which may be written to; ``kinds`` are NumPy's letters for its elements."""
    if type(state) is not dict or state.get("kind") != "buffer":
        raise DecodeError("a stored column is none")
    spec, content = state.get("dtype"), state.get("content")
    dtype = _DTYPES.get(spec) if type(spec) is str else None
    if dtype is None or dtype.kind not in kinds or type(content) is not bytes or len(content) % dtype.itemsize:
        raise DecodeError("a stored column is none")
    made = np.frombuffer(content, dtype).copy()
    if dtype.kind == "b" and len(content) and made.view("u1").max() > 1:
        raise DecodeError("a stored flag is neither true nor false")
    return made
