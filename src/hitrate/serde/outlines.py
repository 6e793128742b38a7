"""Shows values of libraries and classes without looking these up: the name, and some of what is stored.

Nothing is imported and nothing is called because stored data names it: arrays, frames and times are read here by their
own small grammars, whether their library is there or not, so that everybody is shown the same. However much is stored,
a few elements are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from uuid import UUID

from ormsgpack import unpackb

from hitrate.serde.elements import Column, buffer_column, element_type, instant, span
from hitrate.serde.frame_columns import in_utc, interval, list_of, pandas_column, pandas_index, period, polars_column
from hitrate.serde.registry import Hook

_ELEMENTS = 20
_ELEMENTS_OF_MANY = 6
"""Elements of each axis, of an array of several axes."""
_ELEMENTS_IN_ALL = 100
_ROWS, _COLUMNS = 10, 20
_CHARACTERS = 200
_HIDDEN = "**********"
_SECRETS = ("pydantic.types:SecretStr", "pydantic.types:SecretBytes")


@dataclass(slots=True, eq=False, repr=False)
class Instance:
    """An object that is told by what is stored of it.

    Attributes:
        name: of its class, as it is stored, or as people write it.
        state: what is told of its content.
        about: what is said beside the name, such as a shape.
        parts: of an instance of a class, the parts in which its state is told as JSON, most often one; else None.
        labels: of an index, the labels, which the frame or column around it needs; else None.
    """

    name: str
    state: Any
    about: str = ""
    parts: list[Any] | None = None
    labels: Column | None = None

    def __repr__(self) -> str:
        return f"<{self.title} {self.state!r}>"

    @property
    def title(self) -> str:
        """The name, with what is said beside it."""
        return f"{self.name} ({self.about})" if self.about else self.name


class _More:
    """Stands for the elements that are not shown."""

    def __repr__(self) -> str:
        return "…"


MORE = _More()


def outline(code: int, data: bytes, hook: Hook) -> Instance:
    """Return what is told of an extension. It raises one of the usual errors if that is none of those known here."""
    if code in _OF_PARTS:
        name, tell = _OF_PARTS[code]
        return tell(name, *unpackb(data, ext_hook=hook))
    name, tell = _OF_BYTES[code]
    return tell(name, data, hook)


def instance_of(name: str, parts: list[Any]) -> Instance:
    """Return what is told of an instance, of which the name of its class and these parts are stored."""
    state = _fields(parts)
    if name in _SECRETS or (type(state) is dict and state.keys() == {"_secret_value"}):
        state = _HIDDEN  # as pydantic itself writes it
    return Instance(name, state, parts=parts if state is parts else [state])


def _fields(parts: list[Any]) -> Any:
    """Return the fields by name where the state of an instance is one that a family of classes has; else its parts."""
    match parts:
        case [dict(fields), list()] | [dict(fields)] | [dict(fields), None, *_]:
            return fields
        case [dict(fields), dict(others), *_] if fields.keys().isdisjoint(others):  # slots, and a dict besides
            return {**fields, **others}
        case [list(), (dict() | None) as extra, (dict() | None) as private, dict(fields), *_]:  # a pydantic model
            return {**fields, **(extra or {}), **(private or {})}
        case [list(), {"root": root} as fields] if len(fields) == 1:
            return root
        case [state]:
            return state
    return parts


# What is told of each


def _array(name: str, spec: Any, shape: Any, content: Any, is_fortran: Any) -> Instance:
    column = list_of(content, "object") if spec is None else buffer_column(spec, content)
    if math.prod(shape) not in (column.length, 0):
        raise ValueError("a stored array does not fill its shape")
    return Instance(name, _nested(shape, column, is_fortran=is_fortran is True), _about_array(shape, column))


def _about_array(shape: list[int], column: Column) -> str:
    return f"{_cut(column.dtype)}, shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _nested(shape: list[int], column: Column, *, is_fortran: bool) -> Any:
    """Return the first elements of an array, nested as its axes are."""
    most, room = [], _ELEMENTS_IN_ALL
    for length in reversed(shape):
        most.append(min(length, _ELEMENTS if len(shape) == 1 else _ELEMENTS_OF_MANY, max(1, room)))
        room //= max(1, most[-1])
    most.reverse()
    steps = [math.prod(shape[:axis] if is_fortran else shape[axis + 1 :]) for axis in range(len(shape))]

    def part(axis: int, place: int) -> Any:
        if axis == len(shape):
            return _cell(column.at(place))
        shown = [part(axis + 1, place + step * steps[axis]) for step in range(most[axis])]
        return [*shown, MORE] if most[axis] < shape[axis] else shown

    return part(0, 0)


def _scalar(name: str, spec: Any, content: Any) -> Instance:
    if spec is None:
        return Instance(f"numpy.{type(content).__name__}_", _cell(content))
    kind = element_type(spec)
    known = kind.name.partition("[")[0]
    about = "" if known == kind.name else _cut(kind.name)
    return Instance(f"numpy.{known if known.isidentifier() else 'void'}", kind.read(content), about)


def _dtype(name: str, spec: Any) -> Instance:
    return Instance(name, "object" if spec is None else _cut(element_type(spec).name))


def _masked_array(name: str, content: Any, mask: Any, *_: Any) -> Instance:
    state = {"data": content.state} if mask is None else {"data": content.state, "mask": mask.state}
    return Instance(name, state, content.about)


def _timestamp(name: str, unit: Any, number: Any, zone: Any, *_: Any) -> Instance:
    text = instant(number, unit)
    return Instance(name, text if zone is None else in_utc(text), "" if zone is None else f"in {_zone(zone)}")


def _missing(name: str, data: bytes, hook: Hook) -> Instance:
    return Instance({b"t": "pandas.NaT", b"a": "pandas.NA"}[data], None)


def _period(name: str, data: bytes, hook: Hook) -> Instance:
    frequency = data[8:].decode("ascii")
    return Instance(name, period(int.from_bytes(data[:8], "big", signed=True), frequency), _cut(frequency))


def _interval(name: str, *parts: Any) -> Instance:
    return Instance(name, interval(*(each.state if type(each) is Instance else each for each in parts)))


def _text(name: str, data: bytes, hook: Hook) -> Instance:
    return Instance(name, data.decode())


def _index(name: str, state: Any) -> Instance:
    column = pandas_index(state)
    kind = _INDEXES.get(state["kind"], "Index")
    return Instance(f"pandas.{kind}", _first(column), _about(column, "label"), labels=column)


_INDEXES = {
    "range": "RangeIndex",
    "levels": "MultiIndex",
    "datetimes": "DatetimeIndex",
    "timedeltas": "TimedeltaIndex",
    "periods": "PeriodIndex",
    "intervals": "IntervalIndex",
    "categories": "CategoricalIndex",
}


def _pandas_array(name: str, state: Any) -> Instance:
    column = pandas_column(state)
    return Instance(name, _first(column), _about(column))


def _pandas_dtype(name: str, state: Any) -> Instance:
    any_categories = type(state) is dict and state.get("kind") == "any categories"
    return Instance(name, "category" if any_categories else _cut(pandas_column(state).dtype))


def _pandas_series(name: str, *parts: Any) -> Instance:
    index, label, _, _, values = parts[1::2]
    column, labels = pandas_column(values), pandas_index(index)
    state = {"name": _cell(label), "index": _first(labels, _ROWS), "values": _first(column, _ROWS)}
    return Instance(name, state, _about(column))


def _pandas_frame(name: str, *parts: Any) -> Instance:
    labels = pandas_index(parts[1])
    columns = [(label, pandas_column(state)) for label, state in zip(parts[8::2], parts[9::2], strict=True)]
    return _frame(name, labels.length, columns, {"index": _first(labels, _ROWS)})


def _polars_series(name: str, label: Any, state: Any) -> Instance:
    column = polars_column(state)
    return Instance(name, {"name": _cell(label), "values": _first(column)}, _about(column))


def _polars_frame(name: str, _: Any, height: Any, *parts: Any) -> Instance:
    columns = [(label, polars_column(state)) for label, state in zip(parts[::2], parts[1::2], strict=True)]
    return _frame(name, height, columns, {})


def _frame(name: str, rows: int, columns: list[tuple[Any, Column]], more: dict[str, Any]) -> Instance:
    shown = columns[:_COLUMNS]
    left_out = [MORE] if len(shown) < len(columns) else []
    state = {
        "columns": [*(f"{_cell(label)}: {_cut(column.dtype)}" for label, column in shown), *left_out],
        **more,
        "rows": [[*(_cell(column.at(row)) for _, column in shown), *left_out] for row in range(min(rows, _ROWS))],
    }
    if rows > _ROWS:
        state["rows"].append(MORE)
    return Instance(name, state, f"{_count(rows, 'row')} x {_count(len(columns), 'column')}")


def _zone_of_pytz(name: str, zone: Any, *_: Any) -> Instance:
    return Instance(name, zone if isinstance(zone, str) else span(zone, "m"))


def _zone_of_dateutil(name: str, kind: Any, *rest: Any) -> Instance:
    return Instance(name, _cut(" ".join(map(str, rest if kind == "name" else [kind, *rest]))))


def _offset_zone(name: str, data: bytes, hook: Hook) -> Instance:
    return Instance(name, span(int.from_bytes(data, "big", signed=True), "s"))


def _of_msgspec(name: str, data: bytes, hook: Hook) -> Instance:
    return Instance("msgspec.Raw", _cell(data[1:])) if data else Instance("msgspec.UNSET", None)


def _datetime(name: str, data: bytes, hook: Hook) -> Instance:
    year, *parts = int.from_bytes(data[:2], "big"), *data[2:7], int.from_bytes(data[7:11], "big")
    (zone,) = unpackb(data[12:], ext_hook=hook)
    return Instance(name, datetime(year, *parts).isoformat(), f"in {_zone(zone)}")


def _time(name: str, data: bytes, hook: Hook) -> Instance:
    (zone,) = unpackb(data[8:], ext_hook=hook)
    hour, minute, second = data[:3]
    moment = time(hour, minute, second, int.from_bytes(data[3:7], "big"))
    return Instance(name, moment.isoformat(), f"in {_zone(zone)}")


# Parts of them


def _zone(zone: Any) -> str:
    """Return the name of a time zone, or of what is stored of one."""
    return _cut(str(zone.state if isinstance(zone, Instance) else zone))


def _first(column: Column, count: int = _ELEMENTS) -> list[Any]:
    shown = [_cell(each) for each in column.first(count)]
    return [*shown, MORE] if len(shown) < column.length else shown


def _cell(value: Any) -> Any:
    """Return an element as far as it is shown."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, bytes):
        return value[:_CHARACTERS]
    if type(value) is list and len(value) > _ELEMENTS:
        return [*value[:_ELEMENTS], MORE]
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"


