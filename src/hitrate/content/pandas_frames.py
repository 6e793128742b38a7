"""Frames, series, indexes, arrays and dtypes of pandas by values and labels; the buffers are hashed on their own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from hitrate.content.arrays import digest
from hitrate.content.rules import OVERRIDES
from hitrate.serde.pandas_ import INDEXES, encode_frame, encode_index, encode_series
from hitrate.serde.pandas_columns import ARRAYS, DTYPES, encode_array, encode_dtype


def _labels_by_level(index: pd.MultiIndex) -> dict[str, Any]:
    """Return the labels of each level, however pandas holds them in levels and codes."""
    return {"labels": [index.get_level_values(level) for level in range(index.nlevels)]}


OVERRIDES[pd.DataFrame] = partial(encode_frame, buffer=digest, levels=_labels_by_level)
OVERRIDES[pd.Series] = partial(encode_series, buffer=digest, levels=_labels_by_level)
OVERRIDES.update(dict.fromkeys(INDEXES, partial(encode_index, buffer=digest, levels=_labels_by_level)))
OVERRIDES.update(dict.fromkeys(ARRAYS, partial(encode_array, buffer=digest)))
OVERRIDES.update(dict.fromkeys(DTYPES, partial(encode_dtype, buffer=digest)))
