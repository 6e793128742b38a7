"""From the numbers of an experiment to what the report says of a cell."""

from __future__ import annotations

from statistics import median, quantiles
from typing import Any

from bench.cells import Cell, Score

OURS = "hitrate"


def summarise(cell: Cell, samples: dict[str, list[float]]) -> dict[str, Any]:
    """Return a cell's results: for each contender its median, and its ratio to ours; and the cell's score.

    Ratios are taken round by round, so that what disturbed a round disturbed both sides of them.
    """
    contenders = {
        name: {"value": _rounded(median(numbers)), "quartiles": _quartiles(numbers)}
        for name, numbers in samples.items()
    }
    ours = samples.get(OURS)
    if ours is not None and all(ours):  # a cache may have no hits at all
        for name, numbers in samples.items():
            if name != OURS:
                contenders[name]["to_ours"] = _rounded(median(_ratios(numbers, ours)))
    return {
        "title": cell.title,
        "group": cell.group,
        "unit": cell.unit,
        "score_is": cell.score,
        "asked": cell.asked,
        "aim": cell.aim,
        "rounds": max(map(len, samples.values()), default=0),
        "score": _score(cell.score, ours, samples.get(cell.against)),
        "contenders": contenders,
    }


def verdict(result: dict[str, Any]) -> str:
    """Return ``"aim"``, ``"met"`` or ``"short"``, or nothing where nothing was asked or measured."""
    if result["score"] is None or result["asked"] is None:
        return ""
    value, asked, aim = result["score"]["value"], result["asked"], result["aim"]
    sign = 1 if result["score_is"] in ("faster", "share") else -1
    if sign * value < sign * asked:
        return "short"
    return "aim" if aim is not None and sign * value >= sign * aim else "met"


def _score(how: Score, ours: list[float] | None, theirs: list[float] | None) -> dict[str, Any] | None:
    if ours is None:
        return None
    if how in ("own", "share"):
        numbers = ours
    elif theirs is None:
        return None
    else:
        numbers = _ratios(theirs, ours) if how == "faster" else _ratios(ours, theirs)
    return {"value": _rounded(median(numbers)), "quartiles": _quartiles(numbers)}


def _ratios(over: list[float], under: list[float]) -> list[float]:
    return [one / other for one, other in zip(over, under, strict=True)]


def _quartiles(numbers: list[float]) -> list[float]:
    if len(numbers) < 2:
        return [_rounded(numbers[0])] * 2
    low, _, high = quantiles(numbers, n=4, method="inclusive")
    return [_rounded(low), _rounded(high)]


def _rounded(number: float) -> float:
    """Keep four digits: more would be noise."""
    return float(f"{number:.4g}")
