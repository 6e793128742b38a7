"""Fresh copies of a decoded value, made faster than by decoding it again.

A value is compiled once into small closures: what is immutable is shared, a container of immutables is its own bound
``copy``, a container of others is copied and then given copies of those, an instance is restored from a copied state.
Where that would cost more than ``unpackb``, as for plain data of many small containers, there is no copier.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
import pathlib
import re
import sys
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from uuid import UUID

from hitrate.serde.registry import Refused, form_of, load_core, rule_of
from hitrate.serde.subclasses import content_of, holds_only_content, remaker

Make = Callable[[], Any]

_ATOMS = frozenset(
    {
        *(type(None), type(...), bool, int, float, complex, str, bytes, range, Decimal, Fraction, UUID, re.Pattern),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone, zoneinfo.ZoneInfo),
        *(pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath),
        *(ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv4Interface),
        *(ipaddress.IPv6Address, ipaddress.IPv6Network, ipaddress.IPv6Interface),
    }
)
_MAPPINGS = frozenset({dict, OrderedDict, defaultdict, Counter})

# Nanoseconds, measured: what an item or a container costs to decode and to copy.
_DECODE_ITEM, _DECODE_LIST, _DECODE_DICT, _DECODE_EXTENSION, _DECODE_INSTANCE = 20, 28, 60, 290, 1000
_COPY_ITEM, _COPY_CONTAINER, _COPY_CHILD, _COPY_CONTENT, _COPY_INSTANCE = 3, 40, 38, 110, 420


def is_immutable(value: Any) -> bool:
    """Tell whether a value is immutable all the way down, so that it can be shared as it is.

    Args:
        value: a decoded value.
    """
    cls = type(value)
    if cls in _ATOMS:
        return True
    if cls is tuple or cls is frozenset:
        return all(map(is_immutable, value))
    if issubclass(cls, enum.Enum):
        return True
    base = holds_only_content(cls)
    if base is not None:
        return base not in (tuple, frozenset) or all(map(is_immutable, content_of(value, base)))
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(cls, numpy.generic) and not issubclass(cls, numpy.void)


def copier(value: Any) -> Make | None:
    """Return a function that makes a fresh, exact copy of a value each time it is called.

    Args:
        value: a value that was just decoded and that nobody else holds; it becomes the template, so it must not be
            changed or handed out afterwards.

    Returns:
        The function, or None when decoding is as good. Of an immutable value it returns the value itself.
    """
    load_core()
    tried = _Copying()
    try:
        make = tried.of(value)
    except (_NoCopy, RecursionError):
        return None
    if make is None:
        return lambda: value
    # Templates cost memory and garbage collections, so they have to be clearly faster.
    return make if tried.copying < 0.85 * tried.decoding else None


class _NoCopy(Exception):
    """Raised for a value that holds something which only decoding can make."""


class _Copying:
    def __init__(self) -> None:
        self.copying = 0
        self.decoding = 0

    def of(self, value: Any) -> Make | None:
        """Return what makes a copy of a value, None if the value itself will do."""
        cls = type(value)
        if cls in _ATOMS:
            self.decoding += _DECODE_ITEM
            return None
        if cls is list or cls is tuple or cls is deque:
            return self._sequence(value)
        if cls in _MAPPINGS:
            return self._mapping(value)
        if cls is set or cls is bytearray:
            # Elements of a set are hashable, but an instance of a user's class may be changeable all the same.
            if cls is set and not all(map(is_immutable, value)):
                raise _NoCopy
            self._count(len(value) if cls is set else 0, _DECODE_EXTENSION)
            make: Make = value.copy
            return make
        if is_immutable(value):
            self.decoding += _DECODE_EXTENSION
            return None
        numpy = sys.modules.get("numpy")
        if numpy is not None and cls is numpy.ndarray:
            return self._array(value)
        return self._instance(value)

    def _count(self, items: int, decoding: int) -> None:
        self.decoding += decoding + items * _DECODE_ITEM
        self.copying += _COPY_CONTAINER + items * _COPY_ITEM

    def _mapping(self, value: dict[Any, Any]) -> Make:
        self._count(len(value), _DECODE_DICT)
        if not all(type(key) is str or is_immutable(key) for key in value):
            raise _NoCopy
        return _assembled(value.copy, [(key, make) for key, each in value.items() if (make := self._part(each))])

    def _part(self, value: Any) -> Make | None:
        make = self.of(value)
        if make is not None:
            self.copying += _COPY_CHILD
        return make

    def _sequence(self, value: Any) -> Make | None:
        cls = type(value)
        self._count(0, _DECODE_EXTENSION if cls is deque else _DECODE_LIST)
        if cls is list:
            self.copying += len(value) * _COPY_ITEM
        parts = [(i, make) for i, each in enumerate(value) if (make := self._part(each))]
        if cls is not tuple:
            return _assembled(value.copy, parts)
        if not parts:
            return None
        if len(value) == 2 and len(parts) == 1 and parts[0][0] == 1:
            # What a LangGraph node writes: a channel's name and its value.
            name, make_value = value[0], parts[0][1]
            return lambda: (name, make_value())
        make_list = _assembled([*value].copy, parts)
        return lambda: tuple(make_list())

    def _array(self, value: Any) -> Make:
        if value.dtype.hasobject:
            raise _NoCopy
        self._count(0, _DECODE_INSTANCE)
        if value.dtype.names is not None:
            from hitrate.serde.numpy_ import copied  # which imports NumPy; here it is imported already

            return partial(copied, value)
        copy = value.copy
        return lambda: copy("K")

    def _instance(self, value: Any) -> Make:
        if rule_of(type(value)) is not None:
            raise _NoCopy
        try:
            form = form_of(type(value))
            state = form.dump(value, form.mark)
        except Refused as exc:
            raise _NoCopy from exc
        remake = remaker(type(value), state)
        if remake is not None:
            self.decoding += _DECODE_INSTANCE
            self.copying += _COPY_CONTENT
            return remake
        make_state = self.of(state)
        assert make_state is not None
        self.decoding += _DECODE_INSTANCE
        self.copying += _COPY_INSTANCE
        again = form.again
        return lambda: again(make_state())


def _assembled(copy: Make, parts: list[tuple[Any, Make]]) -> Make:
    """Return what copies a container and then replaces the parts that cannot be shared."""
    if not parts:
        return copy
    if len(parts) == 1:
        ((place, make),) = parts

        def with_one_part() -> Any:
            made = copy()
            made[place] = make()
            return made

        return with_one_part

    def with_parts() -> Any:
        made = copy()
        for place, make in parts:
            made[place] = make()
        return made

    return with_parts
