"""Cells of caches in memory."""

from __future__ import annotations

from bench.cells.base import Cell, call, with_ttl

_HITS = {"M": (4, 7), "D": (1.35, 1.45), "S": (5, 8), "F": (8, 12)}
_AT_RANDOM = {"M": 1.8, "D": 1.15, "S": None, "F": None}
_MANY = {"M": (100_000, None), "D": (100_000, 1.1), "S": (10_000, None), "F": (10_000, None)}
"""Entries that a processor's caches are far too small for, and what is asked: 10,000 of S are 200 MB."""
_SETS = {"M": (2, 2.5), "D": (1.5, 1.8), "S": (4, 6), "F": (1, 1.15)}
_SETS_WITH_TTL = {"M": 1.1, "D": 1.2, "S": 3, "F": 1.1}


def memory() -> list[Cell]:
    """Return the cells, those of hits and sets without a TTL and with one."""
    return [
        *(cell for kind in "MDSF" for cell in _hits(kind)),
        *(cell for kind in "MDSF" for cell in _sets(kind)),
        _cell("miss", "one miss", "D", 2.5, 4, name="miss", rows=1000),
        *_both(_cell("fill", "one miss and its set D", "D", name="fill.D"), 1.15),
        *(
            cell
            for kind in "MDSF"
            for when in ("first", "second")
            for cell in _both(_cell(when, f"the {when} hit {kind} after its set", kind))
        ),
        _beside("limit", "one set D at a byte limit of 60 MB, at one below it", 1.5, "below the limit"),
        _beside("beside", "one set D beside an entry with a TTL, at one without", 1.1, "no entry with a TTL"),
        Cell(
            "memory.bytes",
            "a million small entries (R), bytes of each",
            1.5,
            1,
            "footprint",
            {"payload": "R", "rows": 1_000_000},
            part="bytes",
            score="smaller",
            unit="bytes",
        ),
    ]


def _cell(
    op: str,
    title: str,
    payload: str,
    asked: float | None = None,
    aim: float | None = None,
    *,
    name: str = "",
    rows: int = 16,
    **more: int,
) -> Cell:
    return call(f"memory.{name or f'{op}.{payload}'}", title, asked, aim, "memory", op, payload, rows=rows, **more)


def _both(cell: Cell, asked: float | None = None) -> list[Cell]:
    return [cell, with_ttl(cell, asked)]


def _hits(kind: str) -> list[Cell]:
    many, asked = _MANY[kind]
    title = f"one hit {kind}, one of"
    at_random = _AT_RANDOM[kind]
    return [
        *_both(_cell("hit", f"one hit {kind}", kind, *_HITS[kind])),
        *_both(
            _cell("hit", f"{title} 1,000 at random", kind, at_random, name=f"hit.{kind}.1000", rows=1000), at_random
        ),
        *_both(_cell("hit", f"{title} {many:,} at random", kind, asked, name=f"hit.{kind}.{many}", rows=many), asked),
    ]


def _sets(kind: str) -> list[Cell]:
    return [
        *_both(_cell("set", f"one set {kind}", kind, *_SETS[kind]), _SETS_WITH_TTL[kind]),
        *(
            cell
            for batch in (10, 100)
            for cell in _both(
                _cell("set", f"{batch} sets {kind} in one batch", kind, 1, 1.2, name=f"set{batch}.{kind}", batch=batch),
                1,
            )
        ),
        *_both(_cell("overwrite", f"one set {kind} over an old value", kind)),
    ]


def _beside(part: str, title: str, asked: float, against: str) -> Cell:
    what = {"payload": "D", "what": part}
    return Cell(f"memory.set.D.{part}", title, asked, None, "own_sets", what, "set", "smaller", against=against)
