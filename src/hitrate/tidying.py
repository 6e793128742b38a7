"""Tidying a cache: what has expired, and room on the disk. For the package itself; programs leave both to the cache."""

from __future__ import annotations

from typing import Any

from hitrate.cache import Cache


def count_expired(cache: Cache[Any]) -> int:
    """Return how many entries have expired and still take room; 0 where the backend removes them by itself.

    Raises:
        StoreError: the store failed.
    """
    return cache._open_store().count_expired()


def remove_expired(cache: Cache[Any]) -> int:
    """Remove what has expired, in steps that hold nobody up; return how many entries that were.

    Raises:
        StoreError: the store failed; what was removed before stays so.
    """
    return cache._open_store().remove_expired()


def compact(cache: Cache[Any]) -> bool:
    """Give room that removed entries left back to the disk; return whether the cache is one that has any to give.

    Raises:
        StoreError: the store failed.
    """
    return cache._open_store().compact()
