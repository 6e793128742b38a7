"""Packed vectors: whatever numbers go in come out, and whatever bytes are stored do no harm."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitrate.langchain.vectors import is_packed, packed, unpacked

singles = st.floats(width=32)
numbers = st.one_of(st.floats(), singles, st.integers(), st.booleans())
vectors = st.one_of(
    st.lists(singles),
    st.lists(st.floats()),
    st.lists(st.integers()),
    st.lists(st.integers(-128, 127)),
    st.lists(st.integers(0, 255)),
    st.lists(numbers),
    st.lists(st.lists(numbers)),
)


def bits(value: Any) -> Any:
    """Return what tells any two numbers apart, NaNs and zeros included."""
    if isinstance(value, list):
        return [bits(each) for each in value]
    return struct.pack("d", value) if type(value) is float else (type(value), value)


@settings(deadline=None)
@given(vectors)
def test_any_vector_comes_back_bit_by_bit(vector: list[Any]) -> None:
    value = packed(vector)
    assert is_packed(value)
    assert bits(unpacked(value)) == bits(vector)


@settings(deadline=None)
@given(st.one_of(st.binary(), st.binary(max_size=20).map(lambda tail: b"f\x01\x00\x00\x00" + tail)))
def test_any_bytes_are_a_vector_or_none(value: bytes) -> None:
    if is_packed(value):
        assert bits(unpacked(packed(unpacked(value)))) == bits(unpacked(value))


@settings(deadline=None)
@given(st.lists(singles, min_size=1), st.data())
def test_a_vector_that_was_cut_or_grew_is_none(vector: list[float], data: st.DataObject) -> None:
    value = packed(vector)
    assert type(value) is bytes
    assert not is_packed(value[: data.draw(st.integers(0, len(value) - 1))])
    assert not is_packed(value + b"\x00")


@pytest.mark.parametrize("code", ["f", "d", "b", "B", "q"])
def test_the_format_is_little_endian_and_stays(code: str) -> None:
    vector: list[Any] = {"f": [1.5, -2.0], "d": [0.1, math.pi], "b": [-1, 5], "B": [0, 200], "q": [-300, 2**40]}[code]
    assert packed(vector) == code.encode() + struct.pack(f"<I2{code}", 2, *vector)
