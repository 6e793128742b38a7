"""What is memory's own: the forms a value is held in, the queue, and what is freed when."""

import gc
import sys
import time
import tracemalloc
import weakref
from collections import deque
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitrate import DecodeError, InMemoryCache, SerializationError
from hitrate.stores.memory import housekeeping, limits
from hitrate.stores.memory.arrivals import Compaction
from hitrate.stores.memory.space import ENTRY_OVERHEAD, VISITED, footprint
from hitrate.testing import Clock

KEY = (("ns",), "key")


def hits(cache, times=4):
    return [cache.get([KEY])[KEY] for _ in range(times)]


@pytest.mark.parametrize(
    "value", ["text", "\ud800", b"bytes", 7, 2**100, 1.5, None, True, (1, ("a", None)), frozenset({1})]
)
def test_an_immutable_value_comes_back_each_time(value):
    cache = InMemoryCache()
    cache.set({KEY: (value, None)})
    for found in hits(cache):
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        [1.0] * 1536,
        [1, "two", None],
        [[1], [2]],
        {"a": {"b": [1, 2, {"c": (3, [4])}]}},
        deque([("channel", ["value"]), ("branch:to:b", None)]),
        {1, 2, 3},
        bytearray(b"bytes"),
        (1, [2]),
    ],
)
def test_every_hit_is_the_callers_own_in_whatever_form_the_value_is_held(value):
    cache = InMemoryCache()
    cache.set({KEY: (value, None)})
    found = hits(cache, 600)  # long enough for each form to be chosen
    for each in found:
        assert each == value
        assert type(each) is type(value)
    mutable = [list, dict, deque, set, bytearray]
    seen = set()
    for each in found:
        for part in parts(each):
            if type(part) in mutable:
                assert id(part) not in seen, "two hits share a part that can be changed"
                seen.add(id(part))


def parts(value):
    yield value
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, (list, tuple, deque, type({}.values()))):
        for each in value:
            yield from parts(each)


def test_a_value_of_another_serializer_is_decoded_for_every_hit():
    class Counting:
        loads = 0

        def dumps_typed(self, obj):
            return "repr", repr(obj).encode()

        def loads_typed(self, data):
            Counting.loads += 1
            return data[1].decode()

    cache = InMemoryCache(serde=Counting())
    cache.set({KEY: ("text", None)})
    assert hits(cache, 5) == ["'text'"] * 5
    assert Counting.loads == 5


def test_what_hits_hold_as_objects_counts_as_objects():
    cache = InMemoryCache()
    cache.set({KEY: ({str(number): float(number) for number in range(1000)}, None)})
    packed = cache.stats().bytes
    hits(cache, 600)
    assert cache.stats().bytes > packed + 20_000
    cache.delete([KEY])
    assert cache.stats().bytes == 0


@pytest.mark.parametrize("value", [7, "text", (1, 2), [1, 2], [1.5] * 100, {"n": 1}, {1, 2}])
def test_an_entry_counts_with_its_key_and_its_overhead_in_whatever_form_it_is_held(value):
    cache = InMemoryCache()
    cache.set({KEY: (value, None)})
    for _ in range(600):
        assert cache.stats().bytes >= ENTRY_OVERHEAD + len(KEY[1])
        cache.get([KEY])
    cache.set({KEY: (value, None)})
    cache.delete([KEY])
    assert cache.stats().bytes == 0


def test_footprint_counts_each_object_once_and_no_class():
    shared = ["x" * 1000]
    assert footprint([shared, shared]) < 1500
    assert footprint([shared]) > 1000
    assert footprint(Clock()) < 10_000


operations = st.lists(
    st.tuples(st.sampled_from(["set", "timed", "get", "delete", "clear", "advance"]), st.integers(0, 11)), max_size=80
)


def counts_are_exact(cache):
    with cache._store.lock:  # the housekeeping removes what has expired
        stats, spaces = cache.stats(), list(cache._store.spaces.values())
        return (stats.entries, stats.bytes) == (sum(map(len, spaces)), sum(space.size for space in spaces))


@settings(max_examples=150, deadline=None)
@given(operations, st.sampled_from([None, 3, 6]))
def test_the_counts_are_exact_after_any_history(history, max_entries):
    clock = Clock()
    cache = InMemoryCache(max_entries=max_entries, clock=clock)
    for what, number in history:
        key = ((str(number % 3),), str(number))
        if what == "set":
            cache.set({key: ([number], None)})
        elif what == "timed":
            cache.set({key: ("text" * number, 5)})
        elif what == "get":
            cache.get([key])
        elif what == "delete":
            cache.delete([key])
        elif what == "clear":
            cache.clear([key[0]] if number else None)
        else:
            clock.advance(number)
        assert counts_are_exact(cache)
        assert max_entries is None or cache.stats().entries <= max_entries


