"""What comes back equals what went in, in value and type."""

from __future__ import annotations

import datetime
import math
from collections import deque
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from hitrate.testing.contract.fixtures import Fixtures
from hitrate.testing.faces import Driver

KEY = (("namespace",), "key")


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


VALUES: dict[str, Any] = {
    "None": None,
    "bool": [True, False],
    "int": [0, -1, 2**31, -(2**63), 2**64 - 1],
    "big int": [2**64, -(2**200)],
    "float": [0.1, -1.5, 1e300, math.inf, -math.inf],
    "negative zero": -0.0,
    "NaN": math.nan,
    "str": ["", "text", "é", "😀", "\x00"],
    "bytes": [b"", b"\x00\xff"],
    "bytearray": bytearray(b"\x00\xff"),
    "list": [[], [1, [2, [3]]]],
    "tuple": ((), (1, (2, [3]))),
    "dict": {"a": 1, "b": {"c": [2]}},
    "dict with keys that are not str": {1: "int", None: "None", (1, "a"): "tuple", b"b": "bytes"},
    "set": {1, 2, 3},
    "frozenset": frozenset({1, 2, 3}),
    "deque": deque([("channel", ["value"]), ("other", None)]),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    "date, time and timedelta": [datetime.date(2026, 1, 2), datetime.time(3, 4), datetime.timedelta(seconds=1.5)],
    "Decimal": Decimal("1.10"),
    "UUID": UUID(int=1),
    "100 levels": nested(100),
    "five megabytes": "v" * 5_000_000,
}


class Values(Fixtures):
    """Values"""

    @pytest.mark.parametrize("kind", VALUES)
    def test_what_comes_back_is_what_went_in(self, cache: Driver, kind: str) -> None:
        """What comes back equals what went in, in value and type."""
        cache.set({KEY: (VALUES[kind], None)})
        found = cache.get([KEY])
        assert KEY in found, "it was not found again"
        assert exact(found[KEY]) == exact(VALUES[kind])


def exact(value: Any) -> Any:
    """A form of ``value`` in which two are equal if they are so in value and type, all the way down."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return kind, sorted(map(repr, value))
    if isinstance(value, list | tuple | deque):
        return kind, [exact(item) for item in value]
    return kind, repr(value)
