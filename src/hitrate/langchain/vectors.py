"""Vectors as bytes, exactly: of which numbers, how many, and the numbers themselves.

Floats are packed as float32 if each of them is one, which takes half the bytes and is what most models return, and as
float64 if not; ints as the smallest kind that holds them. Others are left to the cache's serializer, which is as exact.
"""

from __future__ import annotations

import sys
from array import array
from copy import deepcopy
from typing import Any, Final

from hitrate.keys import described

_SIZES: Final = {b"f": 4, b"d": 8, b"b": 1, b"B": 1, b"q": 8}
"""Bytes of a number by the mark of its kind, which is its code in ``array``."""

_HEADER: Final = 5  # the mark, and the count in 4 bytes
_SWAPS: Final = sys.byteorder == "big"  # packed numbers are little endian
_NUMBERS: Final = frozenset({float, int, bool})

Packed = bytes | tuple[list[Any]]


def packed(vector: Any) -> Packed:
    """Return a vector as the value that a cache is to keep.

    Args:
        vector: as a model returned it: a list or tuple of numbers, or an array of NumPy's or of another library that
            has ``tolist``. A number of a library's own counts as the number of Python's that it equals.

    Returns:
        Bytes; or, where the numbers are not of one kind, the list of them in a tuple of one.

    Raises:
        TypeError: it is no vector.
    """
    numbers = _listed(vector)
    kinds = set(map(type, numbers))
    for code in "fd" if kinds == {float} else "bBq" if kinds == {int} else "":
        try:
            same = array(code, numbers)
        except OverflowError:
            continue
        if code != "f" or same.tolist() == numbers:
            if _SWAPS:
                same.byteswap()
            return code.encode() + len(same).to_bytes(_HEADER - 1, "little") + same.tobytes()
    if _are_numbers(numbers):
        return (numbers,)
    plain = [_plain(each) for each in numbers]
    if not _are_numbers(plain):
        raise TypeError(f"a vector is a list of numbers, not {described(vector)}")
    return packed(plain)


def is_packed(value: Any) -> bool:
    """Tell whether what a cache holds is what ``packed`` returns: anything may be stored in its place."""
    if type(value) is bytes:
        size = _SIZES.get(value[:1])
        count = int.from_bytes(value[1:_HEADER], "little")
        return size is not None and len(value) == _HEADER + size * count
    return type(value) is tuple and len(value) == 1 and type(value[0]) is list and _are_numbers(value[0])


def unpacked(value: Packed) -> list[Any]:
    """Return the vector of what ``packed`` returned, as a list of the caller's own."""
    if type(value) is tuple:
        return deepcopy(value[0])
    assert type(value) is bytes
    numbers: array[Any] = array(chr(value[0]), value[_HEADER:])
    if _SWAPS:
        numbers.byteswap()
    return numbers.tolist()


def _listed(vector: Any) -> list[Any]:
    if type(vector) is list:
        return vector
    if isinstance(vector, (list, tuple)):
        return [*vector]
    tolist = getattr(vector, "tolist", None)
    numbers = tolist() if callable(tolist) else None
    if type(numbers) is not list:
        raise TypeError(f"a vector is a list of numbers, not {described(vector)}")
    return numbers


def _are_numbers(numbers: list[Any]) -> bool:
    """Tell whether all are Python's numbers, or lists of them: some models have several vectors for a text."""
    if _NUMBERS.issuperset(map(type, numbers)):
        return True
    return all(type(each) in _NUMBERS or (type(each) is list and _are_numbers(each)) for each in numbers)


def _plain(value: Any) -> Any:
    """Return what a scalar or an array of NumPy's, or of a library like it, equals; anything else as it is."""
    if type(value) is list:
        return [_plain(each) for each in value]
    tolist = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value
