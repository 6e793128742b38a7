"""Threads, tasks and processes on one tiered cache: nothing that was replaced is served, and nothing is left behind."""

import asyncio
import sys
import threading

import pytest
from tier_children import editor

from hitrate import InMemoryCache, SqliteCache, TieredCache

KEYS = [(("ns",), str(number)) for number in range(4)]


@pytest.fixture
def impatient_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_threads_never_read_what_a_write_that_was_done_replaced(tiered, impatient_threads):
    """Each key has one writer, which counts up; readers note the count that is reached before they read."""
    reached = dict.fromkeys(KEYS, -1)
    wrong = []
    done = threading.Event()

    def write(key):
        for number in range(0, 600, 2):
            tiered.set({key: (number, None)})
            reached[key] = number
            if number % 10 == 0:
                tiered.delete([key])
                reached[key] = number + 1

    def read():
        while not done.is_set():
            before = dict(reached)
            for key, number in tiered.get(KEYS).items():
                if number < before[key]:
                    wrong.append((key, number, before[key]))

    async def aread():
        while not done.is_set():
            before = dict(reached)
            for key, number in (await tiered.aget(KEYS)).items():
                if number < before[key]:
                    wrong.append((key, number, before[key]))
            await asyncio.sleep(0)

    writers = [threading.Thread(target=write, args=[key]) for key in KEYS]
    readers = [threading.Thread(target=read) for _ in range(2)] + [threading.Thread(target=asyncio.run, args=[aread()])]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []


def test_writers_of_one_key_leave_no_tier_with_another_value(tiered, impatient_threads):
    def write(name):
        for number in range(200):
            tiered.set(dict.fromkeys(KEYS, (f"{name} {number}", None)))
            tiered.get(KEYS)

    threads = [threading.Thread(target=write, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    near, far = (tier.get(KEYS) for tier in tiered.tiers)
    assert all(near[key] == far[key] for key in near)
    assert tiered.get(KEYS) == far


def test_two_hundred_tasks_write_and_read_as_they_are_cancelled(tiered):
    async def task(number):
        key = KEYS[number % 4]
        await tiered.aset({key: (number, None)})
        await tiered.aget([key])

    async def tasks():
        under_way = [asyncio.create_task(task(number)) for number in range(200)]
        for turn in range(20):
            await asyncio.sleep(0)
            under_way[turn * 7].cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    for _ in range(5):
        asyncio.run(tasks())
        tiered.get(KEYS)
        near, far = (tier.get(KEYS) for tier in tiered.tiers)
        assert all(near[key] == far[key] for key in near)
        assert tiered.get(KEYS) == far
    assert tiered._store._tiers.under_way._by_key == {}


def test_a_file_is_shared_with_processes_that_write_at_full_speed(tiered, path):
    with editor(path, tiered=True) as other:
        for number in range(200):
            tiered.set({KEYS[0]: (number, None), KEYS[1]: (number, None)})
            other.tell("set", [["ns", "1", -number]])
            assert tiered.get(KEYS[:2]) == {KEYS[0]: number, KEYS[1]: -number}


def test_a_middle_tier_on_a_file_that_was_left_behind_is_not_trusted(tmp_path, clock):
    """What a file held when nobody heard of changes in the farther tier is not read."""
    far_path, middle_path = tmp_path / "far.db", tmp_path / "middle.db"
    with SqliteCache(path=middle_path, clock=clock) as middle:
        middle.set({KEYS[0]: ("left behind", None)})
    tiers = [InMemoryCache(clock=clock), *(SqliteCache(path=path, clock=clock) for path in (middle_path, far_path))]
    with TieredCache(*tiers, clock=clock) as tiered:
        assert tiered.get(KEYS[:1]) == {}
        tiered.set({KEYS[0]: ("new", None)})
        tiers[0]._store.clear(None)
        assert tiered.get(KEYS[:1]) == {KEYS[0]: "new"}
        assert tiers[1].get(KEYS[:1]) == {KEYS[0]: "new"}
