"""SIEVE by its paper: the hand goes from old to new, clears, evicts and stays."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hitrate.sieve import sweep


def ring_of(order, visited, hand=0):
    """The entries from the hand on, twice round, as a store gives them."""
    for _ in range(2):
        for place in range(len(order)):
            item = order[(hand + place) % len(order)]
            yield item, item in visited, 10


def test_the_oldest_unvisited_entry_goes_first():
    decided = sweep(ring_of("abcd", visited="a"), 0, 1)
    assert decided.evicted == [("b", 10)]
    assert decided.cleared == ["a"]


def test_an_entry_cleared_in_this_sweep_goes_when_the_hand_comes_round_again():
    decided = sweep(ring_of("abc", visited="abc"), 0, 1)
    assert decided.evicted == [("a", 10)]
    assert decided.cleared == ["b", "c"]


def test_bytes_and_entries_are_both_brought_down():
    assert len(sweep(ring_of("abcdef", visited=""), 25, 0).evicted) == 3
    assert len(sweep(ring_of("abcdef", visited=""), 5, 4).evicted) == 4


def test_nothing_goes_without_need():
    taken = []
    decided = sweep((taken.append(each) or each for each in ring_of("ab", "")), 0, 0)
    assert decided.evicted == decided.cleared == taken == []


def test_the_ring_is_taken_only_as_far_as_needed():
    taken = []
    sweep((taken.append(each[0]) or each for each in ring_of("abcdef", "a")), 0, 1)
    assert taken == ["a", "b"]


@given(st.integers(1, 20), st.sets(st.integers(0, 19)), st.integers(0, 19), st.integers(0, 25))
def test_as_many_as_asked_for_go_and_none_twice(size, visited, hand, wanted):
    decided = sweep(ring_of(range(size), visited, hand % size), 0, wanted)
    evicted = [item for item, _ in decided.evicted]
    assert len(evicted) == len(set(evicted)) == min(wanted, size)
    assert not set(evicted) & set(decided.cleared)


class Simulated:
    """A cache of keys alone, on ``sweep``."""

    def __init__(self, room):
        self.room, self.order, self.visited, self.hand = room, [], set(), 0

    def ask(self, key):
        if key in self.order:
            self.visited.add(key)
            return True
        if len(self.order) == self.room:
            taken = []
            ring = ring_of(self.order, self.visited, self.hand)
            decided = sweep((taken.append(each[0]) or each for each in ring), 0, 1)
            ((gone, _),) = decided.evicted
            self.visited -= {gone, *decided.cleared}
            self.hand = self.order.index(gone)
            self.order.remove(gone)
            self.hand %= max(1, len(self.order))
        self.order.append(key)
        return False


def test_on_a_zipf_load_it_hits_more_often_than_lru_as_the_paper_measured():
    """Zipf 1.0, 2,000 keys, room for 200: the paper's claim in small."""
    dice = random.Random(7)
    keys = dice.choices(range(2000), weights=[1 / rank for rank in range(1, 2001)], k=20_000)
    sieve = Simulated(200)
    sieve_hits = sum(sieve.ask(key) for key in keys)
    lru: dict[int, None] = {}
    lru_hits = 0
    for key in keys:
        if key in lru:
            lru_hits += 1
            del lru[key]
        elif len(lru) == 200:
            del lru[next(iter(lru))]
        lru[key] = None
    assert sieve_hits > lru_hits * 1.05