def test_keys_that_come_and_go_leave_nothing_behind():
    clock = Clock()
    cache = InMemoryCache(clock=clock)
    cache.set({(("ns",), "kept"): (0, None)})
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(30_000):
            key = (("ns",), str(number))
            cache.set({key: (number, 1000)})
            cache.delete([key])
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 4_000_000, "the queue or the list of what is due keeps what has gone"


def test_one_key_set_again_and_again_with_a_ttl_is_noted_a_bounded_number_of_times():
    cache = InMemoryCache()
    for number in range(20_000):
        cache.set({KEY: (number, 1000 + number)})
    assert sum(map(len, cache._store.due.told.values())) / 2 < 10_000


@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_due_goes_in_its_second_however_often_its_ttl_was_set_anew(batch):
    """An entry is noted as it gets its place in the order of arrival, and again when it is found early."""
    clock = Clock()
    cache = InMemoryCache(clock=clock)
    keys = [(("ns",), str(number)) for number in range(batch)]
    other = (("other",), "key")

    def entries_after(seconds):
        clock.advance(seconds)
        cache.set({other: ("of another namespace", None)})
        return cache.stats().entries - 1

    cache.set({(("ns",), "first"): ({"n": 0}, 10)})  # what makes the rest take the fast path
    cache.set({key: ({"n": 1}, 10) for key in keys})
    assert entries_after(5) == 1 + batch
    cache.set({key: ({"n": 2}, 10) for key in keys})  # until 15
    assert entries_after(6) == batch  # 11
    cache.set({key: ({"n": 3}, 100) for key in keys})
    assert entries_after(6) == batch  # 17
    cache.set({key: ({"n": 4}, 1) for key in keys})  # sooner than noted
    assert entries_after(2) == 0
    cache.set({key: ({"n": 5}, 10) for key in keys})
    cache.set({key: ({"n": 6}, None) for key in keys})  # and never
    assert entries_after(100) == batch
    cache.set({key: ({"n": 7}, 10) for key in keys})
    assert entries_after(12) == 0
    assert cache.stats().entries == 1


def test_clearing_much_does_not_make_anyone_wait_for_it_to_be_freed():
    cache = InMemoryCache()
    cache.set({(("big",), str(number)): (number, None) for number in range(60_000)})
    cache.clear()
    assert cache.stats().entries == cache.stats().bytes == 0
    wait_until(lambda: not cache._store.garbage)


def test_an_entry_that_cannot_be_decoded_concerns_no_other():
    cache = InMemoryCache()
    other = (("ns",), "other")
    cache.set({KEY: ([1], None), other: ([2], None)})
    space = cache._store.spaces[("ns",)]
    space["key"] = ("msgpack", b"\xc1", None, 0.0, False, 0.0, ENTRY_OVERHEAD + 5)
    assert cache.get([KEY, other]) == {other: [2]}
    assert cache.stats().errors == 1


def test_an_entry_that_cannot_be_decoded_is_raised_with_its_name_if_asked_for():
    cache = InMemoryCache(on_error="raise")
    cache.set({KEY: ([1], None)})
    cache._store.spaces[("ns",)]["key"] = ("msgpack", b"\xc1", None, 0.0, False, 0.0, ENTRY_OVERHEAD + 5)
    with pytest.raises(DecodeError, match=r"namespace \('ns',\), key 'key'"):
        cache.get([KEY])


def test_a_million_small_entries_take_no_more_than_the_bytes_that_stats_tells():
    cache = InMemoryCache()
    gc.collect()
    tracemalloc.start()
    try:
        for start in range(0, 50_000, 1000):
            cache.set({(("ns",), f"{number:032x}"): ({"n": number}, None) for number in range(start, start + 1000)})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < cache.stats().bytes * 1.2
    assert sys.getsizeof(cache) < 1000


def test_a_namespace_whose_last_entry_left_takes_no_room():
    clock = Clock()
    cache = InMemoryCache(max_entries=5, clock=clock)
    for number in range(500):  # evicted
        cache.set({((str(number),), "key"): (number, None)})
    assert len(cache._store.spaces) == 5
    cache.clear()
    cache.set({KEY: ("short", 5)})
    clock.advance(6)
    assert cache.get([KEY]) == {}  # expired, and found so by a read
    assert len(cache._store.spaces) == 0


class Colour(StrEnum):
    RED = "red"


