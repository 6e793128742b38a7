"""Cached functions of a module, to be pickled and inspected."""

from __future__ import annotations

from typing import Any

from hitrate import InMemoryCache, cached

CACHE: InMemoryCache[Any] = InMemoryCache()


@cached(CACHE)
def double(number: int, *, by: int = 2) -> int:
    """Return it times two."""
    return number * by


@cached(CACHE)
async def adouble(number: int) -> int:
    """Return it times two, later."""
    return number * 2


def triple(number: int) -> int:
    return number * 3
