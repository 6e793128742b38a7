"""Exact equality of what pandas, polars and NumPy's masked arrays are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from polars.testing import assert_frame_equal, assert_series_equal


def assert_same(a: Any, b: Any) -> None:
    """Assert that two values are the same in value, type, dtype, labels and names."""
    assert type(a) is type(b)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True, check_freq=True, check_flags=True)
        assert a.attrs == b.attrs
        assert_same(a.index, b.index)
        assert_same(a.columns, b.columns)
        for position in range(a.shape[1]):
            assert_same(a.iloc[:, position], b.iloc[:, position])
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_exact=True, check_freq=True, check_flags=True)
        assert (a.attrs, repr(a.name)) == (b.attrs, repr(b.name))
        assert type(a.array) is type(b.array)
        assert a.dtype != object or [*map(repr, a)] == [*map(repr, b)]
        assert_same(a.index, b.index)
    elif isinstance(a, pd.Index):
        _assert_same_indexes(a, b)
    elif isinstance(a, pd.api.extensions.ExtensionArray):
        pd.testing.assert_extension_array_equal(a, b, check_exact=True)
        assert repr(a.dtype) == repr(b.dtype)
    elif isinstance(a, (pl.DataFrame, pl.Series)):
        compare: Any = assert_frame_equal if isinstance(a, pl.DataFrame) else assert_series_equal
        compare(a, b, check_exact=True)
        assert repr(a) == repr(b)
        dtypes = [x.dtypes if isinstance(x, pl.DataFrame) else [x.dtype] for x in (a, b)]
        assert [*map(repr, dtypes[0])] == [*map(repr, dtypes[1])]
    elif isinstance(a, np.ma.MaskedArray):
        assert repr(a._fill_value) == repr(b._fill_value)
        assert (a._mask is np.ma.nomask, a._hardmask, a.dtype) == (b._mask is np.ma.nomask, b._hardmask, b.dtype)
        assert np.array_equal(a._mask, b._mask)
        assert a.data.tobytes() == b.data.tobytes() if a.dtype != object else a.data.tolist() == b.data.tolist()
    elif a is pd.NaT or a is pd.NA or a is np.ma.masked:
        assert a is b
    else:
        assert a == b
        assert repr(a) == repr(b)
        for name in ("unit", "fold", "tzinfo", "freqstr", "closed"):
            assert getattr(a, name, None) == getattr(b, name, None)


def _assert_same_indexes(a: Any, b: Any) -> None:
    pd.testing.assert_index_equal(a, b, exact=True, check_exact=True)
    assert (a.dtype, [*map(repr, a.names)]) == (b.dtype, [*map(repr, b.names)])
    assert getattr(a, "freq", None) == getattr(b, "freq", None)
    if isinstance(a, pd.MultiIndex):
        for x, y in zip(a.levels, b.levels, strict=True):
            assert_same(x, y)
    elif not isinstance(a, pd.RangeIndex):
        assert type(a.array) is type(b.array)
        assert repr(a.dtype) == repr(b.dtype)
