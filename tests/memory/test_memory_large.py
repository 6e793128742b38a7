"""A namespace with very many keys lies in parts, which nobody can tell but by how long an insertion takes."""

import dis
import gc
import sys
import threading
import time
import weakref
from functools import partial
from random import Random
from types import FunctionType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_memory_races import STEPS_END, race, trace_lines

from hitrate import InMemoryCache
from hitrate.stores.memory import dividing, housekeeping
from hitrate.stores.memory.space import SIZE, LargeSpace
from hitrate.testing import Clock

NAMESPACE = ("ns", "large")


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(dividing, "LARGE", 4)


@pytest.fixture
def nothing_beside(monkeypatch):
    """No housekeeping, whose thread moves entries and takes back rooms whenever it has its turn."""
    monkeypatch.setattr(housekeeping, "request", lambda store: None)


def keys_of(numbers, namespace=NAMESPACE):
    return [(namespace, str(number)) for number in numbers]


def divide(cache):
    """Write to it with the lock, which finds a namespace large to which others have written without one."""
    cache.delete([(NAMESPACE, "none")])


def filled(many, ttl=None, **options):
    """Return a cache in which a namespace has become large, and had some more written to it."""
    cache = InMemoryCache(**options)
    for number, key in enumerate(keys_of(range(many))):
        cache.set({key: ({"at": key[1]}, ttl)})
        if number == dividing.LARGE:
            divide(cache)
    assert type(cache._store.spaces[NAMESPACE]) is LargeSpace
    return cache


def moved(cache):
    """Wait until what was there before a namespace was divided lies in the parts."""
    deadline = time.monotonic() + 60
    while cache._store.divided:
        housekeeping.request(cache._store)
        assert time.monotonic() < deadline
        time.sleep(0.001)


def check(cache):
    """See that all counts are of what is there, and that each entry has one place in the orders."""
    store = cache._store
    with store.lock:  # the housekeeping removes, moves and compacts beside this
        stats, spaces = cache.stats(), [*store.spaces.values()]
        for space in spaces:
            while store.move(space):
                pass
        assert stats.entries == sum(map(len, spaces)) == sum(len([*space]) for space in spaces)
        assert stats.bytes == sum(held[SIZE] for space in spaces for held in space.values())
        assert all(len({*space}) == len(space) == space.queued > 0 for space in spaces)
        assert all(space[key] is held and space.get(key) is held for space in spaces for key, held in space.items())
        if store.bounded:
            places, _ = store.copy_places(256)
            assert len(places) // 2 - store.arrivals.dead == stats.entries
            there = {*zip(places[::2], places[1::2], strict=True)}
            assert {(space, key) for space in spaces for key in space} <= there
        if store.by_worth:
            assert len(store.ranks) - store.ranks.dead == stats.entries
            assert all({*space.ranks} == {*space} for space in spaces)


def test_no_dict_of_a_large_namespace_is_large(monkeypatch):
    monkeypatch.setattr(dividing, "LARGE", 1000)
    for options in ({}, {"max_entries": 10_000}, {"max_entries": 10_000, "evict": "cost"}):
        cache = InMemoryCache(**options)
        for start in range(0, 15_000, 100):
            cache.set(dict.fromkeys(keys_of(range(start, start + 100)), (start, None)))
        moved(cache)
        space = cache._store.spaces[NAMESPACE]
        assert len(space) >= 10_000
        assert max(map(len, space.dicts())) < 300
        assert max(map(len, space.ranks.dicts())) < 1200
        check(cache)


def test_a_namespace_below_that_is_one_dict(monkeypatch):
    monkeypatch.undo()
    assert dividing.LARGE > 100_000
    cache = InMemoryCache()
    cache.set(dict.fromkeys(keys_of(range(100_000)), (1, None)))
    assert cache._store.spaces[NAMESPACE].parts is None


