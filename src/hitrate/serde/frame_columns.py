"""The columns of frames as plain values, without pandas, polars or Arrow: by what is stored of each.

Each function reads what ``state_of`` of the family's own file wrote. What it did not write raises one of the usual
errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hitrate.serde.elements import Column, buffer_column, instant, span


def buffer_of(state: Any) -> Column:
    """Return the elements of a buffer of ``buffers.state_of``."""
    return buffer_column(state["dtype"], state["content"])


def list_of(items: Any, dtype: str) -> Column:
    """Return the elements of a list."""
    if type(items) is not list:
        raise TypeError("a stored column is none")
    return Column(dtype, len(items), items.__getitem__)


def _masked(content: Column, mask: Any, dtype: str) -> Column:
    is_missing = buffer_of(mask).at
    return Column(dtype, content.length, lambda place: None if is_missing(place) else content.at(place))


# pandas


def pandas_column(state: Any) -> Column:
    """Return the elements of a column of ``pandas_columns.state_of``, of which each index in it was read before."""
    if type(state) is list:
        return list_of(state, "object")
    kind = state["kind"]
    if kind == "buffer":
        return buffer_of(state)
    if kind == "texts":
        return list_of(state["texts"], "str" if state["nan"] else "string")
    if kind == "zoned":
        times = buffer_of(state["instants"])
        zone = getattr(state["zone"], "state", state["zone"])  # of a library's, what is told of it
        dtype = f"{times.dtype[:-1]}, {zone}]"
        return Column(dtype, times.length, lambda place: in_utc(times.at(place)))
    if kind == "periods":
        numbers, name = buffer_of(state["ordinals"]), f"period[{state['frequency']}]"
        return Column(name, numbers.length, lambda place: period(numbers.at(place), state["frequency"]))
    if kind == "intervals":
        left, right = (pandas_column(state[side]) for side in ("left", "right"))
        closed = state["closed"]
        return Column(
            f"interval[{left.dtype}, {closed}]",
            left.length,
            lambda place: interval(left.at(place), right.at(place), closed),
        )
    if kind == "categories":
        codes, names = buffer_of(state["codes"]), state["categories"].labels
        return Column("category", codes.length, lambda place: _category(names, codes.at(place)))
    if kind == "masked":
        content = buffer_of(state["content"])
        return _masked(content, state["mask"], _NULLABLE.get(content.dtype, content.dtype.capitalize()))
    if kind == "arrow":
        return _arrow_column(state["array"])
    raise ValueError("a stored column is of no known kind")


_NULLABLE = {"bool": "boolean", **{f"uint{size}": f"UInt{size}" for size in (8, 16, 32, 64)}}


def in_utc(text: str) -> str:
    """Return a moment of ``elements.instant`` with what tells that it is in UTC."""
    return text if text == "NaT" else f"{text}+00:00"


def period(ordinal: int, frequency: str) -> str:
    """Return a period as text: pandas alone knows where one of most frequencies begins."""
    base = frequency.partition("-")[0]
    if base in ("D", "M", "h", "s", "ms", "us", "ns") or frequency == "Y-DEC":
        return instant(ordinal, base)
    return f"{ordinal} of {frequency}"


def interval(left: Any, right: Any, closed: Any) -> str:
    """Return an interval as text, as pandas writes one."""
    return f"{'[' if closed in ('left', 'both') else '('}{left}, {right}{']' if closed in ('right', 'both') else ')'}"


def _category(names: Column, code: int) -> Any:
    return None if code < 0 else names.at(code)


def _arrow_column(state: Any) -> Column:
    name = state["type"]
    dtype = f"{name}[pyarrow]"
    if "items" in state:
        return list_of(state["items"], dtype)
    content = buffer_of(state["content"])
    kind, _, rest = name.partition("[")
    unit = {"day": "D"}.get(rest.rstrip("]"), rest.rstrip("]"))
    if kind == "timestamp":
        unit, zone = state["unit"], state["zone"]
        dtype = f"timestamp[{unit}{f', tz={zone}' if zone else ''}][pyarrow]"
    if kind in ("timestamp", "date32", "date64"):
        content = _converted(content, lambda number: instant(number, unit))
    elif kind in ("duration", "time32", "time64"):
        content = _converted(content, lambda number: span(number, unit))
    return _masked(content, state["mask"], dtype)


def _converted(column: Column, convert: Callable[[Any], Any]) -> Column:
    return column._replace(at=lambda place: convert(column.at(place)))


def pandas_index(state: Any) -> Column:
    """Return the labels of an index of ``pandas_.index_state``, of which each index in it was read before."""
    kind = state["kind"]
    if kind == "range":
        steps = range(*state["range"])
        return Column("int64", len(steps), steps.__getitem__)
    if kind == "levels":
        levels = [each.labels for each in state["levels"]]
        codes = [buffer_of(each) for each in state["codes"]]
        return Column(
            f"{len(levels)} levels",
            codes[0].length,
            lambda place: tuple(_category(level, each.at(place)) for level, each in zip(levels, codes, strict=True)),
        )
    return pandas_column(state["values"])


# polars


def polars_column(state: Any) -> Column:
    """Return the elements of a series of ``polars_.state_of``."""
    spec = state["dtype"]
    name = _polars_name(spec)
    if "items" in state:
        return list_of(state["items"], name)
    content = buffer_of(state["content"])
    kind = spec if type(spec) is str else spec[0]
    if kind == "Date":
        content = _converted(content, lambda number: instant(number, "D"))
    elif kind == "datetime":
        content = _converted(content, lambda number: instant(number, spec[1]))
    elif kind in ("duration", "Time"):
        unit = spec[1] if kind == "duration" else "ns"
        content = _converted(content, lambda number: span(number, unit))
    return _masked(content, state["mask"], name) if "mask" in state else content._replace(dtype=name)


def _polars_name(spec: Any, nesting: int = 0) -> str:
    if type(spec) is str or nesting > 3:
        return str(spec)[:40]
    kind, *parts = spec
    if kind == "struct":
        return f"Struct({', '.join(map(str, parts[0][:10]))})"
    if kind in ("enum", "categorical"):
        return str(kind).capitalize()
    said = [_polars_name(each, nesting + 1) if type(each) is list else str(each) for each in parts if each is not None]
    return f"{str(kind).capitalize()}({', '.join(said)})" if said else str(kind).capitalize()
