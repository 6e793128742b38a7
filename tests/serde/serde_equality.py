"""Exact equality: the same value and the same type, all the way down, NaN equal to NaN and -0.0 not to 0.0."""

from __future__ import annotations

import dataclasses
import enum
import math
import types
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
from langgraph.store.base import Item
from pydantic import BaseModel


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are the same in value and type."""
    if type(a) is not type(b):
        return False
    if isinstance(a, enum.Enum):
        return a is b
    if type(a) is float:
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    if type(a) is Decimal:
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, np.ndarray):
        return _same_arrays(a, b)
    if isinstance(a, np.void) and a.dtype.names:  # field by field: what the padding holds is no content
        return a.dtype == b.dtype and _same_arrays(np.asarray(a), np.asarray(b))
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.dtype.char == b.dtype.char and same_numbers(a, b)
    if type(a) in (dict, OrderedDict, defaultdict, Counter):
        if type(a) is defaultdict and a.default_factory is not b.default_factory:
            return False
        return _same_items([part for pair in a.items() for part in pair], [part for pair in b.items() for part in pair])
    if type(a) in (set, frozenset):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if type(a) is deque:
        return a.maxlen == b.maxlen and _same_items(a, b)
    if type(a) is list or isinstance(a, tuple):
        return _same_items(a, b)
    if isinstance(a, BaseModel):
        state = [a.__dict__, a.__pydantic_extra__, a.__pydantic_private__]
        other = [b.__dict__, b.__pydantic_extra__, b.__pydantic_private__]
        return same(state, other) and a.__pydantic_fields_set__ == b.__pydantic_fields_set__
    if isinstance(a, BaseException):
        fields = [name for name in dir(a) if name not in _OF_THE_RAISE and not callable(getattr(a, name, None))]
        return all(same(getattr(a, name, _UNSET), getattr(b, name, _UNSET)) for name in (*fields, "__dict__"))
    if type(a).__base__ is not object and isinstance(a, _REDUCED) and type(a) not in _REDUCED:
        return _same_parts(a.__reduce_ex__(4), b.__reduce_ex__(4))
    if isinstance(a, (types.SimpleNamespace, UserDict, UserList, UserString, ChainMap)):
        return same(vars(a), vars(b))
    if isinstance(a, types.MappingProxyType):
        return same(a | {}, b | {})
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return same(_attributes(a), _attributes(b))
    if isinstance(a, Item):
        return all(same(getattr(a, name), getattr(b, name)) for name in (*Item.__slots__, *type(a).__slots__))
    if type(a) is slice:
        return _same_items([a.start, a.stop, a.step], [b.start, b.stop, b.step])
    if hasattr(a, "fold"):
        return a == b and a.fold == b.fold and same_zone(a.tzinfo, b.tzinfo) and repr(a) == repr(b)
    return bool(a == b) and repr(a) == repr(b)


_UNSET = object()
_OF_THE_RAISE = {"__traceback__", "__cause__", "__context__", "__doc__", "__weakref__", "__dict__", "__slots__"}
_REDUCED = (str, int, float, complex, bytes, bytearray, tuple, list, dict, set, frozenset, deque, date, time, timedelta)
_REDUCED += (Decimal, Fraction, UUID)  # type: ignore[assignment]


def _same_parts(a: Any, b: Any) -> bool:
    """Tell whether pickle would see the same in both, an iterator being its items."""
    parts = [[*each] if hasattr(each, "__next__") else each for each in a]
    return same(parts, [[*each] if hasattr(each, "__next__") else each for each in b])


def same_zone(a: Any, b: Any) -> bool:
    """Tell whether two time zones are of the same kind and name."""
    return type(a) is type(b) and repr(a) == repr(b)


def _same_items(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))


def _same_arrays(a: Any, b: Any) -> bool:
    if (a.dtype, a.dtype.char, a.dtype.str, a.shape) != (b.dtype, b.dtype.char, b.dtype.str, b.shape):
        return False
    if not b.flags.writeable or a.flags.fnc != b.flags.fnc:
        return False
    if a.dtype == object:
        return same(a.tolist(), b.tolist())
    if a.dtype.names:
        return all(_same_arrays(a[name], b[name].copy()) for name in a.dtype.names)
    return same_numbers(a, b)


def same_numbers(a: Any, b: Any) -> bool:
    """Tell whether arrays or scalars of one type hold the same; of long doubles some bytes are padding."""
    if a.dtype.char in "gG":
        return bool(np.array_equal(a, b, equal_nan=True)) and bool((np.signbit(a.real) == np.signbit(b.real)).all())
    return bool(a.tobytes() == b.tobytes())


def _attributes(obj: Any) -> dict[str, Any]:
    found = dict(getattr(obj, "__dict__", {}))
    for name in obj.__dataclass_fields__:
        if hasattr(obj, name):
            found[name] = getattr(obj, name)
    return dict(sorted(found.items()))
