"""The elements of a buffer as plain values, without the library that stored it: for people who look into a cache.

A description of an element type is read here and not given to NumPy, which need not be there. An element that cannot be
read raises one of the usual errors (ValueError, TypeError, LookupError, struct.error); nothing is made of the others.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

_PLAIN = re.compile(r"([<>|=])([biufcSUVmMqQlL])([0-9]{0,10})(?:\[([0-9]{0,9})([A-Za-z]{1,7})\])?", re.ASCII)
_MAX_NESTING = 16
_FIELDS_AT_MOST = 20
_NAMES = {"i": "int", "q": "int", "l": "int", "u": "uint", "Q": "uint", "L": "uint", "f": "float", "c": "complex"}
_FLOATS = {2: "e", 4: "f", 8: "d"}
_WORD = 8
_SECONDS = {"W": 604_800, "D": 86_400, "h": 3600, "m": 60, "s": 1}
_DIGITS = {"ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}
_NOT_A_TIME = -(1 << 63)
_EPOCH = datetime(1970, 1, 1)


class Column(NamedTuple):
    """Elements that are read one by one, when they are shown.

    Attributes:
        dtype: what they are.
        length: how many there are.
        at: returns the element at a place.
    """

    dtype: str
    length: int
    at: Callable[[int], Any]

    def first(self, count: int) -> list[Any]:
        """Return the first elements, at most so many."""
        return [self.at(place) for place in range(min(count, self.length))]


class ElementType(NamedTuple):
    """How one element is read.

    Attributes:
        name: of the type, as NumPy has it.
        size: bytes.
        read: returns the element of so many bytes.
    """

    name: str
    size: int
    read: Callable[[bytes], Any]


def buffer_column(spec: Any, content: bytes) -> Column:
    """Return the elements of a buffer, whose type is described as ``numpy_.describe`` does."""
    name, size, read = element_type(spec)
    length = len(content) // size if size else 0
    return Column(name, length, lambda place: read(content[place * size : place * size + size]))


def element_type(spec: Any, nesting: int = 0) -> ElementType:
    """Return the element type of a description."""
    if nesting > _MAX_NESTING:
        raise ValueError("a type is nested too deeply")
    if isinstance(spec, str):
        return _plain_type(spec)
    kind, *parts = spec
    if kind == "sub":
        return _array_type(element_type(parts[0], nesting + 1), parts[1])
    if kind != "struct":
        raise ValueError("a description of a type is none")
    names, formats, offsets, _, size, _ = parts
    fields = [
        (name, offset, element_type(each, nesting + 1))
        for name, each, offset in zip(names[:_FIELDS_AT_MOST], formats, offsets, strict=False)
    ]
    said = ", ".join(f"{name}: {each.name}" for name, _, each in fields)
    more = ", ..." if len(names) > len(fields) else ""
    return ElementType(
        f"{{{said}{more}}}",
        size,
        lambda data: {name: each.read(data[offset : offset + each.size]) for name, offset, each in fields},
    )


def _array_type(base: ElementType, shape: list[int]) -> ElementType:
    count = math.prod(shape)
    shown = min(count, _FIELDS_AT_MOST)
    return ElementType(
        f"{base.name}{shape}",
        base.size * count,
        lambda data: [base.read(data[place * base.size : (place + 1) * base.size]) for place in range(shown)],
    )


def _plain_type(spec: str) -> ElementType:
    found = _PLAIN.fullmatch(spec)
    if found is None:
        raise ValueError("a description of a type is none")
    sign, letter, digits, multiple, unit = found.groups()
    is_big = sign == ">" or (sign == "=" and sys.byteorder == "big")
    size = int(digits or _WORD) * (4 if letter == "U" else 1)
    order: Any = "big" if is_big else "little"
    if letter == "b":
        return ElementType("bool", size, lambda data: data != b"\0")
    if letter in "SUV":
        name = spec if letter == "U" else spec.lstrip("|<>=")
        return ElementType(name, size, _reader_of_text(letter, order))
    if letter in "mM":
        of_time = instant if letter == "M" else span
        name = f"{'datetime64' if letter == 'M' else 'timedelta64'}[{multiple or ''}{unit or 'generic'}]"
        many = int(multiple or 1)
        return ElementType(
            name, size, lambda data: of_time(int.from_bytes(data, order, signed=True), unit or "generic", many)
        )
    name = f"{_NAMES[letter]}{size * 8}" if sign != ">" else spec
    if letter == "f":
        return ElementType(name, size, _reader_of_floats(size, is_big=is_big))
    if letter == "c":
        half = size // 2
        read = _reader_of_floats(half, is_big=is_big)
        return ElementType(name, size, lambda data: complex(read(data[:half]), read(data[half:])))
    signed = letter in "iql"
    return ElementType(name, size, lambda data: int.from_bytes(data, order, signed=signed))


def _reader_of_text(letter: str, order: str) -> Callable[[bytes], Any]:
    if letter == "U":
        encoding = "utf-32-be" if order == "big" else "utf-32-le"
        return lambda data: data.decode(encoding, "replace").rstrip("\0")
    return (lambda data: data.rstrip(b"\0")) if letter == "S" else bytes


def _reader_of_floats(size: int, *, is_big: bool) -> Callable[[bytes], Any]:
    if size not in _FLOATS:  # C's long double, whose form only the machine that wrote it knows
        return lambda data: f"0x{data.hex()}"
    form = struct.Struct((">" if is_big else "<") + _FLOATS[size])

    def read(data: bytes) -> float:
        value: float = form.unpack(data)[0]
        return value if size == _WORD or not math.isfinite(value) else _shortest(value, data, form)

    return read


def _shortest(value: float, data: bytes, form: struct.Struct) -> float:
    """Return the float that is written in the fewest digits among those that a smaller one stands for."""
    for digits in range(1, 10):
        near = float(f"{value:.{digits}g}")
        try:
            if form.pack(near) == data:
                return near
        except OverflowError:  # rounded up from the largest
            pass
    return value


# Times


def instant(number: int, unit: str, multiple: int = 1) -> str:
    """Return a moment as text.

    Args:
        number: how many units it is after 1970 began.
        unit: as NumPy names it.
        multiple: by what the number is to be multiplied.
    """
    if number == _NOT_A_TIME:
        return "NaT"
    number *= multiple
    if unit == "Y":
        return f"{1970 + number}"
    if unit == "M":
        return f"{1970 + number // 12}-{number % 12 + 1:02}"
    try:
        seconds, fraction = _seconds_and_fraction(number, unit)
        moment = _EPOCH + timedelta(seconds=seconds)
    except (KeyError, OverflowError):
        return f"{number} {unit} since 1970"
    return moment.date().isoformat() if unit in ("W", "D") else moment.isoformat() + fraction


def span(number: int, unit: str, multiple: int = 1) -> str:
    """Return a span of time as text; the arguments are those of ``instant``."""
    if number == _NOT_A_TIME:
        return "NaT"
    number *= multiple
    try:
        seconds, fraction = _seconds_and_fraction(abs(number), unit)
        return f"{'-' if number < 0 else ''}{timedelta(seconds=seconds)}{fraction}"
    except (KeyError, OverflowError):
        return f"{number} {unit}"


def _seconds_and_fraction(number: int, unit: str) -> tuple[int, str]:
    if unit in _SECONDS:
        return number * _SECONDS[unit], ""
    digits = _DIGITS[unit]
    seconds, rest = divmod(number, 10**digits)
    return seconds, f".{rest:0{digits}}".rstrip("0") if rest else ""
