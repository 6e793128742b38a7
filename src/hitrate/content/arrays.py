"""NumPy arrays and scalars: element type, shape and content, whatever the layout in memory.

The content is hashed on its own, from the array's buffer if it is contiguous: a large array is copied nowhere.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from hitrate.content.rules import OVERRIDES
from hitrate.serde.numpy_ import DTYPES, LONG_DOUBLE_BYTES, SCALARS, describe, holds_objects, text_of
from hitrate.serde.registry import INNER, Pack

_DIGEST_SIZE = 32


def _encode_array(obj: np.ndarray[Any, Any], pack: Pack) -> bytes:
    if holds_objects(obj):
        return pack([None, [*obj.shape], obj.ravel().tolist()], INNER)
    return pack([_spec_of(obj.dtype), [*obj.shape], digest(obj)], INNER)


def _encode_scalar(obj: Any, pack: Pack) -> bytes:
    text = text_of(obj)
    if text is not None:
        return pack([None, text], INNER)
    return pack([_spec_of(obj.dtype), digest(np.asarray(obj))], INNER)


def _encode_dtype(obj: np.dtype[Any], pack: Pack) -> bytes:
    return pack([None if obj.char == "O" and not obj.metadata else _spec_of(obj)])


def _spec_of(dtype: np.dtype[Any]) -> Any:
    return _by_size(describe(dtype))


def _by_size(spec: Any) -> Any:
    """Name an integer type by its size alone: which C type has that size differs between machines."""
    if type(spec) is list:
        return [_by_size(each) for each in spec]
    return np.dtype(spec).str if type(spec) is str and spec[1:] in ("q", "Q", "l", "L") else spec


def digest(array: np.ndarray[Any, Any]) -> str:
    """Return the digest of an array's elements, NaN being one, whatever the layout in memory."""
    hasher = blake2b(digest_size=_DIGEST_SIZE)
    for column in _columns(array):
        hasher.update(_content(column))
    return hasher.hexdigest()


def _columns(array: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Return the fields of a structured array, in order, without what is between them."""
    if array.dtype.names is None:
        return [array]
    return [column for name in array.dtype.names for column in _columns(array[name])]


def _content(array: np.ndarray[Any, Any]) -> Any:
    kind = array.dtype.kind
    if kind in "fc":
        array = _with_one_nan(array)
        if array.dtype.char in "gG":
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            part = np.dtype(np.longdouble).itemsize
            return np.frombuffer(native.tobytes(), np.uint8).reshape(-1, part)[:, :LONG_DOUBLE_BYTES].tobytes()
    if kind in "mMV" or not array.flags.c_contiguous or not array.size:
        return array.tobytes()
    return array.data


def _with_one_nan(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    parts = [array] if array.dtype.kind == "f" else [array.real, array.imag]
    if not any(np.isnan(part).any() for part in parts):
        return array
    array = array.copy()
    for part in [array] if array.dtype.kind == "f" else [array.real, array.imag]:
        part[np.isnan(part)] = np.nan
    return array


OVERRIDES[np.ndarray] = _encode_array
OVERRIDES.update(dict.fromkeys(SCALARS, _encode_scalar))
OVERRIDES.update(dict.fromkeys(DTYPES, _encode_dtype))
