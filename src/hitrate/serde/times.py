"""Dates and times, to the microsecond, with fold and the kind of time zone they had."""

from __future__ import annotations

import re
import struct
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from pickle import PicklingError
from typing import Any
from zoneinfo import ZoneInfo

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.registry import INNER, Hook, Pack, Refused, listed, register

DATETIME = 40
DATE = 41
TIME = 42
TIMEDELTA = 43
TIMEZONE = 44
ZONEINFO = 45

_DATETIME = struct.Struct(">HBBBBBIB")
_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">BBBIB")
_TIMEDELTA = struct.Struct(">iII")
# ZoneInfo reads the file of this name, so it must not be able to leave the directory of time zones.
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+)*", re.ASCII)


def is_zone_key(text: str) -> bool:
    """Tell whether a text may be a key of the time zone database: no absolute path, and none that leads upwards."""
    return len(text) <= 100 and _ZONE_KEY.fullmatch(text) is not None


def is_zone(value: Any) -> bool:
    """Tell whether a restored value is a time zone; no class of a user is one that was restored."""
    return issubclass(type(value), tzinfo)


def _encode_zone(zone: tzinfo | None, pack: Pack) -> bytes:
    return b"" if zone is None else pack([zone], INNER)


def _decode_zone(data: bytes, hook: Hook) -> Any:
    if not data:
        return None
    (zone,) = listed(unpackb(data, ext_hook=hook))
    if not is_zone(zone):
        raise DecodeError("a stored time zone is none")
    return zone


def _encode_datetime(obj: datetime, pack: Pack) -> bytes:
    return _DATETIME.pack(
        obj.year, obj.month, obj.day, obj.hour, obj.minute, obj.second, obj.microsecond, obj.fold
    ) + _encode_zone(obj.tzinfo, pack)


def _decode_datetime(data: bytes, hook: Hook) -> Any:
    year, month, day, hour, minute, second, microsecond, fold = _DATETIME.unpack_from(data)
    zone = _decode_zone(data[_DATETIME.size :], hook)
    return datetime(year, month, day, hour, minute, second, microsecond, zone, fold=fold)


def _encode_time(obj: time, pack: Pack) -> bytes:
    return _TIME.pack(obj.hour, obj.minute, obj.second, obj.microsecond, obj.fold) + _encode_zone(obj.tzinfo, pack)


def _decode_time(data: bytes, hook: Hook) -> Any:
    hour, minute, second, microsecond, fold = _TIME.unpack_from(data)
    return time(hour, minute, second, microsecond, _decode_zone(data[_TIME.size :], hook), fold=fold)


def _encode_zoneinfo(obj: ZoneInfo, pack: Pack) -> bytes:
    if obj.key is None or not is_zone_key(obj.key):
        raise Refused("it has no key of the time zone database")
    if ZoneInfo(obj.key) is not obj:
        try:
            obj.__reduce__()
        except PicklingError:
            # The key that it was given is only a title.
            raise Refused("it was read from a file of its own, not from the time zone database") from None
    return obj.key.encode()


def _decode_zoneinfo(data: bytes, hook: Hook) -> Any:
    key = data.decode("ascii")
    if not is_zone_key(key):
        raise DecodeError("a stored time zone key is none")
    return ZoneInfo(key)


register(DATETIME, _decode_datetime, types=[datetime], encode=_encode_datetime)
register(
    DATE,
    lambda data, hook: date(*_DATE.unpack(data)),
    types=[date],
    encode=lambda obj, pack: _DATE.pack(obj.year, obj.month, obj.day),
)
register(TIME, _decode_time, types=[time], encode=_encode_time)
register(
    TIMEDELTA,
    lambda data, hook: timedelta(*_TIMEDELTA.unpack(data)),
    types=[timedelta],
    encode=lambda obj, pack: _TIMEDELTA.pack(obj.days, obj.seconds, obj.microseconds),
)
register(
    TIMEZONE,
    lambda data, hook: timezone(*listed(unpackb(data, ext_hook=hook))),
    types=[timezone],
    encode=lambda obj, pack: pack([*obj.__getinitargs__()], INNER),
)
register(ZONEINFO, _decode_zoneinfo, types=[ZoneInfo], encode=_encode_zoneinfo)
