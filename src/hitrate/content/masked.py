"""NumPy's masked arrays: as they are stored, but for the fill value, which NumPy sets when it is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from hitrate.content.rules import OVERRIDES
from hitrate.serde.masked import state_of
from hitrate.serde.registry import INNER, Pack


def _encode(obj: Any, pack: Pack) -> bytes:
    fill = obj._fill_value
    if fill is None:
        # Taken from an empty array of the type: to read fill_value sets it, and the array in the key is not to change.
        empty: Any = np.ma.array(np.empty(0, obj.dtype))
        assert empty.fill_value is not None
        fill = empty._fill_value
    return pack(state_of(obj, fill), INNER)


OVERRIDES[np.ma.MaskedArray] = _encode
