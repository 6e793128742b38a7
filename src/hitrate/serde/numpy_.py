"""NumPy arrays and scalars: type, shape, order and the bytes of the buffer.

An element type is described by a small grammar of our own reading, checked against the length of the buffer before
anything is allocated. Arrays come back writable, in C or Fortran order as they were; views come back as their content.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import numpy as np
from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.registry import INNER, Hook, Pack, Refused, listed, of_parts, register

ARRAY = 80
SCALAR = 81
DTYPE = 82

# Byte order, kind and size, or the unit of a time; q, Q, l and L name the C integer that another of the size shadows.
_PLAIN = re.compile(r"[<>|=](?:[biufcSUVmM][0-9]{1,10}(?:\[[0-9]{0,9}[A-Za-z]{1,7}\])?|[qQlL])", re.ASCII)
_MAX_NESTING = 16
# Kinds of elements for which not all bytes are valid, records of them included.
_CHECKED = "UbV"
# Elements of size 0 take no bytes however many there are, but going through them takes time.
_MAX_EMPTY = 64

LONG_DOUBLE_BYTES = 10 if np.finfo(np.longdouble).nmant == 63 else np.dtype(np.longdouble).itemsize
"""How many bytes of a long double hold the number; the rest is padding."""


def describe(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as nested lists of str and int, which lead back to an equal one."""
    spec = _spec_of(dtype)
    try:
        same = _dtype_of(spec)
    except (DecodeError, TypeError, ValueError):
        same = None
    if same is None or same != dtype or same.str != dtype.str or same.isalignedstruct != dtype.isalignedstruct:
        raise Refused(f"its dtype {dtype} cannot be stored")
    if same.char != dtype.char:
        raise Refused(f"its dtype {dtype} cannot be stored")
    return spec


def _spec_of(dtype: np.dtype[Any]) -> Any:
    if dtype.metadata or dtype.hasobject:
        raise Refused(f"its dtype {dtype} holds objects or metadata")
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return ["sub", _spec_of(base), [*shape]]
    if dtype.names is not None:
        columns_by_name: Any = dtype.fields
        columns = [columns_by_name[name] for name in dtype.names]
        return [
            "struct",
            [*dtype.names],
            [_spec_of(column[0]) for column in columns],
            [column[1] for column in columns],
            [column[2] if len(column) > 2 else None for column in columns],
            dtype.itemsize,
            dtype.isalignedstruct,
        ]
    spec = dtype.str
    if dtype.char in "qQlL" and np.dtype(spec).char != dtype.char:
        return spec[0] + dtype.char
    return spec


def _dtype_of(spec: Any, nesting: int = 0) -> np.dtype[Any]:
    if nesting > _MAX_NESTING:
        raise DecodeError("a stored dtype is nested too deeply")
    if type(spec) is str:
        if _PLAIN.fullmatch(spec) is None:
            raise DecodeError("a stored dtype is none")
        return np.dtype(spec)
    kind, *parts = listed(spec)
    if kind == "sub":
        base, shape = _dtype_of(parts[0], nesting + 1), _shape_of(parts[1])
        _refuse_empty(base, shape)
        made: np.dtype[Any] = np.dtype((base, shape))
        return made
    if kind != "struct":
        raise DecodeError("a stored dtype is none")
    names, formats, offsets, titles, itemsize, aligned = parts
    if not all(names):
        raise DecodeError("a stored dtype has a field without a name")
    fields: Any = {
        "names": names,
        "formats": [_dtype_of(each, nesting + 1) for each in formats],
        "offsets": offsets,
        "itemsize": itemsize,
    }
    if any(title is not None for title in titles):
        fields["titles"] = titles
    whole: np.dtype[Any] = np.dtype(fields, align=aligned is True)
    return whole


