"""Numbers and byte strings that msgpack lacks or would change."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any
from uuid import UUID, SafeUUID

from hitrate.errors import DecodeError
from hitrate.serde.registry import Hook, of_parts, register

BIG_INT = 20
BYTEARRAY = 21
COMPLEX = 22
DECIMAL = 23
RANGE = 25
SLICE = 26
UUID_ = 27
ELLIPSIS = 28

TWO_DOUBLES = struct.Struct(">dd")
_SAFETY = [SafeUUID.unknown, SafeUUID.safe, SafeUUID.unsafe]


def _decode_decimal(data: bytes, hook: Hook) -> Any:
    text = data.decode("ascii")
    made = Decimal(text)
    # With all traps off, Decimal would turn malformed text into NaN.
    if str(made) != text:
        raise DecodeError("a stored Decimal is none")
    return made


def _slice_of(start: Any, stop: Any, step: Any) -> Any:
    return slice(start, stop, step)


def _range_of(*numbers: Any) -> Any:
    if len(numbers) != 3 or any(type(each) is not int for each in numbers):
        raise DecodeError("a stored range is none")
    return range(*numbers)


register(
    BIG_INT,
    lambda data, hook: int.from_bytes(data, "big", signed=True),
    types=[int],
    encode=lambda obj, pack: obj.to_bytes(obj.bit_length() // 8 + 1, "big", signed=True),
)
register(BYTEARRAY, lambda data, hook: bytearray(data), types=[bytearray], encode=lambda obj, pack: bytes(obj))
register(
    COMPLEX,
    lambda data, hook: complex(*TWO_DOUBLES.unpack(data)),
    types=[complex],
    encode=lambda obj, pack: TWO_DOUBLES.pack(obj.real, obj.imag),
)
register(DECIMAL, _decode_decimal, types=[Decimal], encode=lambda obj, pack: str(obj).encode())
register(RANGE, of_parts(_range_of), types=[range], encode=lambda obj, pack: pack([obj.start, obj.stop, obj.step]))
register(SLICE, of_parts(_slice_of), types=[slice], encode=lambda obj, pack: pack([obj.start, obj.stop, obj.step]))
register(
    UUID_,
    lambda data, hook: UUID(bytes=data[:-1], is_safe=_SAFETY[data[-1]]),
    types=[UUID],
    encode=lambda obj, pack: obj.bytes + bytes([_SAFETY.index(obj.is_safe)]),
)
register(ELLIPSIS, lambda data, hook: ..., types=[type(...)], encode=lambda obj, pack: b"")