operations = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "many", "timed", "get", "delete", "clear", "under", "advance", "move"]),
        st.integers(0, 14),
    ),
    max_size=70,
)
limits = st.sampled_from(
    [{}, {"max_bytes": None}, {"max_entries": 6}, {"max_entries": 9, "evict": "cost"}, {"max_bytes": 4000}]
)


def apply(cache, clock, what, number):
    """Do something to a cache; return what it tells."""
    key = (NAMESPACE if number % 4 else ("other",), str(number))
    if what == "set":
        cache.set({key: ({"n": number}, None)})
    elif what == "many":
        cache.set(dict.fromkeys(keys_of(range(number, number + 7)), ("text" * number, None if number % 2 else 7)))
    elif what == "timed":
        cache.set({key: ([number], 5)})
    elif what == "get":
        cache.get([key])
    elif what == "delete":
        cache.delete([key])
    elif what == "clear":
        cache.clear([key[0]] if number else None)
    elif what == "under":
        cache.clear_under(NAMESPACE[:1])
    elif what == "advance":
        clock.advance(number / 4)
    elif space := cache._store.spaces.get(NAMESPACE):
        cache._store.change(cache._store.move, space)
    return cache.get(keys_of(range(22)) + keys_of(range(22), ("other",)))


@settings(max_examples=200, deadline=None)
@given(operations, limits)
def test_what_is_there_and_what_was_evicted_is_as_in_one_that_is_not_divided(history, limits):
    told = []
    for large in (4, 1 << 17):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dividing, "LARGE", large)
            clock = Clock()
            cache = InMemoryCache(clock=clock, **limits)
            seen = [(apply(cache, clock, *step), cache.stats().entries, cache.stats().bytes) for step in history]
            check(cache)
            stats = cache.stats()
            listed = [*cache.entries(())]
            if not cache._store.bounded:  # within one moment it has none
                listed.sort(key=lambda each: (each.namespace, each.key))
            told.append((seen, listed, stats.hits, stats.evictions, stats.expirations, stats.sets, stats.deletes))
    assert told[0] == told[1]


@pytest.mark.parametrize("ttl", [None, 60])
@pytest.mark.parametrize(("turns", "trace"), [(3000, None), (500, trace_lines)], ids=["untraced", "traced"])
@pytest.mark.parametrize(
    "options", [{"max_bytes": 200_000}, {"max_entries": 60, "evict": "cost"}], ids=["bytes", "cost"]
)
def test_the_counts_are_exact_after_threads_have_raced(options, ttl, turns, trace):
    cache = InMemoryCache(**options)
    race(cache, ttl, turns, trace)
    assert cache.stats().bytes <= options.get("max_bytes", 1 << 30)
    assert cache.stats().entries <= options.get("max_entries", 1 << 30)
    check(cache)
    cache.clear()
    assert (cache.stats().entries, cache.stats().bytes) == (0, 0)