def _about(column: Column, noun: str = "element") -> str:
    return f"{_cut(column.dtype)}, {_count(column.length, noun)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_OF_PARTS: dict[int, tuple[str, Callable[..., Instance]]] = {
    66: ("pytz.timezone", _zone_of_pytz),
    67: ("dateutil.tz", _zone_of_dateutil),
    80: ("numpy.ndarray", _array),
    81: ("numpy.generic", _scalar),
    82: ("numpy.dtype", _dtype),
    83: ("numpy.ma.MaskedArray", _masked_array),
    86: ("pandas.Timestamp", _timestamp),
    87: ("pandas.Timedelta", lambda name, unit, number: Instance(name, span(number, unit))),
    90: ("pandas.Interval", _interval),
    91: ("pandas.Index", _index),
    92: ("pandas.Series", _pandas_series),
    93: ("pandas.DataFrame", _pandas_frame),
    94: ("pandas.array", _pandas_array),
    95: ("pandas.dtype", _pandas_dtype),
    97: ("polars.Series", _polars_series),
    98: ("polars.DataFrame", _polars_frame),
}
"""By extension code whose content is a list of parts: the name, and what tells of these."""

_OF_BYTES: dict[int, tuple[str, Callable[[str, bytes, Hook], Instance]]] = {
    40: ("datetime.datetime", _datetime),  # these two come here with the time zone of a library
    42: ("datetime.time", _time),
    46: ("pydantic_core.TzInfo", _offset_zone),
    47: ("pydantic_core.Url", _text),
    48: ("pydantic_core.MultiHostUrl", _text),
    65: ("uuid_utils.UUID", lambda name, data, hook: Instance(name, str(UUID(bytes=data)))),
    68: ("msgspec.Raw", _of_msgspec),
    84: ("numpy.ma.masked", lambda name, data, hook: Instance(name, None)),
    88: ("pandas.NaT", _missing),
    89: ("pandas.Period", _period),
    96: ("pandas.offsets", _text),
}
"""By extension code of another content: the name, and what tells of it."""

_NAMES = {code: name for code, (name, _) in {**_OF_PARTS, **_OF_BYTES}.items()}

LIBRARIES = _NAMES.keys() - {40, 42}
"""The extension codes of what optional libraries make."""


def name_of_extension(code: int) -> str:
    """Return what an extension is called of which nothing more can be told."""
    return _NAMES.get(code, f"extension {code}")
