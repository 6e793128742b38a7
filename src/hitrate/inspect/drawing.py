"""What the templates draw: the treemap of namespaces, and the charts of what happened over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hitrate.cli.printing import size
from hitrate.inspect.amounts import count, dollars, name_of, percent, seconds
from hitrate.inspect.charts import Bar, bars
from hitrate.inspect.history import SPANS
from hitrate.inspect.treemap import Tile, squarified

MAP_WIDTH = 800
MAP_HEIGHT = 400
_TILES = 40
_CHARACTER = 7.5
_LINE = 16
_HEAD = 24
_MARGIN = 4
_LEAST_WIDTH = 60
_LEAST_HEIGHT = 40


class MapTile(NamedTuple):
    """A namespace of the treemap.

    Attributes:
        tile: where it is.
        row: what is known of it; None for all that are too small, as one.
        title: what is said of it.
        label: as much of its name as there is room for.
        amount: what its area is of, in words; empty where there is no room for that.
        below: those that are longer, within it.
    """

    tile: Tile
    row: dict[str, Any] | None
    title: str
    label: str
    amount: str
    below: list[MapTile]


_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "bytes": ("bytes", size),
    "entries": ("entries", lambda number: f"{count(number)} entries"),
    "seconds": ("seconds", seconds),
    "saved": ("seconds_saved", seconds),
    "tokens": ("tokens_saved", lambda number: f"{count(number)} tokens"),
}


def namespaces(page: dict[str, Any]) -> list[MapTile]:
    """Return the tiles of the largest namespaces of a page, with those below them, and one for the rest."""
    column, write = _COLUMNS[page["by"]]
    rows = [row for row in page["namespaces"] if row[column] > 0]
    named = [(row, name_of(row["namespace"]), row[column]) for row in rows[:_TILES]]
    rest = sum(row[column] for row in rows[_TILES:])
    whole = Tile(0, 0, MAP_WIDTH, MAP_HEIGHT)
    return _tiles(whole, named, rest, f"{count(len(rows) - _TILES)} more", column, write)


def _tiles(
    whole: Tile,
    named: list[tuple[dict[str, Any], str, Any]],
    rest: Any,
    rest_name: str,
    column: str,
    write: Callable[[Any], str],
) -> list[MapTile]:
    shown: list[tuple[dict[str, Any] | None, str, Any]] = [*named]
    if rest > 0:
        shown.append((None, rest_name, rest))
        shown.sort(key=lambda each: -each[2])
    if not shown:
        return []
    places = squarified([value for _, _, value in shown], whole.width, whole.height)
    told = []
    for place, (row, name, value) in zip(places, shown, strict=True):
        tile = place._replace(x=whole.x + place.x, y=whole.y + place.y)
        told.append(_labelled(tile, row, name, write(value), _below(tile, row, column, write)))
    return told


def _below(tile: Tile, row: dict[str, Any] | None, column: str, write: Callable[[Any], str]) -> list[MapTile]:
    """Return the tiles within one, beneath its name."""
    rows = [each for each in (row or {}).get("below", []) if each[column] > 0]
    inner = Tile(tile.x + _MARGIN, tile.y + _HEAD, tile.width - 2 * _MARGIN, tile.height - _HEAD - _MARGIN)
    if row is None or len(rows) < 2 or inner.width < _LEAST_WIDTH or inner.height < _LEAST_HEIGHT:
        return []
    depth = len(row["namespace"])
    named = [
        (each, name_of(each["namespace"][depth:]) if each["namespace"][depth:] else "itself", each[column])
        for each in rows
    ]
    return _tiles(inner, named, row["below_rest"], "more", column, write)


def _labelled(tile: Tile, row: dict[str, Any] | None, name: str, amount: str, below: list[MapTile]) -> MapTile:
    room = int((tile.width - 10) / _CHARACTER)
    label = name if len(name) <= room else name[: max(0, room - 1)] + "…"
    if room < 3 or tile.height < _LINE + 4:
        label = ""
    title = f"{name}: {amount}"
    if below and len(title) <= room:
        label = title
    has_room = bool(label) and not below and tile.height > 2 * _LINE + 6 and len(amount) <= room
    return MapTile(tile, row, title, label, amount if has_room else "", below)


class Chart(NamedTuple):
    """A chart of the overview.

    Attributes:
        title: what it is of.
        sum: what it comes to in all, or is now.
        bars: one for each bucket.
    """

    title: str
    sum: str
    bars: list[Bar]


def history(page: dict[str, Any]) -> list[Chart]:
    """Return the charts of what happened over time."""
    buckets, stats = page["history"], page["stats"]
    slots = SPANS[page["span"]][1]
    ages = [_ago(page["now"] - bucket["start"], page["bucket_seconds"]) for bucket in buckets]

    def chart(title: str, values: list[Any], write: Callable[[Any], str], told: str, top: float | None = None) -> Chart:
        said = ["nothing was asked for" if value is None else write(value) for value in values]
        labels = [f"{age}: {text}" for age, text in zip(ages, said, strict=True)]
        return Chart(title, told, bars(values, labels, slots, top))

    def summed(title: str, name: str, write: Callable[[Any], str]) -> Chart:
        values = [bucket[name] for bucket in buckets]
        return chart(title, values, write, write(sum(values)))

    hits = sum(bucket["hits"] for bucket in buckets)
    asked = [bucket["hits"] + bucket["misses"] for bucket in buckets]
    rates = [bucket["hits"] / number if number else None for bucket, number in zip(buckets, asked, strict=True)]
    told = [
        chart("Hit ratio", rates, percent, percent(hits / sum(asked)) if sum(asked) else "-", 1.0),
        chart("Lookups", asked, count, count(sum(asked))),
        summed("Time saved", "seconds_saved", seconds),
    ]
    if stats["tokens_saved"]:
        told.append(summed("Tokens saved", "tokens_saved", count))
    if stats["dollars_saved"] is not None:
        told.append(summed("Money saved", "dollars", dollars))
    told.append(chart("Size", [bucket["bytes"] for bucket in buckets], size, size(stats["bytes"])))
    told.append(summed("Evictions", "evictions", count))
    return told


def _ago(seconds: float, bucket: int) -> str:
    number = int(seconds // bucket)
    unit = {1: "s", 60: "min", 3600: "h"}[bucket]
    return f"{number} {unit} ago" if number else "now"