@pytest.mark.usefixtures("nothing_beside")
@pytest.mark.parametrize("trace", [None, trace_lines], ids=["untraced", "traced"])
def test_room_is_spent_once_while_what_was_there_first_is_moved(trace, monkeypatch):
    monkeypatch.setattr(dividing, "LARGE", 300)
    cache = filled(301)
    store, space = cache._store, cache._store.spaces[NAMESPACE]
    assert space.first
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def write(seed):
        sys.settrace(trace)
        dice = Random(seed)
        for number in range(900):
            name = str(dice.randrange(301)) if number % 3 else f"new {dice.randrange(600)}"
            cache.set({(NAMESPACE, name): ({"text": "x" * (seed * 50 + number % 11)}, None)})

    try:
        threads = [threading.Thread(target=write, args=[seed]) for seed in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            store.change(space.move, 1)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    check(cache)
    assert cache.stats().sets == 301 + 3 * 900


def test_a_key_is_found_at_every_moment_of_the_division_and_of_the_moving():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    missed = []
    done = threading.Event()
    caches = []

    def read():
        while not done.is_set():
            for cache, keys in caches[-1:]:
                space = cache._store.spaces[NAMESPACE]
                missed.extend(key for key in keys if key[1] not in space or not cache.get([key]) or not space[key[1]])

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            cache = InMemoryCache(max_entries=100)
            keys = keys_of(range(4))
            cache.set(dict.fromkeys(keys, ("there", None)))
            caches[:] = [(cache, keys)]
            for key in keys_of(range(4, 40)):
                cache.set({key: ("more", None)})
            space = cache._store.spaces[NAMESPACE]
            while cache._store.change(space.move, 1):
                pass
    finally:
        done.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert missed == []


def test_the_order_of_arrival_is_whole_though_it_is_compacted_while_entries_are_moved(monkeypatch):
    monkeypatch.setattr(dividing, "LARGE", 3000)
    cache = InMemoryCache(max_entries=6000)
    for start in range(0, 24_000, 50):
        cache.set(dict.fromkeys(keys_of(range(start, start + 50)), (start, None)))
        cache.delete(keys_of([start, start + 1]))
    moved(cache)
    check(cache)
    there = {key for _, key in cache.get(keys_of(range(24_000)))}
    assert len(there) > 5900
    assert min(map(int, there)) > 17_000  # the oldest went


@pytest.mark.parametrize("evict", ["sieve", "cost"])
def test_clear_reaches_every_part_and_lets_go_of_it(evict):
    class Value:
        pass

    for many in (40, 8000):
        for clear in (
            lambda cache: cache.clear(),
            lambda cache: cache.clear([NAMESPACE]),
            lambda cache: cache.clear_under(("ns",)),
            lambda cache: cache.delete(keys_of(range(8000))),
        ):
            cache = filled(many, max_entries=10_000, evict=evict)
            space = cache._store.spaces[NAMESPACE]
            kept, value = (("kept",), "key"), Value()
            gone = weakref.ref(value)
            cache._store.put([(NAMESPACE, "object", (None, value, None, 0.0, True, 0.0, 400))])
            del value
            cache.set({kept: (1, None)})
            clear(cache)
            cache.delete([(NAMESPACE, "object")])
            assert cache.get(keys_of(range(many))) == {}
            assert cache.stats().entries == len(cache.get([kept]))
            deadline = time.monotonic() + 60
            while gone() is not None or space.first or any(space.parts):
                gc.collect()
                assert time.monotonic() < deadline
                time.sleep(0.001)
            cache.set({keys_of([1])[0]: ("again", None)})
            assert cache.get(keys_of([0, 1])) == {keys_of([1])[0]: "again"}
            check(cache)


@pytest.mark.parametrize("options", [{}, {"max_bytes": None}])
def test_entries_are_listed_oldest_first(options):
    clock = Clock()
    cache = InMemoryCache(clock=clock, **options)
    for number in range(600):
        clock.advance(0.001)
        cache.set({(NAMESPACE, str(number)): ({"n": number}, None)})
        if number == 300:
            divide(cache)
    assert type(cache._store.spaces[NAMESPACE]) is LargeSpace
    assert [entry.key for entry in cache.entries(("ns",))] == [str(number) for number in range(600)]
    moved(cache)
    assert [entry.key for entry in cache.entries(("ns",))] == [str(number) for number in range(600)]


def test_what_is_due_goes_from_every_part():
    clock = Clock()
    cache = InMemoryCache(clock=clock)
    for number in range(900):
        cache.set({(NAMESPACE, str(number)): ({"n": number}, None if number % 3 == 0 else 5 + number % 3)})
    for number in range(0, 900, 2):  # without the lock, most of them: some later, some sooner than before
        cache.set({(NAMESPACE, str(number)): ({"n": number}, None if number % 3 == 0 else 6.5)})
    clock.advance(20)
    writes = 0
    while cache.stats().entries > 301:
        cache.set({(NAMESPACE, "0"): ({"n": writes}, None)})
        writes += 1
        assert writes < 900 / 64 + 4
    check(cache)
    assert cache.stats().expirations == 600


def test_a_hit_is_as_exact_as_in_a_small_one():
    cache = filled(50)
    keys = keys_of(range(50))
    for _ in range(300):  # long enough for each form to be chosen
        found = cache.get(keys)
        assert found == {key: {"at": key[1]} for key in keys}
        for value in found.values():
            value["at"] = "changed by the caller"
    check(cache)


@pytest.mark.usefixtures("nothing_beside")
def test_a_count_that_is_made_anew_is_as_it_was():
    for options in ({}, {"max_entries": 100}, {"max_entries": 100, "evict": "cost"}):
        cache = filled(60, **options)
        before = cache.stats()
        cache._store._recount()
        assert cache.stats() == before
        check(cache)
        cache.delete(keys_of(range(0, 60, 7)))
        cache.set({(NAMESPACE, "7"): ("back", None)})
        check(cache)
        cache.set(dict.fromkeys(keys_of(range(0, 80, 3)), ("text", None)))
        check(cache)


class Sly(str):
    """A key that does something once, at the moment that it is looked up."""

    def __new__(cls, text, then):
        key = super().__new__(cls, text)
        key.then = then
        return key

    def __hash__(self):
        number = super().__hash__()
        then, self.then = self.then, None
        if then is not None:
            then(self)
        return number

    __eq__ = str.__eq__


@pytest.mark.usefixtures("nothing_beside")
@pytest.mark.parametrize("look", ["__contains__", "get", "__getitem__"])
def test_a_key_that_is_moved_between_two_looks_is_found(look):
    """The hash is asked for by each look: the first of them is followed by the move."""
    for before in range(4):
        cache = filled(5)
        space = cache._store.spaces[NAMESPACE]
        assert len(space.first) == 5

        def then(key, left=before, space=space):
            if left:
                key.then = partial(then, left=left - 1)
            else:
                space.move(5)

        assert getattr(space, look)(Sly("3", then))


@pytest.mark.usefixtures("nothing_beside")
def test_a_write_that_comes_upon_a_key_on_the_move_waits_its_turn():
    """The part was chosen, and then the key was moved, or removed, before the line that writes."""
    for change in ("move", "delete"):
        cache = filled(5)
        store = cache._store
        space = store.spaces[NAMESPACE]
        assert space.room > 0
        first, part_of = space.first, LargeSpace.part_of
        held = ("msgpack", b"\x80", None, 0.0, False, 0.0, 300)

        def chosen(self, key, change=change, first=first, space=space, cache=cache, part_of=part_of):
            part = part_of(self, key)
            if part is first:
                if change == "move":
                    space.move(5)
                else:
                    del self.first[key]
                    self.count -= 1
            return part

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LargeSpace, "part_of", chosen)
            assert not store.put_in_part(space, "3", held, 0.0, float("inf"))
        assert "3" not in space.first


