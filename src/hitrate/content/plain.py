"""Types of the standard library whose stored form keeps what does not tell two values apart, such as an order."""

from __future__ import annotations

import re
from collections import OrderedDict
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

from hitrate.content.rules import NAN, OVERRIDES
from hitrate.serde.registry import INNER, Pack, Refused
from hitrate.serde.scalars import TWO_DOUBLES


def _encode_set(obj: Any, pack: Pack) -> bytes:
    return b"".join(sorted(map(pack, obj)))


def _encode_ordered_dict(obj: OrderedDict[Any, Any], pack: Pack) -> bytes:
    if vars(obj):
        raise Refused("it has attributes of its own besides its items")
    return pack([*chain.from_iterable(obj.items())])


def _encode_decimal(obj: Decimal, pack: Pack) -> bytes:
    if obj.is_nan():
        return b"sNaN" if obj.is_snan() else b"NaN"
    return str(obj).encode()


OVERRIDES[set] = OVERRIDES[frozenset] = _encode_set
OVERRIDES[OrderedDict] = _encode_ordered_dict
OVERRIDES[complex] = lambda obj, pack: TWO_DOUBLES.pack(
    *(NAN if part != part else part for part in (obj.real, obj.imag))
)
OVERRIDES[Decimal] = _encode_decimal
OVERRIDES[UUID] = lambda obj, pack: obj.bytes  # without is_safe, which tells how the UUID was made
# Without the bytes that say how long the pattern may take to compile.
OVERRIDES[re.Pattern] = lambda obj, pack: pack([obj.pattern, obj.flags], INNER)
