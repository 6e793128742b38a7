"""What lies between the fields of NumPy's records: not stored, and no memory of the process is seen in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hitrate import InMemoryCache, MsgpackSerializer, stable_key

ALIGNED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
DTYPES: dict[str, np.dtype[Any]] = {
    "aligned": ALIGNED,
    "before the field": np.dtype({"names": ["a"], "formats": ["u1"], "offsets": [7], "itemsize": 9}),
    "nested": np.dtype([("a", "i1"), ("within", ALIGNED, (2,))], align=True),
    "overlapping": np.dtype({"names": ["a", "b"], "formats": ["u4", "u1"], "offsets": [0, 2], "itemsize": 11}),
    "titled": np.dtype([(("A", "a"), "i1"), ("b", "M8[s]")], align=True),
    "of the other order": np.dtype([("a", "i1"), ("b", ">f8")], align=True),
}
SECRET = b"\xa5"

KEY = (("arrays",), "key")


def filled(dtype: np.dtype[Any], shape: tuple[int, ...], order: Any = "C") -> Any:
    """Return an array that holds the secret wherever no field is, and ones in the fields."""
    array = np.ndarray(shape, dtype, bytearray(SECRET * (int(np.prod(shape)) * dtype.itemsize)), order=order)
    array[...] = np.ones(shape, dtype)
    return array


def clean(array: Any) -> Any:
    """Return the same with zeros in the padding: written number by number, for NumPy copies records whole."""
    made = np.zeros(array.shape, array.dtype, order="F" if array.flags.fnc else "C")
    write_numbers(made, array)
    return made


def write_numbers(made: Any, array: Any) -> None:
    for name in array.dtype.names:
        if array.dtype[name].base.names is None:
            made[name][...] = array[name]
        else:
            write_numbers(made[name], array[name])


VIEWS = {
    "whole": lambda dtype: filled(dtype, (4, 6)),
    "Fortran's order": lambda dtype: filled(dtype, (4, 6), "F"),
    "reversed": lambda dtype: filled(dtype, (4, 6))[::-1],
    "every second": lambda dtype: filled(dtype, (4, 6), "F")[:, ::2],
    "of no dimension": lambda dtype: filled(dtype, ()),
    "empty": lambda dtype: filled(dtype, (3, 0)),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_are_stored_and_restored_without_it(dtype: str, view: str) -> None:
    array = VIEWS[view](DTYPES[dtype])
    serde = MsgpackSerializer()
    encoding, payload = serde.dumps_typed(array)
    assert SECRET not in payload
    assert serde.dumps_typed(clean(array)) == (encoding, payload)
    restored = serde.loads_typed((encoding, payload))
    assert restored.dtype == array.dtype
    assert (restored == array).all()
    assert restored.tobytes("A") == clean(array).tobytes("A")
    assert restored.flags.writeable
    assert restored.flags.owndata


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_are_stored_and_restored_without_it(dtype: str) -> None:
    scalar = filled(DTYPES[dtype], (1,))[0]
    serde = MsgpackSerializer()
    encoding, payload = serde.dumps_typed(scalar)
    assert SECRET not in payload
    restored = serde.loads_typed((encoding, payload))
    assert (type(restored), restored.dtype, restored) == (type(scalar), scalar.dtype, scalar)
    assert restored.tobytes() == clean(np.array(scalar)).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_hit_in_memory_has_the_same_bytes(dtype: str) -> None:
    array = filled(DTYPES[dtype], (5,))[::-1]
    cache: InMemoryCache[Any] = InMemoryCache()
    cache.set({KEY: ({"rows": array}, None)})
    for _ in range(4):
        assert cache.get([KEY])[KEY]["rows"].tobytes() == clean(array).tobytes()


LONG = np.dtype(np.longdouble)
LONG_DOUBLES: dict[str, tuple[Any, list[int]]] = {
    "native": (LONG, [*range(10, 16)]),
    "of the other order": (LONG.newbyteorder(), [*range(6)]),
    "complex": (np.dtype(np.clongdouble), [*range(10, 16), *range(26, 32)]),
    "in a record": (np.dtype([("a", "i1"), ("b", LONG)], align=True), [*range(1, 16), *range(26, 32)]),
}
"""Types with long doubles, and which bytes of an element of 16 bytes a number are padding where it has 80 bits."""


@pytest.mark.skipif(np.finfo(LONG).nmant != 63, reason="a long double of this machine is no number of 80 bits")
@pytest.mark.parametrize("name", LONG_DOUBLES)
def test_the_padding_of_long_doubles_is_neither_stored_nor_part_of_a_key(name: str) -> None:
    dtype, padding = LONG_DOUBLES[name]
    array = np.zeros(3, dtype)
    (array if dtype.names is None else array["b"])[...] = np.arange(1.5, 4)
    payloads, keys = set(), set()
    for filling in (0, SECRET[0], 0xFF):
        content = np.frombuffer(array.tobytes(), np.uint8).reshape(3, -1).copy()
        content[:, padding] = filling
        same = np.ndarray(3, dtype, content)
        payloads.add(MsgpackSerializer().dumps_typed(same))
        keys.add(stable_key(same))
    (pair,), (_,) = payloads, keys
    restored = MsgpackSerializer().loads_typed(pair)
    assert restored.dtype == dtype
    assert (restored == array).all()
