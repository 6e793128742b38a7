"""What others do to the SQLite file reaches the memory of this process before its next read."""

import os

import pytest
from tier_children import editor

from hitrate import InMemoryCache, SqliteCache, TieredCache

A, B = (("ns",), "a"), (("other",), "b")


def near_hits(tiered):
    return tiered.tiers[0].stats().hits


def in_near(tiered, key):
    """Tell whether a read is served by the nearest tier."""
    before = near_hits(tiered)
    tiered.get([key])
    return near_hits(tiered) > before


@pytest.fixture(params=[False, True], ids=["SqliteCache", "TieredCache"])
def other(path, tiered, request):
    with editor(path, tiered=request.param) as process:
        yield process


def test_an_overwrite_a_delete_and_a_clear_by_another_process_reach_the_next_read(tiered, other):
    for number in range(10):
        tiered.set({A: (number, None), B: (number, None)})
        assert tiered.get([A, B]) == {A: number, B: number}
        other.tell("set", [["ns", "a", "theirs"]])
        assert tiered.get([A, B]) == {A: "theirs", B: number}
        other.tell("delete", [["ns", "a"]])
        assert tiered.get([A, B]) == {B: number}
        other.tell("clear", ["other"])
        assert tiered.get([A, B]) == {}
    tiered.set({A: (1, None), B: (2, None)})
    other.tell("clear under", ["other"])
    assert tiered.get([A, B]) == {A: 1}
    other.tell("clear", None)
    assert tiered.get([A, B]) == {}


def test_a_near_tier_is_filled_again_after_another_process_wrote(tiered, other):
    tiered.set({A: (1, None)})
    other.tell("set", [["other", "b", 2]])
    assert not in_near(tiered, A)
    assert in_near(tiered, A)


def test_writes_of_this_process_leave_the_near_tier_as_it_is(tiered):
    keys = [(("ns",), str(number)) for number in range(300)]
    tiered.get(keys)
    tiered.set({A: (1, None)})
    for key in keys:
        tiered.set({key: ("v", 10)})
    tiered.set(dict.fromkeys(keys, ("w", None)))
    tiered.delete(keys)
    tiered.clear([("unknown",)])
    tiered.clear([("ns2",)])
    assert in_near(tiered, A)


def test_housekeeping_and_checkpoints_leave_the_near_tier_as_it_is(tiered):
    far = tiered.tiers[1]
    tiered.get([A])
    tiered.set({A: (1, None)})
    tiered.set({(("big",), str(number)): ("x" * 1000, None) for number in range(2000)})
    tiered.clear([("big",)])
    while far._store._housekeeper.step():
        pass
    far._store._housekeeper.fold()
    assert in_near(tiered, A)


def test_a_tier_that_is_used_by_itself_tells_the_nearer_one(tiered):
    far = tiered.tiers[1]
    tiered.get([A])
    tiered.set({A: (1, None), B: (2, None)})
    far.delete([A])
    assert tiered.get([A, B]) == {B: 2}
    assert in_near(tiered, B)
    far.set({B: (3, None)})
    assert tiered.get([B]) == {B: 3}
    far.clear([B[0]])
    assert tiered.get([B]) == {}


def test_two_caches_of_one_process_on_one_file_see_each_others_changes(tiered, path, clock):
    with TieredCache(InMemoryCache(clock=clock), SqliteCache(path=path, clock=clock), clock=clock) as other:
        for number in range(20):
            tiered.set({A: (number, None)})
            assert other.get([A]) == {A: number}
            other.set({A: (-number, None)})
            assert tiered.get([A]) == {A: -number}
            tiered.delete([A])
            assert other.get([A]) == {}


def test_parent_and_child_see_each_others_changes(tiered):
    tiered.get([A])
    tiered.set({A: (1, None)})
    child = os.fork()
    if child == 0:
        good = tiered.get([A]) == {A: 1}
        tiered.set({A: (2, None)})
        os._exit(0 if good and tiered.get([A]) == {A: 2} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [tiered.get([A]) for _ in range(2)] == [{A: 2}] * 2  # the first opens the file again
    assert in_near(tiered, A)


def test_without_the_wal_index_nothing_older_than_staleness_is_served(path, clock, monkeypatch):
    monkeypatch.setattr("hitrate.stores.sqlite.connections.wal_index", lambda path: None)
    near, far = InMemoryCache(clock=clock), SqliteCache(path=path, clock=clock)
    with TieredCache(near, far, staleness=5, clock=clock) as tiered, SqliteCache(path=path, clock=clock) as other:
        tiered.set({A: (1, None)})
        other.set({A: (2, None)})
        assert tiered.get([A]) == {A: 1}
        clock.advance(5)
        assert tiered.get([A]) == {A: 2}
        assert in_near(tiered, A)
        other.delete([A])
        clock.advance(5)
        assert tiered.get([A]) == {}


@pytest.mark.parametrize("staleness", [0, None])
def test_without_a_channel_and_staleness_the_near_tier_is_not_used(path, clock, monkeypatch, staleness):
    monkeypatch.setattr("hitrate.stores.sqlite.connections.wal_index", lambda path: None)
    near, far = InMemoryCache(clock=clock), SqliteCache(path=path, clock=clock)
    with TieredCache(near, far, staleness=staleness, clock=clock) as tiered:
        tiered.set({A: (1, None)})
        assert tiered.get([A]) == {A: 1}
        assert not in_near(tiered, A)
        assert near.stats().entries == 0
