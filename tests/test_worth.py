"""Eviction by worth, `evict="cost"`: the seconds that it saves, and that its work is bounded and its counts exact."""

import gc
import heapq
import random
import time
import weakref
from itertools import accumulate

import pytest

import hitrate
from hitrate import InMemoryCache
from hitrate.stats import Counts
from hitrate.stores.memory import housekeeping
from hitrate.stores.memory.ranks import Ranks
from hitrate.stores.memory.space import SIZE, VISITED, Space, size_of
from hitrate.testing import Clock

ITEMS = 2000


def zipf(dice, many, skew, base=0):
    """Reads of keys of which few are asked for often; which ones says nothing of their sizes and costs."""
    weights = [*accumulate(1 / rank**skew for rank in range(1, ITEMS + 1))]
    return [base + key for key in dice.choices(range(ITEMS), cum_weights=weights, k=many)]


def shifting(dice, many):
    return [key for turn in range(5) for key in zipf(dice, many // 5, 1.0, base=ITEMS * turn)]


TRACES = {
    "zipf 0.8": lambda dice: zipf(dice, 20_000, 0.8),
    "zipf 1.0": lambda dice: zipf(dice, 20_000, 1.0),
    "loop": lambda dice: [*range(400)] * 40,
    "shifting": lambda dice: shifting(dice, 20_000),
}


class Work:
    """Values of which some are 100 times as large as others, and some take 1,000 times as long."""

    def __init__(self, dice):
        self.sizes = [int(1_000 * 100 ** dice.random()) for _ in range(ITEMS)]
        self.costs = [0.01 * 1000 ** dice.random() for _ in range(ITEMS)]

    def size(self, key):
        return self.sizes[key % ITEMS]

    def cost(self, key):
        return self.costs[key % ITEMS]

    def counted(self, key):
        return size_of(str(key), bytes(self.size(key)))


def share_saved(cache, clock, work, trace):
    """Return the share of all seconds of work that hits saved, in %."""
    saved = 0.0
    for number in trace:
        key = (("ns",), str(number))
        if cache.get([key]):
            saved += work.cost(number)
        else:
            clock.advance(work.cost(number))
            cache.set({key: (bytes(work.size(number)), None)})
    assert cache.stats().seconds_saved == pytest.approx(saved)
    return 100 * saved / sum(map(work.cost, trace))


def share_saved_by_gdsf(work, trace, capacity):
    """The same of GreedyDual-Size-Frequency with a heap, which reorders at each hit."""
    priorities: dict[int, float] = {}
    hits: dict[int, int] = {}
    heap: list[tuple[float, int]] = []
    level = saved = 0.0
    used = 0
    for key in trace:
        if key in priorities:
            saved += work.cost(key)
            hits[key] += 1
        else:
            while used + work.counted(key) > capacity:
                priority, lowest = heapq.heappop(heap)
                if priorities.get(lowest) == priority:
                    level = priority
                    del priorities[lowest]
                    used -= work.counted(lowest)
            hits[key] = 1
            used += work.counted(key)
        priorities[key] = level + hits[key] * work.cost(key) / work.counted(key)
        heapq.heappush(heap, (priorities[key], key))
    return 100 * saved / sum(map(work.cost, trace))


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("seed", [5, 8])
def test_it_saves_as_many_seconds_as_gdsf_with_a_heap(name, seed):
    dice = random.Random(seed)
    work, trace = Work(dice), TRACES[name](dice)
    capacity = 4_000_000
    clock = Clock()
    cache = InMemoryCache(max_bytes=capacity, evict="cost", clock=clock)
    ours = share_saved(cache, clock, work, trace)
    best = share_saved_by_gdsf(work, trace, capacity)
    assert ours >= best - 1, f"{ours:.1f} %, with a heap {best:.1f} %"
    assert cache.stats().bytes <= capacity
    clock = Clock()
    sieve = share_saved(InMemoryCache(max_bytes=capacity, clock=clock), clock, work, trace)
    assert ours >= sieve + 5, f"{ours:.1f} %, SIEVE {sieve:.1f} %"


@pytest.mark.parametrize("name", TRACES)
def test_where_all_cost_the_same_it_loses_little(name):
    trace = TRACES[name](random.Random(3))

    def hit_ratio(evict):
        cache = InMemoryCache(max_entries=200, evict=evict, clock=Clock())
        hits = 0
        for number in trace:
            key = (("ns",), f"{number:06}")
            if cache.get([key]):
                hits += 1
            else:
                cache.set({key: (b"value", None)})
        assert cache.stats().entries == 200
        return 100 * hits / len(trace)

    by_cost, sieve = hit_ratio("cost"), hit_ratio("sieve")
    assert by_cost >= sieve - 3, f"{by_cost:.1f} %, SIEVE {sieve:.1f} %"


@pytest.mark.parametrize("limit", [{"max_entries": 3}, {"max_bytes": 3 * size_of("0", bytes(1000)) + 100}])
def test_what_was_cheap_to_make_goes_first(limit):
    clock = Clock()
    cache = InMemoryCache(evict="cost", clock=clock, **limit)
    for name, seconds in [("a", 50), ("b", 1), ("c", 20), ("d", 60)]:
        cache.get([(("ns",), name)])
        clock.advance(seconds)
        cache.set({(("ns",), name): (bytes(1000), None)})
    assert {entry.key for entry in cache.entries()} == {"a", "c", "d"}
    assert cache.stats().evictions == 1


def test_what_is_large_goes_first_where_all_cost_the_same():
    cache = InMemoryCache(max_entries=3, evict="cost")
    for name, size in [("a", 10), ("b", 100_000), ("c", 10), ("d", 10)]:
        cache.set({(("ns",), name): (bytes(size), None)})
    assert {entry.key for entry in cache.entries()} == {"a", "c", "d"}


def test_seconds_measured_by_get_or_compute_count():
    clock = Clock()
    cache = InMemoryCache(max_entries=2, evict="cost", clock=clock)
    for name, seconds in [("a", 9.0), ("b", 0.001), ("c", 9.0)]:
        key = (("ns",), name)
        cache.get([key])
        cache.get_or_compute(key, lambda seconds=seconds: clock.advance(seconds))
    assert {entry.key for entry in cache.entries()} == {"a", "c"}


def test_an_entry_without_seconds_counts_as_the_median():
    clock = Clock()
    cache = InMemoryCache(max_entries=41, evict="cost", clock=clock)
    for number in range(40):  # half of them 1 s, half of them 100
        key = (("timed",), f"{number:02}")
        cache.get([key])
        clock.advance(1 if number % 2 else 100)
        cache.set({key: (b"value", None)})
    cache.set({(("ns",), "no"): (b"value", None)})
    for number in range(10):
        key = (("later",), f"{number:02}")
        cache.get([key])
        clock.advance(100)
        cache.set({key: (b"value", None)})
    left = {entry.key for entry in cache.entries() if entry.namespace == ("timed",)}
    assert all(f"{number:02}" in left for number in range(0, 40, 2))
    assert ("ns",) in {entry.namespace for entry in cache.entries()}


def test_a_url_may_ask_for_it():
    with hitrate.open("memory:?evict=cost&max_entries=2") as cache:
        for name, size in [("a", 10), ("b", 100_000), ("c", 10)]:
            cache.set({(("ns",), name): (bytes(size), None)})
        assert {entry.key for entry in cache.entries()} == {"a", "c"}
    with pytest.raises(ValueError, match="evict must be"):
        hitrate.open("memory:?evict=lru")


@pytest.mark.parametrize("wrong", ["lru", "COST", "", None, 1, ["cost"]])
def test_another_policy_is_refused_with_a_sentence(wrong):
    with pytest.raises(ValueError, match=r'^evict must be "sieve" or "cost", not '):
        InMemoryCache(evict=wrong)


@pytest.mark.parametrize(
    "limit", [{"max_entries": 50}, {"max_bytes": 40_000}, {"max_entries": 60, "max_bytes": 30_000}]
)
@pytest.mark.parametrize("seed", range(5))
def test_limits_hold_and_counts_are_exact_whatever_happens(limit, seed):
    dice, clock = random.Random(seed), Clock()
    cache = InMemoryCache(evict="cost", clock=clock, **limit)
    store = cache._store
    for _ in range(3_000):
        key = (("ns", str(dice.randrange(4))), str(dice.randrange(60)))
        what = dice.random()
        if what < 0.5:
            cache.get([key])
        elif what < 0.9:
            clock.advance(dice.random())
            ttl = dice.choice([None, None, 3, 0])
            value = dice.choice([bytes(dice.randrange(1500)), {"n": 1}, [1.0, 2.0], "text"])
            cache.set({key: (value, ttl)})
        elif what < 0.99:
            cache.set({(key[0], str(n)): (n, 5) for n in range(5)})
        else:
            cache.clear(dice.choice([None, [key[0]]]))
        with store.lock:  # the housekeeping removes what has expired, and compacts
            stats = cache.stats()
            spaces = store.spaces.values()
            assert stats.entries == sum(map(len, spaces)) <= limit.get("max_entries", 1000)
            assert stats.bytes == sum(held[SIZE] for space in spaces for held in space.values())
            assert stats.bytes <= limit.get("max_bytes", 1 << 30)
            assert len(store.ranks) - store.ranks.dead == stats.entries
            assert all(space.ranks.keys() == space.keys() for space in spaces)


def test_what_leaves_in_time_takes_no_place_for_ever():
    clock = Clock()
    cache = InMemoryCache(max_entries=10_000, evict="cost", clock=clock)
    for turn in range(20):
        cache.set({(("ns",), f"{turn} {number}"): (number, 1) for number in range(1_000)})
        clock.advance(5)
        cache.get([*((("ns",), f"{turn} {number}") for number in range(1_000))])
        housekeeping.request(cache._store)
        deadline = time.monotonic() + 30
        while cache._store.ranks.wants_compacting and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(cache._store.ranks) <= 4_000


def ranked(many, *, visited=False):
    """A namespace of entries of the same worth, each with its place."""
    space, ranks = Space("ns", Counts()), Ranks()
    for key in range(many):
        space[key] = ("bytes", b"", None, 1.0, visited, 0.0, 1000)
    ranks.place(space, [*space])
    return space, ranks


def test_a_sweep_ends_also_where_all_were_read():
    space, ranks = ranked(100_000, visited=True)
    assert len(ranks.sweep((), 0, 1)) == 1
    assert sum(not held[VISITED] for held in space.values()) < 2_000


def test_a_sweep_ends_also_where_nearly_all_have_left():
    space, ranks = ranked(100_000)
    ranks.forget_all(space)
    space.bury()
    assert ranks.sweep((), 1, 1) == []
    assert len(ranks) == ranks.dead > 90_000
    for _ in ranks.compact():
        pass
    assert len(ranks) == ranks.dead == 0


def test_compacting_keeps_what_is_there_in_its_order():
    space, ranks = ranked(5_000)
    for key in range(1, 5_000, 2):
        del space[key]
        ranks.forget(space, key)
    for _ in ranks.compact():
        pass
    assert (len(ranks), ranks.dead) == (2_500, 0)
    assert ranks.sweep((), 0, 100) == [(space, key) for key in range(0, 200, 2)]


def test_a_cache_that_is_let_go_leaves_nothing_to_the_collector():
    gc.disable()
    try:
        cache = InMemoryCache(max_entries=10, evict="cost")
        for number in range(30):
            cache.set({(("ns",), str(number)): (number, None)})
        worth = weakref.ref(cache._store.ranks)
        store = weakref.ref(cache._store)
        del cache
        assert store() is None
        assert worth() is None
    finally:
        gc.enable()
