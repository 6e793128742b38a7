"""Charts as SVG, made on the server: the points of a line, and the bars of a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WIDTH = 300.0
HEIGHT = 60.0


class Bar(NamedTuple):
    """A bar of a chart, from its foot up."""

    x: float
    y: float
    width: float
    height: float
    label: str


def bars(values: Sequence[float | None], labels: Sequence[str], slots: int, top: float | None = None) -> list[Bar]:
    """Return the bars of the latest values, at the right end of the chart; none for what is not known.

    Args:
        values: the oldest first.
        labels: what is said of each.
        slots: how many there is room for.
        top: the value of a bar that is as high as the chart; the greatest value if not given.
    """
    top = top or max((value for value in values if value is not None), default=0) or 1
    width = WIDTH / slots
    told = []
    for place, (value, label) in enumerate(zip(values, labels, strict=True), slots - len(values)):
        if value is None:
            continue
        height = HEIGHT * min(1.0, value / top)
        if value and height < 1:
            height = 1.0  # a small value stays visible
        told.append(
            Bar(round(place * width, 2), round(HEIGHT - height, 2), round(width * 0.85, 2), round(height, 2), label)
        )
    return told
