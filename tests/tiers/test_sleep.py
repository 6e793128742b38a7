"""Tiers over a file that somebody else writes to: copies that nobody reads before they are dropped are not made."""

import asyncio
import inspect
import itertools

import pytest

from hitrate import InMemoryCache, SqliteCache, StoreError, TieredCache

KEYS = [(("ns",), str(number)) for number in range(20)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.db"


@pytest.fixture
def other(path):
    with SqliteCache(path=path) as cache:
        cache.set(dict.fromkeys(KEYS, (0, None)))
        yield cache


@pytest.fixture
def tiered(path, other):
    with TieredCache(InMemoryCache(), SqliteCache(path=path)) as cache:
        yield cache


def sleep(cache, other):
    """Read each key once between two commits of the other."""
    for number, key in enumerate(KEYS):
        other.set({KEYS[0]: (number, None)})
        assert cache.get([key]) == {key: number if key == KEYS[0] else 0}
    other.set({KEYS[0]: (0, None)})
    cache.get([KEYS[0]])


def left(cache):
    return cache.tiers[0].stats().entries


def test_where_copies_are_dropped_unread_no_more_are_made(tiered, other):
    sleep(tiered, other)
    for number in range(50):
        other.set({KEYS[1]: (number, None), KEYS[2]: (number, 60)})
        assert tiered.get([KEYS[1], (("ns",), "none"), KEYS[2]]) == {KEYS[1]: number, KEYS[2]: number}
        assert left(tiered) == 0 or number > 40
    stats = tiered.stats()
    assert (stats.hits, stats.misses) == (121, 50)


def test_awaited_reads_make_none_either(tiered, other):
    sleep(tiered, other)

    async def read():
        for number in range(30):
            other.set({KEYS[1]: (number, None)})
            assert await tiered.aget([KEYS[1]]) == {KEYS[1]: number}
            assert left(tiered) == 0

    asyncio.run(read())


def test_once_the_other_has_stopped_copies_are_made_again(tiered, other):
    sleep(tiered, other)
    for _ in range(20):
        tiered.get(KEYS)
    assert left(tiered) == len(KEYS)
    before = tiered.tiers[1].stats()
    reads = []
    tiered.tiers[1]._store.get = reads.append
    assert tiered.get(KEYS) == dict.fromkeys(KEYS, 0)
    assert (reads, before) == ([], tiered.tiers[1].stats())


def test_where_copies_are_read_often_enough_they_are_made_all_the_time(tiered, other):
    for number in range(60):
        other.set({KEYS[1]: (number, None)})
        for _ in range(4):
            assert tiered.get([KEYS[1]]) == {KEYS[1]: number}
        assert left(tiered) == 1


def test_the_pause_gets_longer_each_time_and_ends_each_time(tiered, other):
    awake = []
    for number in range(3_000):
        other.set({KEYS[1]: (number, None)})
        assert tiered.get([KEYS[1]]) == {KEYS[1]: number}
        if left(tiered):
            awake.append(number)
    turns = [later - earlier for earlier, later in itertools.pairwise(awake) if later - earlier > 1]
    assert [turn // 128 for turn in turns] == [1, 4, 16][: len(turns)]
    assert len(turns) >= 2


def test_what_this_cache_writes_meanwhile_is_read(tiered, other):
    sleep(tiered, other)
    for number in range(20):
        tiered.set({KEYS[3]: (number, None)})
        assert tiered.get([KEYS[3]]) == {KEYS[3]: number}
        other.set({KEYS[3]: (-number, None)})
        assert tiered.get([KEYS[3]]) == {KEYS[3]: -number}
        tiered.delete([KEYS[3]])
        assert tiered.get([KEYS[3]]) == {}
    tiered.clear()
    assert tiered.get(KEYS) == {}
    assert tiered.get_or_compute(KEYS[0], lambda: "computed") == "computed"
    assert other.get([KEYS[0]]) == {KEYS[0]: "computed"}


@pytest.mark.parametrize("asleep", [True, False])
@pytest.mark.parametrize("face", ["get", "aget"])
def test_a_file_that_cannot_be_read_is_told_as_ever(path, other, face, asleep):
    with TieredCache(InMemoryCache(), SqliteCache(path=path), on_error="raise") as strict:
        if asleep:
            sleep(strict, other)
        other.set({KEYS[1]: (1, None)})

        def fail(keys):
            raise StoreError("the disk is gone")

        async def afail(keys):
            fail(keys)

        far = strict.tiers[1]._store
        far.get, far.aget = fail, afail

        def read():
            answer = getattr(strict, face)([KEYS[1]])
            return asyncio.run(answer) if inspect.iscoroutine(answer) else answer

        with pytest.raises(StoreError, match="the disk is gone"):
            read()
        assert strict.stats().errors == 2  # the tier's, and the read's
