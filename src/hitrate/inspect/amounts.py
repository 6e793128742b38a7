"""Amounts and namespaces as people read them; sizes and spans of time are written as the command does."""

from __future__ import annotations

from collections.abc import Sequence

from hitrate.cli import arguments
from hitrate.cli.printing import span


def count(number: float) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(fraction: float) -> str:
    """Return a share."""
    return f"{100 * fraction:.1f} %"


def seconds(amount: float) -> str:
    """Return what something takes, from microseconds up."""
    if 0 < amount < 1:
        return f"{1000 * amount:.1f} ms" if amount >= 0.0001 else f"{1e6 * amount:.0f} us"
    return f"{amount:.1f} s" if amount < 60 else span(amount)


def dollars(amount: float) -> str:
    """Return money."""
    return f"${amount:,.2f}"


def name_of(namespace: Sequence[str]) -> str:
    """Return a namespace in a line, as it can be given to the command."""
    return arguments.name_of(tuple(namespace)) if namespace else "(the empty namespace)"
