"""NumPy's masked arrays: data, what is under the mask included, mask, fill value and hardness."""

from __future__ import annotations

from typing import Any

import numpy as np

from hitrate.errors import DecodeError
from hitrate.serde.registry import INNER, Hook, Pack, Refused, of_parts, register

MASKED_ARRAY = 83
MASKED = 84

_Array: Any = np.ma.MaskedArray
_OWN = {
    *("_fill_value", "_hardmask", "_sharedmask", "_isfield", "_baseclass", "_optinfo", "_basedict", "_mask"),
}


def _encode(obj: Any, pack: Pack) -> bytes:
    fill = obj._fill_value
    if fill is not None and not _fills(fill, obj.dtype):
        raise Refused("its fill value is of another type than its elements")
    return pack(state_of(obj, fill), INNER)


def state_of(obj: Any, fill: Any) -> list[Any]:
    """Return what a masked array is made of, with a fill value that may be another's."""
    if obj._baseclass is not np.ndarray:
        raise Refused("it masks an array of another class")
    if obj._optinfo or obj._basedict or not vars(obj).keys() <= _OWN:
        raise Refused("it has attributes of its own besides its content")
    mask = obj._mask
    return [obj.view(np.ndarray), None if mask is np.ma.nomask else mask, fill, obj._hardmask]


def _fills(fill: Any, dtype: np.dtype[Any]) -> bool:
    if type(fill) is not np.ndarray or fill.shape != ():
        return False
    # The default for texts, "N/A", may be longer than they are; for objects it is a text.
    return bool(fill.dtype == dtype) or dtype == np.object_ or fill.dtype.kind == dtype.kind in ("S", "U")


def _array_of(content: Any, mask: Any, fill: Any, is_hard: Any) -> Any:
    if type(content) is not np.ndarray or type(is_hard) is not bool:
        raise DecodeError("a stored masked array has no content")
    made = _Array(content, hard_mask=is_hard)
    if mask is not None:
        expected = np.ma.make_mask_descr(content.dtype)
        if type(mask) is not np.ndarray or mask.shape != content.shape or mask.dtype != expected:
            raise DecodeError("a stored mask is that of another array")
        made._mask = mask
    if fill is not None:
        if not _fills(fill, content.dtype):
            raise DecodeError("a stored fill value is that of another array")
        made._fill_value = fill
    return made


def _decode_masked(data: bytes, hook: Hook) -> Any:
    if data:
        raise DecodeError("a stored masked element has content")
    return np.ma.masked


register(MASKED_ARRAY, of_parts(_array_of), types=[np.ma.MaskedArray], encode=_encode)
register(MASKED, _decode_masked, types=[type(np.ma.masked)], encode=lambda obj, pack: b"")
