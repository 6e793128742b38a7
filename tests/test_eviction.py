"""What eviction keeps, on traces of the kinds that programs make; the shares are of all reads."""

import random
from itertools import accumulate
from pathlib import Path

import pytest

from hitrate import InMemoryCache, SqliteCache

ROOM = 200


def zipf(dice, many, skew=1.0, keys=2000, base=0):
    """Reads of keys of which few are asked for often."""
    weights = [*accumulate(1 / rank**skew for rank in range(1, keys + 1))]
    return [base + key for key in dice.choices(range(keys), cum_weights=weights, k=many)]


def recent(dice, many, within=120, base=10_000_000):
    """A new key, then one of the latest that is read again, in turns."""
    trace = []
    for new in range(many // 2):
        trace += (base + new, base + new - dice.randrange(min(within, new + 1)))
    return trace


def with_scans(dice, many):
    """Zipf, and now and then many keys that are asked for once."""
    trace, scanned = zipf(dice, many * 5 // 6), 1_000_000
    for at in range(many // 10, many, many // 10):
        trace[at:at] = range(scanned, scanned + many // 60)
        scanned += many // 60
    return trace[:many]


def shifting(dice, many):
    """A new set of keys that are asked for often, ten times."""
    return [key for turn in range(10) for key in zipf(dice, many // 10, base=10_000 * turn)]


def half_and_half(dice, many):
    often, lately = iter(zipf(dice, many)), iter(recent(dice, many))
    return [next(often if dice.random() < 0.5 else lately) for _ in range(many)]


def hit_ratio(cache, trace):
    hits = 0
    for number in trace:
        key = (("ns",), str(number))
        if cache.get([key]):
            hits += 1
        else:
            cache.set({key: (number, None)})
    assert cache.stats().entries <= ROOM
    return 100 * hits / len(trace)


def lru_ratio(trace):
    held: dict[int, None] = {}
    hits = 0
    for key in trace:
        if key in held:
            del held[key]
            hits += 1
        elif len(held) == ROOM:
            del held[next(iter(held))]
        held[key] = None
    return 100 * hits / len(trace)


@pytest.fixture(params=["memory", "sqlite"])
def cache(request, tmp_path: Path):
    opened = (
        InMemoryCache(max_entries=ROOM)
        if request.param == "memory"
        else SqliteCache(path=tmp_path / "cache.db", max_entries=ROOM)
    )
    yield opened
    opened.close()


# How many points above LRU, at least; a policy that keeps out what is new loses dozens in the last two.
@pytest.mark.parametrize(
    ("make", "above"),
    [(zipf, 4.0), (with_scans, 4.0), (shifting, -7.0), (recent, -20.0), (half_and_half, -9.0)],
    ids=["zipf", "with scans", "shifting", "recent", "half and half"],
)
def test_the_hit_ratio_beside_that_of_lru(cache, make, above):
    trace = make(random.Random(11), 12_000)
    ours, lru = hit_ratio(cache, trace), lru_ratio(trace)
    assert ours >= lru + above, f"{ours:.1f} %, LRU {lru:.1f} %"
