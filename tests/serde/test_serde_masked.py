"""NumPy's masked arrays and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frame_equality import assert_same

from hitrate import stable_key
from hitrate.errors import SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()
ma: Any = np.ma
RECORD = np.dtype([("a", int), ("b", float)])

ARRAYS: list[Any] = [
    *(
        ma.array([1, 2, 3], mask=[0, 1, 0]),
        ma.array([1.0, 2.0]),
        ma.array([1, 2], mask=[0, 0]),
        ma.array([1, 2], mask=True),
    ),
    *(
        ma.array([1, 2], fill_value=7),
        ma.array([1, 2], mask=[1, 0], hard_mask=True),
        ma.array(5, mask=True),
        ma.zeros((0, 3)),
    ),
    *(ma.array([(1, 2.0)], dtype=RECORD, mask=[(0, 1)], fill_value=(9, 9.0)), ma.array(["a", "b"], mask=[0, 1])),
    *(ma.array(["a", "b"], mask=True, fill_value="zz"), ma.array([1, None], mask=[0, 1], dtype=object)),
    *(ma.array(np.asfortranarray(np.ones((2, 3))), mask=np.eye(2, 3)), ma.array([1, 2, 3], mask=[0, 1, 0])[::2]),
    *(ma.array(["2024-01-01"], dtype="M8[D]", mask=[1]), ma.masked, ma.array([float("nan")], mask=[0])),
]
DTYPES = [
    *map(np.dtype, ["f8", "i4", ">i2", "U5", "S3", "M8[ns]", "m8[25s]", "O", "g", "?", "V4", "q", "l"]),
    *(RECORD, np.dtype([("x", "f4", (2, 3)), ("y", RECORD)], align=True), np.dtype("M8")),
]


@pytest.mark.parametrize("position", range(len(ARRAYS)))
def test_a_masked_array_comes_back_as_it_was(position: int) -> None:
    value = ARRAYS[position]
    key = stable_key(value)
    (back,) = serde.loads_typed(serde.dumps_typed([value]))
    assert_same(back, value)
    assert stable_key(back) == key
    assert repr(back) == repr(value)
    # To show an array sets its fill value, which does not change what it is.
    assert stable_key(value) == key


def test_what_is_under_the_mask_counts_and_comes_back() -> None:
    value = ma.array([1, 2], mask=[0, 1])
    back = serde.loads_typed(serde.dumps_typed(value))
    assert back.data.tolist() == [1, 2]
    back.mask = False
    back[0] = 9
    assert back.tolist() == [9, 2]
    assert value.tolist() == [1, None]


def test_different_content_has_different_keys() -> None:
    values = [
        *(
            ma.array([1, 2]),
            ma.array([1, 2], mask=[0, 0]),
            ma.array([1, 2], mask=[0, 1]),
            ma.array([1, 3], mask=[0, 1]),
        ),
        *(ma.array([1, 2], fill_value=7), ma.array([1, 2], hard_mask=True), np.array([1, 2]), ma.masked),
    ]
    assert len({*map(stable_key, values)}) == len(values)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_dtype_comes_back(dtype: np.dtype[Any]) -> None:
    (back,) = serde.loads_typed(serde.dumps_typed([dtype]))
    assert (type(back), back, back.str, back.char, repr(back)) == (
        type(dtype),
        dtype,
        dtype.str,
        dtype.char,
        repr(dtype),
    )
    assert stable_key(back) == stable_key(dtype)


def test_dtypes_have_different_keys() -> None:
    different = [dtype for dtype in DTYPES if dtype.char not in "ql"]
    assert len({*map(stable_key, different)}) == len(different)


MATRIX = np.ones((1, 1)).view(np.matrix)
REFUSED: list[Any] = [
    *(MATRIX, np.rec.array([(1, 2)]), np.random.default_rng(1), ma.array(MATRIX), ARRAYS[8][0]),
    *(np.dtypes.StringDType(), np.dtype([("a", "O")]), np.dtype("f8", metadata={"a": 1}), np.memmap),
    ma.array([object()], mask=[0], dtype=object),
]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_cannot_be_exact_is_refused(value: Any) -> None:
    with pytest.raises(SerializationError):
        serde.dumps_typed(value)
