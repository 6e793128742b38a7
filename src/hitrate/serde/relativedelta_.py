"""The ``relativedelta`` of dateutil, and the weekdays in it."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from dateutil import relativedelta as module

from hitrate.serde.classes import ancestry
from hitrate.serde.dataclasses_ import checked, plain_form
from hitrate.serde.forms import Form
from hitrate.serde.registry import register_classes

_Weekday: Any = module.weekday
_RELATIVE = ("years", "months", "days", "leapdays", "hours", "minutes", "seconds", "microseconds")
_ABSOLUTE = ("year", "month", "day", "hour", "minute", "second", "microsecond")
_NAMES = (*_RELATIVE, *_ABSOLUTE, "weekday", "_has_time")
# To show a number, dateutil makes a float of it.
_LARGEST = 10**300


def _form(cls: type) -> Form | None:
    if _Weekday in ancestry(cls):
        form = plain_form(cls, ["weekday"], declared=["weekday", "n"], open=cls is _Weekday)
        return checked(form, _is_weekday, "it is no day of a week")
    if module.relativedelta in ancestry(cls):
        form = plain_form(cls, ["relativedelta"], declared=_NAMES, open=cls is module.relativedelta)
        return checked(form, _is_delta, "a part of it is no number, or no weekday")
    return None


def _is_weekday(obj: Any) -> bool:
    return type(obj.weekday) is int and 0 <= obj.weekday <= 6 and (obj.n is None or _is_number(obj.n))


def _is_delta(obj: Any) -> bool:
    return (
        all(_is_number(getattr(obj, name)) for name in (*_RELATIVE, "_has_time"))
        and all(value is None or _is_number(value) for value in (getattr(obj, name) for name in _ABSOLUTE))
        and (obj.weekday is None or _Weekday in ancestry(type(obj.weekday)))
    )


def _is_number(value: Any) -> bool:
    return issubclass(type(value), float) or (issubclass(type(value), Integral) and abs(value) < _LARGEST)


register_classes(_form)