@pytest.mark.usefixtures("nothing_beside")
def test_an_exchange_that_comes_upon_a_division_changes_nothing():
    cache = InMemoryCache()
    cache.set(dict.fromkeys(keys_of(range(4)), ([1], None)))
    space = cache._store.spaces[NAMESPACE]
    exchange, held = space.exchange, space["1"]
    cache.set(dict.fromkeys(keys_of(range(4, 9)), ([1], None)))
    divide(cache)
    assert type(space) is LargeSpace
    assert not exchange("1", held, (*held[:4], True, *held[5:]))
    assert space["1"] is held


def test_a_key_that_is_stored_and_removed_in_one_batch_leaves_the_counts_right():
    class Other(str):
        __slots__ = ()
        __hash__ = object.__hash__

        def __eq__(self, other):
            return self is other

    for options in ({}, {"max_entries": 100}, {"max_entries": 100, "evict": "cost"}):
        for many in (2, 40):
            cache = InMemoryCache(**options)
            cache.set(dict.fromkeys(keys_of(range(many)), (1, None)))
            cache.set(
                {(NAMESPACE, "new"): (1, None), (NAMESPACE, Other("new")): (1, 0), (NAMESPACE, "last"): (1, None)}
            )
            assert cache.stats().entries == many + 1
            cache.set({(NAMESPACE, "after"): (1, None)})
            check(cache)


