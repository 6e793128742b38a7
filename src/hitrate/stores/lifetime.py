"""Counters that outlive processes: for which namespaces a backend keeps them. Their number is bounded.

The counters of all further namespaces are summed under one name, so that a program with a namespace for each user does
not make a table that grows for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, Final

from hitrate.keys import decode_text
from hitrate.stores.base import Amounts

REST: Final = b"\xff"
"""Stands for the namespaces beyond the bound. It is the encoding of none: a length would have to follow."""

NAMESPACES_AT_MOST: Final = 4096
_LONGEST_NAME: Final = 1024
"""Bytes; an index of PostgreSQL takes no more than 2,704."""


def names_new(amounts: Amounts, known: Collection[bytes]) -> bool:
    """Tell whether there are amounts of a namespace that is not among those known to have counters."""
    return any(name not in known for name, _ in amounts)


def within_bounds(amounts: Amounts, there: Collection[bytes]) -> dict[tuple[bytes, str], float]:
    """Return amounts with those of too many, and of too long namespaces summed under ``REST``.

    Args:
        amounts: what is to be added.
        there: the namespaces that have counters already.
    """
    free = NAMESPACES_AT_MOST - len(there)
    admitted = {REST, *there}
    kept: dict[tuple[bytes, str], float] = {}
    for (name, counter), amount in amounts.items():
        if name not in admitted:
            if free > 0 and len(name) <= _LONGEST_NAME:
                admitted.add(name)
                free -= 1
            else:
                name = REST
        kept[name, counter] = kept.get((name, counter), 0) + amount
    return kept


def counters_in(rows: Iterable[Any]) -> dict[tuple[bytes, str], float]:
    """Return the counters in rows of encoded namespace, name and amount, without those that were written by hand."""
    found = {}
    for namespace, name, amount in rows:
        with suppress(UnicodeDecodeError):
            found[namespace, decode_text(name)] = amount
    return found