def _is_whole(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether reading the elements works: any bytes are numbers, but not any are characters or booleans."""
    if array.dtype.names is not None:
        return all(_is_whole(array[name]) for name in array.dtype.names)
    if array.dtype.kind == "U" and array.size and array.itemsize:
        points = np.ascontiguousarray(array).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        return int(points.max()) <= sys.maxunicode
    if array.dtype.kind == "b" and array.size:
        return int(array.view(np.uint8).max()) <= 1
    return True


def _refuse_empty(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if dtype.itemsize == 0 and math.prod(shape) > _MAX_EMPTY:
        raise DecodeError("a stored array has too many elements of no size")


def _shape_of(stored: Any) -> tuple[int, ...]:
    shape = tuple(listed(stored))
    if len(shape) > 64 or any(type(each) is not int or each < 0 for each in shape):
        raise DecodeError("a stored shape is none")
    return shape


def holds_objects(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether the elements are any Python objects, so that they are to be written one by one."""
    return array.dtype == object and array.dtype.char == "O" and not array.dtype.metadata


def _encode_array(obj: np.ndarray[Any, Any], pack: Pack) -> bytes:
    if holds_objects(obj):
        return pack([None, [*obj.shape], obj.ravel().tolist(), obj.flags.fnc], INNER)
    if obj.itemsize == 0 and obj.size > _MAX_EMPTY:
        raise Refused("it has too many elements of no size")
    if obj.dtype.kind in _CHECKED and not _is_whole(obj):
        raise Refused("it holds bytes that are no characters or no booleans")
    content = _without_padding(obj, "F" if obj.flags.fnc else "C")
    return pack([describe(obj.dtype), [*obj.shape], content, obj.flags.fnc], INNER)


def _without_padding(array: Any, order: Any = "C") -> bytes:
    """Return the bytes of elements, with zeros in the padding: anything that this process has in memory may lie there.

    NumPy itself does not keep it out: an assignment may copy what lies between the fields of records, or put there what
    was in memory where it works.
    """
    content: bytes = array.tobytes(order)
    if array.dtype.names is None and array.dtype.char not in "gG":
        return content
    elements = np.frombuffer(content, np.uint8).reshape(array.size, array.dtype.itemsize)
    return bytes((elements & _mask_of(array.dtype)).data)


def _mask_of(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return the bytes of an element of this type as ones where they mean something, and zeros in the padding."""
    if dtype.subdtype is not None:
        element, shape = dtype.subdtype
        return np.tile(_mask_of(element), math.prod(shape))
    mask = np.full(dtype.itemsize, 0xFF if dtype.names is None else 0, np.uint8)
    for name in dtype.names or ():
        field, offset = dtype.fields[name][:2]  # type: ignore[index]
        mask[offset : offset + field.itemsize] |= _mask_of(field)
    if dtype.char in "gG":
        number = mask[: np.dtype(np.longdouble).itemsize]
        number[LONG_DOUBLE_BYTES:] = 0
        mask = np.tile(number if dtype.isnative else number[::-1], mask.size // number.size)
    return mask


def _decode_array(data: bytes, hook: Hook) -> Any:
    spec, stored_shape, content, is_fortran = listed(unpackb(data, ext_hook=hook))
    shape, order = _shape_of(stored_shape), "F" if is_fortran is True else "C"
    if spec is None:
        return _object_array(shape, listed(content), order)
    dtype = _dtype_of(spec)
    _refuse_empty(dtype, shape)
    if type(content) is not bytes or dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content):
        raise DecodeError("a stored array does not fill its shape")
    made = np.ndarray(shape, dtype, content, order=order)  # type: ignore[arg-type]
    if dtype.kind in _CHECKED and not _is_whole(made):
        raise DecodeError("a stored array holds what are no characters or no booleans")
    return made.copy("K") if dtype.names is None else copied(made)


def copied(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a copy of an array, in its order, with what lies between fields of records, which NumPy leaves."""
    own = array.copy("K")
    if own.dtype.names is not None and own.nbytes and array.flags.forc:
        _bytes_of(own)[:] = _bytes_of(array)
    return own


def _bytes_of(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    in_order = array if array.flags.c_contiguous else array.T
    return np.ndarray(array.nbytes, np.uint8, in_order)


def _object_array(shape: tuple[int, ...], items: list[Any], order: Any) -> Any:
    if math.prod(shape) != len(items):
        raise DecodeError("a stored array does not fill its shape")
    flat = np.empty(len(items), object)
    # Assigned one by one, so that an element that is itself a sequence stays an element.
    for index, item in enumerate(items):
        flat[index] = item
    return flat.reshape(shape).copy(order)


def text_of(scalar: Any) -> str | bytes | None:
    """Return the text of a scalar that is one: as an array it would lose its trailing NULs."""
    if type(scalar) is np.str_:
        return str.__str__(scalar)
    if type(scalar) is np.bytes_:
        return bytes.__getitem__(scalar, slice(None))
    return None


def _encode_scalar(obj: Any, pack: Pack) -> bytes:
    text = text_of(obj)
    if text is not None:
        return pack([None, text], INNER)
    return pack([describe(obj.dtype), _without_padding(obj)], INNER)


def _scalar_of(spec: Any, content: Any) -> Any:
    if spec is None:
        if type(content) is str:
            return np.str_(content)
        if type(content) is bytes:
            return np.bytes_(content)
    dtype = _dtype_of(spec)
    if type(content) is not bytes or dtype.hasobject or dtype.itemsize != len(content):
        raise DecodeError("a stored scalar has another size")
    whole = copied(np.ndarray((), dtype, content))
    made = whole[()]
    if isinstance(made, np.ndarray):
        raise DecodeError("a stored scalar is an array")
    if dtype.kind in _CHECKED and not _is_whole(whole):
        raise DecodeError("a stored scalar holds what are no characters or no booleans")
    return made


def _encode_dtype(obj: np.dtype[Any], pack: Pack) -> bytes:
    # Objects are the one kind of element that an array of its own encoding has.
    return pack([None if obj.char == "O" and not obj.metadata else describe(obj)])


DTYPES: set[type] = {getattr(np.dtypes, name) for name in np.dtypes.__all__}
SCALARS = {*np.sctypeDict.values(), np.longlong, np.ulonglong, np.int_, np.uint, np.intc, np.uintc} - {np.object_}

register(ARRAY, _decode_array, types=[np.ndarray], encode=_encode_array)
register(SCALAR, of_parts(_scalar_of), types=SCALARS, encode=_encode_scalar)
register(
    DTYPE,
    of_parts(lambda spec: np.dtype(object) if spec is None else _dtype_of(spec)),
    types=DTYPES,
    encode=_encode_dtype,
)
