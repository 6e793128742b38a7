"""Types of the standard library whose stored form keeps what does not tell two values apart, such as an order."""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

from hitrate.content.rules import NAN, OVERRIDES
from hitrate.serde.registry import INNER, Pack, Refused

_TWO_DOUBLES = struct.Struct(">dd")


def _encode_set(obj: Any, pack: Pack) -> bytes:
    return b"".join(sorted(map(pack, obj)))


def _encode_ordered_dict(obj: OrderedDict[Any, Any], pack: Pack) -> bytes:
    if vars(obj):
        raise Refused("it has attributes of its own besides its items")
    return pack([*chain.from_iterable(obj.items())])


def _encode_complex(obj: complex, pack: Pack) -> bytes:
    return _TWO_DOUBLES.pack(*(NAN if part != part else part for part in (obj.real, obj.imag)))


def _encode_decimal(obj: Decimal, pack: Pack) -> bytes:
    if obj.is_nan():
        return b"sNaN" if obj.is_snan() else b"NaN"
    return str(obj).encode()


def _encode_uuid(obj: UUID, pack: Pack) -> bytes:
    # Without is_safe, which tells how the UUID was made.
    return obj.bytes


def _encode_pattern(obj: re.Pattern[Any], pack: Pack) -> bytes:
    # Without the bytes that say how long the pattern may take to compile.
    return pack([obj.pattern, obj.flags], INNER)


OVERRIDES.update(
    {
        set: _encode_set,
        frozenset: _encode_set,
        OrderedDict: _encode_ordered_dict,
        complex: _encode_complex,
        Decimal: _encode_decimal,
        UUID: _encode_uuid,
        re.Pattern: _encode_pattern,
    }
)
