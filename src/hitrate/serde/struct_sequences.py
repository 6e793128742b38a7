"""The records that the standard library returns as tuples with names, such as ``time.struct_time``.

They are made in C, with parts that are no items of the tuple: the zone of a time, the nanoseconds of a file. Only those
of a closed list are kept, by the interpreter's own two halves of them.
"""

from __future__ import annotations

import os
import time
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.registry import Pack, Refused, listed, of_parts, register

RECORD = 110

_RECORDS: dict[str, Any] = {
    "struct_time": time.struct_time,
    **{
        name: getattr(os, name)
        for name in ("stat_result", "statvfs_result", "terminal_size", "times_result", "uname_result")
        if hasattr(os, name)  # not every system has them all
    },
}
_NAMES = {cls: name for name, cls in _RECORDS.items()}
_PLAIN = {int, float, str, type(None)}


def _encode(obj: Any, pack: Pack) -> bytes:
    items, others = obj.__reduce__()[1]
    if not {*map(type, items), *map(type, others.values())} <= _PLAIN:
        raise Refused("it holds more than numbers and text")
    return pack([_NAMES[type(obj)], [*items], others])


def _record_of(name: Any, items: Any, others: Any) -> Any:
    cls = _RECORDS.get(name) if type(name) is str else None
    if cls is None or type(others) is not dict or len(listed(items)) != cls.n_sequence_fields:
        raise DecodeError("a stored record is none")
    if not {*map(type, items), *map(type, others.values())} <= _PLAIN:
        raise DecodeError("a stored record holds more than numbers and text")
    made = cls(items, others)
    if made.__reduce__()[1][1].keys() != others.keys():
        raise DecodeError("a stored record lacks a part, or this system knows others of it")
    return made


register(RECORD, of_parts(_record_of), types=_NAMES, encode=_encode)
