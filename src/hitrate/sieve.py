"""SIEVE eviction: which entries go when room is needed.

A hit sets an entry's visited bit and moves nothing. The hand goes from old to new, clears the bits it finds set, evicts
what it finds clear, and stays where it stopped (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024).

By itself the hand may end up behind the newest entries and evict each newcomer before it can be read again: of a trace
in which half of the reads are of one of the last 600 keys, SIEVE hits 1 % where LRU hits 50. So the hand stays out of
the newest tenth as long as there is something to evict elsewhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT", bound=Hashable)


_NEWEST = 10  # one in ten
_CLEARED_AT_MOST = 4096
"""Visited bits that one sweep clears; where more are set in a row, the next entry goes all the same. To clear a million
bits, as all were read, would hold everybody up."""


def rounds(places: int, live: int) -> tuple[int, ...]:
    """Return up to which place the hand goes in each round, before it begins again with the oldest.

    Two rounds beside the newest tenth find whatever is there to be evicted; the first may begin in the middle.

    Args:
        places: how many there are, with those that entries have left behind.
        live: how many entries there are.
    """
    return (places - live // _NEWEST,) * 3 + (places,) * 2


@dataclass(frozen=True, slots=True)
class Sweep(Generic[ItemT]):
    """What one sweep of the hand decided: the items to evict with their bytes, and the visited bits to clear."""

    evicted: list[tuple[ItemT, int]]
    cleared: list[ItemT]


def sweep(
    ring: Iterable[tuple[ItemT, bool, int]],
    excess_bytes: int,
    excess_entries: int,
    most_cleared: int = _CLEARED_AT_MOST,
) -> Sweep[ItemT]:
    """Choose what to evict so that both excesses are gone.

    Args:
        ring: the entries from the hand on, old to new and round again, each as (item, visited, bytes). It is consumed
            only as far as needed; the hand rests after the last one taken. It should end after two rounds.
        excess_bytes: how many bytes must go; 0 or less for none.
        excess_entries: how many entries must go; 0 or less for none.
        most_cleared: how many visited bits to clear at most.

    Returns:
        The evicted items with their sizes, and the items whose visited bit is to be cleared.
    """
    evicted: dict[ItemT, int] = {}
    cleared: dict[ItemT, None] = {}
    if excess_bytes <= 0 and excess_entries <= 0:
        return Sweep([], [])
    for item, visited, size in ring:
        if item in evicted:
            continue
        if visited and item not in cleared and len(cleared) < most_cleared:
            cleared[item] = None
            continue
        cleared.pop(item, None)
        evicted[item] = size
        excess_bytes -= size
        excess_entries -= 1
        if excess_bytes <= 0 and excess_entries <= 0:
            break
    return Sweep(list(evicted.items()), list(cleared))
