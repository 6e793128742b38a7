"""Time zones of pytz: by name, and with the offset whose instance a localised datetime carries."""

from __future__ import annotations

from typing import Any

import pytz
from pytz.tzinfo import DstTzInfo, StaticTzInfo

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry
from hitrate.serde.registry import FINDERS, INNER, Pack, Refused, Rule, made_again, of_parts, register
from hitrate.serde.times import is_zone_key

PYTZ = 66

_FIXED: Any = type(pytz.FixedOffset(1))


def _encode(obj: Any, pack: Pack) -> bytes:
    state = _state_of(obj)
    if made_again(_zone_of, *state) is not obj:
        raise Refused("pytz does not give it for its name and offset")
    return pack(state, INNER)


def _state_of(obj: Any) -> list[Any]:
    if type(obj) is _FIXED:
        return [obj._minutes]
    if type(obj) is type(pytz.UTC):
        return ["UTC"]
    if DstTzInfo not in ancestry(type(obj)) or obj is pytz.timezone(obj.zone):
        return [obj.zone]
    return [obj.zone, obj._utcoffset, obj._dst, obj._tzname]


def _zone_of(name: Any, *offset: Any) -> Any:
    if type(name) is int and not offset and abs(name) < 24 * 60:
        return pytz.FixedOffset(name)
    if type(name) is not str or not is_zone_key(name):
        raise DecodeError("a stored time zone of pytz is none")
    zone: Any = pytz.timezone(name)
    if zone.zone != name:
        raise DecodeError("a stored time zone of pytz is none")
    if offset:
        zone = zone._tzinfos[offset]
    return zone


def _find(cls: type) -> Rule | None:
    # Each zone is the one instance, or the family of instances, of a class that pytz makes for it.
    bases = ancestry(cls)
    return (PYTZ, _encode) if DstTzInfo in bases or StaticTzInfo in bases else None


register(
    PYTZ,
    of_parts(_zone_of),
    types=[type(pytz.UTC), _FIXED],
    encode=_encode,
)
FINDERS.append(_find)
