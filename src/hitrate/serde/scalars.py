"""Numbers and byte strings that msgpack lacks or would change."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any
from uuid import UUID, SafeUUID

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.registry import Hook, Pack, listed, register

BIG_INT = 20
BYTEARRAY = 21
COMPLEX = 22
DECIMAL = 23
RANGE = 25
SLICE = 26
UUID_ = 27
ELLIPSIS = 28

_TWO_DOUBLES = struct.Struct(">dd")
_SAFETY = [SafeUUID.unknown, SafeUUID.safe, SafeUUID.unsafe]


def _encode_big_int(obj: int, pack: Pack) -> bytes:
    return obj.to_bytes(obj.bit_length() // 8 + 1, "big", signed=True)


def _decode_big_int(data: bytes, hook: Hook) -> Any:
    return int.from_bytes(data, "big", signed=True)


def _encode_bytearray(obj: bytearray, pack: Pack) -> bytes:
    return bytes(obj)


def _decode_bytearray(data: bytes, hook: Hook) -> Any:
    return bytearray(data)


def _encode_complex(obj: complex, pack: Pack) -> bytes:
    return _TWO_DOUBLES.pack(obj.real, obj.imag)


def _decode_complex(data: bytes, hook: Hook) -> Any:
    return complex(*_TWO_DOUBLES.unpack(data))


def _encode_decimal(obj: Decimal, pack: Pack) -> bytes:
    return str(obj).encode()


def _decode_decimal(data: bytes, hook: Hook) -> Any:
    text = data.decode("ascii")
    made = Decimal(text)
    # With all traps off, Decimal would turn malformed text into NaN.
    if str(made) != text:
        raise DecodeError("a stored Decimal is none")
    return made


def _encode_range(obj: range, pack: Pack) -> bytes:
    return pack([obj.start, obj.stop, obj.step])


def _decode_range(data: bytes, hook: Hook) -> Any:
    numbers = listed(unpackb(data, ext_hook=hook))
    if len(numbers) != 3 or any(type(each) is not int for each in numbers):
        raise DecodeError("a stored range is none")
    return range(*numbers)


def _encode_slice(obj: Any, pack: Pack) -> bytes:
    return pack([obj.start, obj.stop, obj.step])


def _decode_slice(data: bytes, hook: Hook) -> Any:
    start, stop, step = listed(unpackb(data, ext_hook=hook))
    return slice(start, stop, step)


def _encode_uuid(obj: UUID, pack: Pack) -> bytes:
    return obj.bytes + bytes([_SAFETY.index(obj.is_safe)])


def _decode_uuid(data: bytes, hook: Hook) -> Any:
    return UUID(bytes=data[:-1], is_safe=_SAFETY[data[-1]])


def _encode_ellipsis(obj: Any, pack: Pack) -> bytes:
    return b""


def _decode_ellipsis(data: bytes, hook: Hook) -> Any:
    return ...


register(BIG_INT, _decode_big_int, types=[int], encode=_encode_big_int)
register(BYTEARRAY, _decode_bytearray, types=[bytearray], encode=_encode_bytearray)
register(COMPLEX, _decode_complex, types=[complex], encode=_encode_complex)
register(DECIMAL, _decode_decimal, types=[Decimal], encode=_encode_decimal)
register(RANGE, _decode_range, types=[range], encode=_encode_range)
register(SLICE, _decode_slice, types=[slice], encode=_encode_slice)
register(UUID_, _decode_uuid, types=[UUID], encode=_encode_uuid)
register(ELLIPSIS, _decode_ellipsis, types=[type(...)], encode=_encode_ellipsis)
