"""Time zones of dateutil: UTC, fixed offsets, the local one, and those of the time zone database by name."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from dateutil import tz

from hitrate.errors import DecodeError
from hitrate.serde.registry import INNER, Pack, Refused, made_again, of_parts, register
from hitrate.serde.times import is_zone_key

DATEUTIL = 67

_DAY = timedelta(days=1)


def _encode(obj: Any, pack: Pack) -> bytes:
    state = _state_of(obj)
    made = made_again(_zone_of, *state)
    if type(made) is not type(obj) or made != obj or repr(made) != repr(obj):
        raise Refused("dateutil does not give it for a name or an offset")
    return pack(state, INNER)


def _state_of(obj: Any) -> list[Any]:
    if type(obj) is tz.tzutc:
        return ["utc"]
    if type(obj) is tz.tzoffset:
        return ["offset", obj._name, obj._offset]
    if type(obj) is tz.tzlocal:
        return ["local", obj._std_offset, obj._dst_offset, [*obj._tznames]]
    return ["name", _name_of(obj)]


def _name_of(obj: Any) -> str:
    name = getattr(obj, "key", None)  # dateutil 3 and later
    if name is None:
        name = str(obj._filename)
        for directory in tz.TZPATH if hasattr(tz, "TZPATH") else tz.tz.TZPATHS:
            if name.startswith(f"{directory}{os.sep}"):
                name = name[len(directory) + 1 :]
                break
    if not is_zone_key(name):
        raise Refused("it has no name of the time zone database")
    return str(name)


def _zone_of(kind: Any, *rest: Any) -> Any:
    if kind == "utc":
        return tz.UTC
    if kind == "offset":
        name, offset = rest
        if (name is None or type(name) is str) and type(offset) is timedelta and abs(offset) < _DAY:
            return tz.tzoffset(name, offset)
    if kind == "local":
        zone: Any = tz.tzlocal()
        if [zone._std_offset, zone._dst_offset, [*zone._tznames]] == [*rest]:
            return zone
        raise DecodeError("the stored local time zone is not that of this process")
    if kind == "name":
        (name,) = rest
        # Other names are paths, or rules to be computed.
        if type(name) is str and is_zone_key(name):
            zone = tz.gettz(name)
            if type(zone) is tz.tzfile:
                return zone
    raise DecodeError("a stored time zone of dateutil is none")


register(
    DATEUTIL,
    of_parts(_zone_of),
    types=[tz.tzutc, tz.tzoffset, tz.tzlocal, tz.tzfile],
    encode=_encode,
)
