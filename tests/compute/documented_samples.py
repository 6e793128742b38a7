"""Cached functions and methods with documentation, in a module that imports nothing else."""

from __future__ import annotations

from hitrate import InMemoryCache, cached

CACHE = InMemoryCache()


@cached(CACHE)
def documented(number: int, *, by: int = 2) -> int:
    """Return it times two.

    >>> documented(2)
    4
    """
    return number * by


@cached(CACHE)
async def adocumented(number: int) -> int:
    """Return it times two, later."""
    return number * 2


class Documented:
    """A class with a cached method."""

    @cached(CACHE, ignore="self")
    def method(self, number: int) -> int:
        """Return the number."""
        return number

    @classmethod
    @cached(CACHE)
    def of_class(cls, number: int) -> int:
        """Return the number, too."""
        return number
