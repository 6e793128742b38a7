"""Arrays count by element type, shape and content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hitrate import stable_key

RECORD = np.dtype([("id", "i1"), ("at", "f8", (2,))], align=True)


def test_element_type_shape_and_content_count() -> None:
    arrays: list[Any] = [
        *(np.arange(6), np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2), np.arange(6, dtype="i4")),
        *(np.arange(6.0), np.arange(6, dtype=">i8"), np.arange(1, 7), np.array(5), np.array([5]), np.int64(5), 5),
        *(np.zeros((0, 3)), np.zeros((3, 0)), np.array(["a"]), np.array([b"a"]), np.array(["a"], "U2"), np.str_("a")),
        *(np.array([1, None], object), np.array([1.0, None], object), np.array(["2026-01-01"], "M8[D]"), "a"),
        *(np.array([True]), np.bool_(True), True, np.zeros(1, RECORD), np.zeros(1, RECORD)[0], np.array([0.0, -0.0])),
        *(np.array([0.0, 0.0]), np.float32(1.5), np.float64(1.5), 1.5, [0, 1, 2, 3, 4, 5]),
    ]
    keys = [stable_key(each) for each in arrays]
    assert len({*keys}) == len(keys)


@pytest.mark.parametrize("dtype", ["i4", "f8", "c16", "g", "G", "M8[s]", "U3", "O", "V5"])
def test_the_layout_in_memory_does_not_count(dtype: str) -> None:
    array = np.arange(24).astype("S5").astype(dtype) if dtype == "V5" else np.arange(24).astype(dtype)
    array = array.reshape(4, 6)
    key = stable_key(array)
    wide = np.zeros((8, 12), dtype)
    wide[::2, ::2] = array
    for same in (np.asfortranarray(array), wide[::2, ::2], array[::-1].copy()[::-1]):
        assert stable_key(same) == key
    read_only = array.copy()
    read_only.flags.writeable = False
    assert stable_key(read_only) == key
    assert stable_key(array.T) != key


def test_every_nan_is_one_in_arrays() -> None:
    for dtype in ("f2", "f4", "f8", "g"):
        assert stable_key(np.array([1, np.nan], dtype)) == stable_key(-np.array([-1, np.nan], dtype))
        assert stable_key(np.array([np.nan], dtype)[0]) == stable_key((-np.array([np.nan], dtype))[0])
    assert stable_key(np.array([complex(np.nan, 1)])) == stable_key(np.array([complex(-np.nan, 1)]))
    assert stable_key(np.array([complex(np.nan, 1)])) != stable_key(np.array([complex(1, np.nan)]))
    assert stable_key(np.array([1, np.nan], object)) == stable_key(np.array([1, -np.nan], object))


def test_an_array_is_not_changed() -> None:
    array = np.array([1, -np.nan])
    before = array.tobytes()
    stable_key(array)
    assert array.tobytes() == before


def test_what_is_between_the_fields_of_a_record_does_not_count() -> None:
    one, other = (np.frombuffer(bytearray(filler * 48), RECORD) for filler in (b"\0", b"\xff"))
    other["id"], other["at"] = 0, 0
    assert one.view("u1")[1] != other.view("u1")[1]
    assert stable_key(one) == stable_key(other)


def test_an_integer_type_counts_by_its_size_and_not_by_its_name_in_c() -> None:
    assert stable_key(np.array([1], np.longlong)) == stable_key(np.array([1], np.int64))
    assert stable_key(np.longlong(1)) == stable_key(np.int64(1))