@pytest.mark.usefixtures("nothing_beside")
def test_writers_without_the_lock_know_of_the_parts(monkeypatch):
    cache = filled(40)
    space = cache._store.spaces[NAMESPACE]
    assert space.room > 10_000
    taken = space.room
    for method in ("__setitem__", "__getitem__", "__contains__"):  # no line that calls one of these is one step
        monkeypatch.delattr(LargeSpace if method == "__setitem__" else dividing.Divided, method)
    cache.set({(NAMESPACE, "3"): ({"at": "4"}, None)})
    cache.set({(NAMESPACE, "new"): ({"at": "4"}, None)})
    assert cache.get(keys_of(["3", "new"])) == {key: {"at": "4"} for key in keys_of(["3", "new"])}
    assert space.room < taken
    assert dict.__len__(space) == 0
    monkeypatch.undo()
    check(cache)


@pytest.mark.usefixtures("nothing_beside")
def test_after_a_count_that_was_made_anew_what_arrives_is_noted_as_due():
    clock = Clock()
    cache = filled(40, clock=clock)
    ours, other = keys_of(["ours", "other"])
    for key in (ours, other):
        cache.set({key: ("text", None)})
    assert len(cache._store.spaces[NAMESPACE].latest) >= 2
    cache._store._recount()
    cache.delete([ours])
    cache.set({ours: ("text", 5)})
    check(cache)
    clock.advance(10)
    cache.set({other: ("text", None)})
    assert cache.stats().expirations == 1


@pytest.mark.usefixtures("nothing_beside")
def test_the_entries_of_a_namespace_are_counted_though_it_is_divided_at_any_step_of_that():
    ends = [each.opname.startswith(STEPS_END) for each in dis.get_instructions(InMemoryCache._count_in)]
    offsets = [each.offset for each in dis.get_instructions(InMemoryCache._count_in)]
    begins = {offset for offset, after in zip(offsets[1:], ends[:-1], strict=True) if after}
    step, again = 0, True
    while again:
        step += 1
        cache = InMemoryCache()
        for key in keys_of(range(9)):
            cache.set({key: ({"n": 1}, None)})
        left = step

        def trace(frame, event, arg, cache=cache):
            nonlocal left
            if frame.f_code.co_name != "_count_in":
                return None
            frame.f_trace_opcodes = True
            if event == "opcode" and frame.f_lasti in begins:
                left -= 1
                if left == 0:
                    sys.settrace(None)
                    divide(cache)
            return trace

        sys._getframe().f_trace_opcodes = True  # for Python 3.12 this has to be so somewhere before tracing begins
        sys.settrace(trace)
        try:
            assert cache._count_in(NAMESPACE) == 9, step
        finally:
            sys.settrace(None)
        again = left <= 0
        assert (type(cache._store.spaces[NAMESPACE]) is LargeSpace) == again
    assert step > 5


def test_who_asks_for_housekeeping_in_the_place_of_a_store_that_is_gone_is_looked_after():
    """The numbers by which stores are told apart are given again once a store is gone."""
    store, gone = InMemoryCache()._store, weakref.ref(InMemoryCache()._store)
    gc.collect()
    asked = {id(store): weakref.ref(store)}
    of_here = {**vars(housekeeping), "_asked": asked}  # no store but those of this test
    looked_after = FunctionType(housekeeping._looked_after.__code__, of_here)
    assert looked_after(id(store), gone) is None
    assert asked[id(store)]() is store
    looked_after(id(store), weakref.ref(store))
    assert asked == {}
