"""The scalars of pandas: to the nanosecond, with unit, fold and time zone."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from hitrate.errors import DecodeError
from hitrate.serde.registry import INNER, Hook, Pack, Refused, made_again, of_parts, register
from hitrate.serde.times import is_zone

TIMESTAMP = 86
TIMEDELTA = 87
MISSING = 88
PERIOD = 89
INTERVAL = 90
OFFSET = 96

_FREQUENCY = re.compile(r"-?[0-9]{0,9}[A-Za-z]{1,12}(?:-[A-Z0-9]{1,9}){0,3}", re.ASCII)
_UNITS = ("s", "ms", "us", "ns")
_INT64 = struct.Struct(">q")
# A day less than Python has at either end, since it is the local time that has to be one of Python's.
_FIRST, _LAST = np.datetime64("0001-01-02", "s"), np.datetime64("9999-12-30", "s")
_MISSING = {b"t": pd.NaT, b"a": pd.NA}


def _encode_timestamp(obj: pd.Timestamp, pack: Pack) -> bytes:
    state = [obj.unit, _number_of(obj.asm8), obj.tzinfo]
    try:
        made = _timestamp_of(*state)
    except DecodeError as exc:
        raise Refused("pandas cannot show times of such years in a time zone") from exc
    if made.fold != obj.fold:
        # fold=1 was given for an hour that occurs once: instant and zone do not tell it.
        state.append(obj.fold)
        try:
            made = _folded(made, obj.fold)
        except DecodeError as exc:
            raise Refused(f"pandas does not give it with the fold {obj.fold}") from exc
    if made != obj or (made.unit, made.fold, made.tzinfo) != (obj.unit, obj.fold, obj.tzinfo):
        raise Refused("pandas does not give it for its instant, unit and time zone")
    return pack(state, INNER)


def _number_of(scalar: Any) -> int:
    return int(scalar.view("i8"))


def _timestamp_of(unit: Any, number: Any, zone: Any, fold: Any = None) -> Any:
    made = pd.Timestamp(_scalar_of("datetime64", unit, number))
    if zone is not None:
        if not is_zone(zone) or not can_be_zoned(made.asm8, made.asm8):
            raise DecodeError("a stored time zone is none, or its time out of the range of Python's")
        made = made.tz_localize("UTC").tz_convert(zone)
    return made if fold is None else _folded(made, fold)


def _folded(made: Any, fold: Any) -> Any:
    if type(fold) is not int or fold not in (0, 1) or fold == made.fold or not can_be_zoned(made.asm8, made.asm8):
        raise DecodeError("a stored fold is none")
    folded = made.replace(fold=fold)
    if (folded.asm8, folded.unit, folded.fold) != (made.asm8, made.unit, fold):
        raise DecodeError("a stored fold is of another time")
    return folded


def can_be_zoned(first: Any, last: Any) -> bool:
    """Tell whether all of NumPy's times from one to another can have a time zone, for which Python's own are asked."""
    # In seconds, since in nanoseconds those years are out of range.
    return bool(first.astype(_FIRST.dtype) >= _FIRST and last.astype(_LAST.dtype) <= _LAST)


def _scalar_of(kind: str, unit: Any, number: Any) -> Any:
    if unit not in _UNITS or type(number) is not int or not -(2**63) < number < 2**63:
        raise DecodeError("a stored time is none")
    return np.int64(number).view(f"{kind}[{unit}]")


def frequency_of(text: Any) -> Any:
    """Return the offset of pandas that a text names."""
    return _named(text, to_offset)


def period_dtype_of(text: Any) -> Any:
    """Return the dtype of periods of a frequency, which has another name there than as an offset."""
    return _named(text, pd.PeriodDtype)


def _named(text: Any, make: Callable[[str], Any]) -> Any:
    if type(text) is not str or len(text) > 40 or _FREQUENCY.fullmatch(text) is None:
        raise DecodeError("a stored frequency is none")
    try:
        return make(text)
    except (ValueError, OverflowError, KeyError) as exc:
        raise DecodeError(f"a stored frequency is none: {exc}") from exc


def text_of(offset: Any) -> str:
    """Return the text that names an offset."""
    text = str(offset.freqstr)
    made = made_again(frequency_of, text)
    if type(made) is not type(offset) or made != offset:
        raise Refused(f"no name gives back the frequency {offset!r}")
    return text


def period_name(of: Any) -> str:
    """Return the text that names the frequency of a period, or of an array of them."""
    text = str(of.freqstr)
    made = made_again(period_dtype_of, text)
    if made is None or made.freq != of.freq:
        raise Refused(f"no name gives back the frequency {of.freq!r}")
    return text


def _decode_period(data: bytes, hook: Hook) -> Any:
    return pd.Period(ordinal=_INT64.unpack_from(data)[0], freq=period_dtype_of(data[8:].decode("ascii")).freq)


def _interval_of(left: Any, right: Any, closed: Any) -> Any:
    return pd.Interval(left, right, closed)


OFFSETS = {getattr(pd.offsets, name) for name in pd.offsets.__all__}

register(
    TIMESTAMP,
    of_parts(_timestamp_of),
    types=[pd.Timestamp],
    encode=_encode_timestamp,
)
register(
    TIMEDELTA,
    of_parts(lambda unit, number: pd.Timedelta(_scalar_of("timedelta64", unit, number))),
    types=[pd.Timedelta],
    encode=lambda obj, pack: pack([obj.unit, _number_of(obj.asm8)], INNER),
)
register(
    MISSING,
    lambda data, hook: _MISSING[data],
    types=[type(pd.NaT), type(pd.NA)],
    encode=lambda obj, pack: b"t" if obj is pd.NaT else b"a",
)
register(
    PERIOD,
    _decode_period,
    types=[pd.Period],
    encode=lambda obj, pack: _INT64.pack(obj.ordinal) + period_name(obj).encode(),
)
register(
    INTERVAL,
    of_parts(_interval_of),
    types=[pd.Interval],
    encode=lambda obj, pack: pack([obj.left, obj.right, obj.closed], INNER),
)
register(
    OFFSET,
    lambda data, hook: frequency_of(data.decode("ascii")),
    types=OFFSETS,
    encode=lambda obj, pack: text_of(obj).encode(),
)
