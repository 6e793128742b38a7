"""A treemap: rectangles whose areas are as the values, near to squares, by Bruls, Huizing and van Wijk (2000)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Tile(NamedTuple):
    """A rectangle, in the units of the whole."""

    x: float
    y: float
    width: float
    height: float


def squarified(values: Sequence[float], width: float, height: float) -> list[Tile]:
    """Return a tile for each of some values, which are above 0 and the greatest first, in a whole of such a size."""
    total = sum(values)
    areas = [value * width * height / total for value in values]
    tiles: list[Tile] = []
    x = y = 0.0
    begin = 0
    while begin < len(areas):
        side = min(width, height)  # a row of tiles is laid along the shorter side of what is left
        end = begin + 1
        row = areas[begin]
        while end < len(areas) and _worst(areas[begin : end + 1], row + areas[end], side) <= _worst(
            areas[begin:end], row, side
        ):
            row += areas[end]
            end += 1
        depth = row / side if side else 0.0
        along = 0.0
        for area in areas[begin:end]:
            length = area / depth if depth else 0.0
            tiles.append(Tile(x + along, y, length, depth) if width <= height else Tile(x, y + along, depth, length))
            along += length
        if width <= height:
            y, height = y + depth, height - depth
        else:
            x, width = x + depth, width - depth
        begin = end
    return tiles


def _worst(row: Sequence[float], total: float, side: float) -> float:
    """Return the greatest of the ratios of the sides of a row's tiles."""
    if not total or not row[-1]:
        return float("inf")
    return max(side * side * row[0] / (total * total), total * total / (side * side * row[-1]))