def test_a_key_of_a_subclass_of_str_is_the_text_it_equals():
    cache = InMemoryCache()
    cache.set({((Colour.RED,), Colour.RED): (1, None)})
    assert cache.get([(("red",), "red")]) == {(("red",), "red"): 1}
    cache.set({(("red",), "red"): (2, None)})
    assert cache.get([((Colour.RED,), Colour.RED)]) == {((Colour.RED,), Colour.RED): 2}
    assert cache.stats().entries == 1
    assert cache.delete([((Colour.RED,), "red")]) == 1


@pytest.mark.parametrize("odd", ["8 letter", 2**40, -(2**40)], ids=repr)
def test_what_is_as_long_as_a_float_is_not_taken_for_one(odd):
    cache = InMemoryCache()
    value = [1.5] * 40 + [odd] + [2.5] * 40
    cache.set({KEY: (value, None)})
    for found in hits(cache):
        assert found == value
        assert type(found[40]) is type(odd)


def test_a_bytearray_as_long_as_a_float_is_a_miss_once_and_exact_from_then_on():
    cache = InMemoryCache()
    value = [1.5] * 40 + [bytearray(b"7 bytes")] + [2.5] * 40
    cache.set({KEY: (value, None)})
    assert cache.get([KEY]) == {}
    cache.set({KEY: (value, None)})
    for found in hits(cache):
        assert found == value
        assert type(found[40]) is bytearray


def test_a_read_of_more_keys_than_are_remembered_is_remembered_whole():
    clock = Clock()
    cache = InMemoryCache(clock=clock)
    keys = [(("ns",), str(number)) for number in range(20_000)]
    cache.get([(("ns",), "earlier")])
    cache.get(keys)
    clock.advance(2)
    cache.set(dict.fromkeys(keys, (1, None)))
    cache.get(keys)
    assert cache.stats().seconds_saved == 2 * len(keys)


def wait_until(done, seconds=60.0):
    """Wait for the housekeeping, which has its own thread."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_due_goes_though_nobody_writes_or_reads():
    cache = InMemoryCache()
    cache.set({(("ns",), str(number)): (number, 0.2) for number in range(5_000)})
    cache.set({(("ns",), "kept"): (0, 3600), (("ns",), "for ever"): (0, None)})
    store = cache._store
    wait_until(lambda: sum(map(len, store.spaces.values())) == 2)
    stats = cache.stats()
    assert (stats.entries, stats.expirations) == (2, 5_000)


def test_the_wait_for_what_is_due_keeps_no_cache_alive():
    cache = InMemoryCache()
    cache.set({KEY: (1, 3600)})
    gone, number = weakref.ref(cache._store), id(cache._store)
    wait_until(lambda: number in housekeeping._asked and not housekeeping._wanted.is_set())
    del cache
    wait_until(lambda: gc.collect() is not None and gone() is None)


def test_what_falls_due_at_one_moment_by_a_clock_of_ones_own_goes_with_the_writes(monkeypatch):
    monkeypatch.setattr(housekeeping, "request", lambda store: None)  # which has its turn at any time
    clock = Clock()
    cache = InMemoryCache(clock=clock)
    cache.set({(("due",), str(number)): (number, 60) for number in range(30_000)})
    clock.advance(61)
    writes = 0
    while sum(map(len, cache._store.spaces.values())) > 100:
        cache.set({(("ns",), str(writes % 100)): (writes, None)})
        writes += 1
        assert writes <= 30_000 / 64 + 2
    assert cache.stats().expirations == 30_000


@pytest.mark.parametrize("ttl", [None, 1000])
def test_the_order_of_arrival_is_compacted_beside_the_writers(ttl):
    cache = InMemoryCache(max_entries=20_000)
    for start in range(0, 50_000, 100):
        cache.set({(("ns",), str(number)): (number, ttl) for number in range(start, start + 100)})
        cache.delete([(("ns",), str(start + 50)), (("ns",), str(start + 51))])
        cache.set({(("ns",), str(start + 51)): ("again", ttl)})
    store = cache._store
    wait_until(lambda: not store.arrivals.wants_compacting)
    with store.lock:  # the housekeeping may be compacting again
        stats = cache.stats()
        places = store.arrivals.places
        assert len(places) // 2 - store.arrivals.dead == stats.entries
    assert 19_900 < stats.entries == sum(map(len, store.spaces.values()))
    assert len(places) <= 4 * stats.entries + 4_000
    there = {(space.name, key) for space, key in zip(places[::2], places[1::2], strict=True) if key in space}
    assert there == {(space.name, key) for space in store.spaces.values() for key in space}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("sdgc"), st.integers(0, 30)), max_size=120),
    st.lists(st.tuples(st.sampled_from("sdgc"), st.integers(0, 30)), max_size=120),
)
def test_what_happens_during_a_compaction_is_kept(before, meanwhile):
    cache = InMemoryCache(max_entries=25)

    def act(history):
        for what, number in history:
            key = ((str(number % 2),), str(number))
            if what == "s":
                cache.set({key: (number, None)})
            elif what == "d":
                cache.delete([key])
            elif what == "g":
                cache.get([key])
            elif number % 7 == 0:
                cache.clear([key[0]])

    act(before)
    store = cache._store
    cache.stats()
    compaction = Compaction(store.arrivals)
    for _ in compaction.steps():
        pass
    act(meanwhile)
    cache.stats()
    compaction.finish()
    arrivals = store.arrivals
    assert len(arrivals.places) // 2 - arrivals.dead == cache.stats().entries
    assert 0 <= arrivals.hand <= len(arrivals.places)
    assert arrivals.hand % 2 == 0
    pairs = {*zip(arrivals.places[::2], arrivals.places[1::2], strict=True)}
    assert {(space, key) for space in store.spaces.values() for key in space} <= pairs


def test_a_batch_is_exact_with_and_without_a_ttl():
    clock = Clock()
    cache = InMemoryCache(clock=clock)
    for ttl in (None, 10, 2.5):
        for turn in range(3):
            batch = {(("ns",), str(number)): ({"n": number, "turn": turn}, ttl) for number in range(50)}
            cache.set(batch)
            assert cache.get([*batch]) == {key: value for key, (value, _) in batch.items()}
            assert cache.stats().bytes == sum(space.size for space in cache._store.spaces.values())
            assert cache.stats().entries == 50
    clock.advance(3)
    assert cache.get([(("ns",), "1")]) == {}


@pytest.mark.parametrize("wrong", [{(("ns",), "b"): (object(), None)}, {(("ns",), "b"): (1, "soon")}, {"b": (1, None)}])
def test_nothing_of_a_batch_is_stored_when_one_of_it_is_wrong(wrong):
    cache = InMemoryCache(on_error="raise")
    cache.set({(("ns",), "there"): (1, None)})
    with pytest.raises((TypeError, SerializationError)):
        cache.set({(("ns",), "a"): (1, None), **wrong})
    assert cache.get([(("ns",), "a")]) == {}
    assert cache.stats().entries == 1


def test_the_seconds_that_a_value_took_are_kept_however_it_is_written():
    clock = Clock()
    for ttl in (None, 60):
        for many in (1, 3):
            cache = InMemoryCache(clock=clock, max_bytes=None)
            cache.set({(("ns",), "x"): ({"x": 1}, ttl)})
            keys = [(("ns",), str(number)) for number in range(many)]
            cache.get(keys)
            clock.advance(2)
            cache.set({key: ({"x": 1}, ttl) for key in keys})
            cache.get(keys)
            assert cache.stats().seconds_saved == 2 * many, (ttl, many)


def test_what_was_cleared_is_let_go_of_at_once():
    cache = InMemoryCache()
    tracemalloc.start()
    try:
        for number in range(5):
            cache.set({((f"ns {number}",), str(place)): ("x" * 100_000, None) for place in range(100)})
            before, _ = tracemalloc.get_traced_memory()
            cache.clear([(f"ns {number}",)])
            after, _ = tracemalloc.get_traced_memory()
            assert before - after > 9_000_000
    finally:
        tracemalloc.stop()


def test_one_sweep_clears_a_bounded_number_of_visited_bits():
    cache = InMemoryCache(max_entries=20_000)
    keys = [(("ns",), str(number)) for number in range(20_000)]
    cache.set(dict.fromkeys(keys, (1, None)))
    cache.get(keys)
    cache.set({(("ns",), "new"): (1, None)})
    held = cache._store.spaces[("ns",)]
    assert sum(each[VISITED] for each in held.values()) > 15_000
    assert len(held) == 20_000


def test_no_write_at_the_byte_limit_makes_room_for_very_many(monkeypatch):
    monkeypatch.setattr(limits, "_SLACK", 2)
    monkeypatch.setattr(limits, "_SLACK_AT_MOST", 3_000)
    cache = InMemoryCache(max_bytes=300_000)
    before = 0
    for number in range(1_500):
        cache.set({(("ns",), str(number)): ("x" * 100, None)})
        evictions = cache.stats().evictions
        assert evictions - before <= 2 + 3_000 // (100 + ENTRY_OVERHEAD)
        before = evictions
    assert before > 500
