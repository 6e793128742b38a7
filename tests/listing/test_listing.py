"""What a listing promises beyond the contract of a cache: its order, and what happens between its steps."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hitrate import EntryInfo, InMemoryCache, NamespaceInfo, SqliteCache, TieredCache, cached
from hitrate.cache import Cache
from hitrate.compute.cache import ComputingCache
from hitrate.errors import ClosedError, StoreError
from hitrate.keys import decode_namespace, encode_namespace
from hitrate.stores.base import Store, Usage
from hitrate.stores.memory import MemoryStore
from hitrate.testing import Clock

Open = Callable[..., ComputingCache[Any]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "sqlite in memory", "tiers", "tiers of memory"])
def open_cache(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """What opens a cache that keeps the order of arrival."""
    opened: list[ComputingCache[Any]] = []

    def make(**options: Any) -> ComputingCache[Any]:
        given = {"clock": clock, **options}

        def memory() -> InMemoryCache[Any]:
            return InMemoryCache(**given)

        def sqlite(path: Any = tmp_path / "cache.db") -> SqliteCache[Any]:
            return SqliteCache(path=path, **given)

        makers: dict[str, Callable[[], ComputingCache[Any]]] = {
            "memory": memory,
            "sqlite": sqlite,
            "sqlite in memory": lambda: sqlite(":memory:"),
            "tiers": lambda: TieredCache(memory(), sqlite(), clock=given["clock"]),
            "tiers of memory": lambda: TieredCache(memory(), memory(), clock=given["clock"]),
        }
        opened.append(makers[request.param]())
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()


def listed(cache: Cache[Any], under: tuple[str, ...] = ()) -> list[str]:
    return [info.key for info in cache.entries(under)]


def test_the_oldest_comes_first_across_namespaces(open_cache: Open, clock: Clock) -> None:
    cache = open_cache()
    names = [(f"n{number // 300}", "x") for number in range(1500)]
    for number, namespace in enumerate(names):
        clock.advance(1)
        cache.set({(namespace, str(number)): (number, None)})
    assert listed(cache) == [str(number) for number in range(1500)]
    assert listed(cache, ("n2",)) == [str(number) for number in range(600, 900)]
    assert list(cache.namespaces()) == [(f"n{number}", "x") for number in range(5)]
    assert [info.created for info in cache.entries()] == [clock() - 1499 + number for number in range(1500)]


def test_the_oldest_comes_first_however_they_take_turns(open_cache: Open, clock: Clock) -> None:
    cache = open_cache()
    for number in range(100):
        clock.advance(0.001)
        cache.set({((f"n{number % 4}",), str(number)): (number, 3600)})
    assert listed(cache) == [str(number) for number in range(100)]


def test_an_entry_that_is_set_again_counts_from_then(open_cache: Open, clock: Clock) -> None:
    cache = open_cache()
    for key in "abcd":
        clock.advance(0.001)
        cache.set({(("n",), key): (1, None)})
    clock.advance(0.001)
    cache.set({(("n",), "b"): ([2], 60)})
    cache.delete([(("n",), "a")])
    clock.advance(0.001)
    cache.set({(("n",), "a"): (3, None)})
    clock.advance(0.001)
    cache.set({(("n",), "c"): (4, None)})
    assert listed(cache) == ["d", "b", "a", "c"]
    assert next(cache.entries()).created == pytest.approx(clock() - 0.003, abs=1e-6)


def test_of_one_time_the_first_to_arrive_comes_first(open_cache: Open) -> None:
    cache = open_cache()
    for key in "abcd":
        cache.set({(("n",), key): (1, None)})
    cache.set({(("n",), "b"): ([2], 60)})
    cache.delete([(("n",), "a")])
    cache.set({(("n",), "a"): (3, None)})
    assert listed(cache) == ["b", "c", "d", "a"]


def test_writers_that_take_turns_are_listed_in_their_turns(open_cache: Open) -> None:
    """By the real clock, into namespaces with room of their own, where a write in memory does not look at others."""
    cache = open_cache(clock=time.time)
    keys = [((f"n{number * 7 % 5}",), str(number)) for number in range(600)]
    for key in keys:
        while time.time() == time.time():  # where the clock is coarse, the next one
            pass
        cache.set({key: ("value", None)})
    began = time.time()
    for key in keys[::3]:
        cache.set({key: ("new", None)})
    infos = list(cache.entries())
    again = [key for key in keys if key not in keys[::3]] + keys[::3]
    assert [(info.namespace, info.key) for info in infos] == again
    times = [info.created or 0 for info in infos]
    assert times == sorted(times)
    assert times[399] <= began <= times[400] <= times[-1] <= time.time()


def test_what_is_set_again_during_a_listing_comes_last(open_cache: Open, clock: Clock) -> None:
    cache = open_cache()
    cache.set({(("n",), str(number)): (0, None) for number in range(1200)})
    entries = cache.entries()
    seen = [next(entries).key]
    clock.advance(1)
    cache.set({(("n",), "700"): (1, None)})
    clock.advance(1)
    cache.set({(("n",), "600"): (1, None)})
    seen += [info.key for info in entries]
    assert seen[-2:] == ["700", "600"]
    assert sorted(seen) == sorted(str(number) for number in range(1200))


def test_what_changes_between_two_steps(open_cache: Open) -> None:
    cache = open_cache()
    keys = [(("n", str(number % 3)), str(number)) for number in range(3000)]
    cache.set(dict.fromkeys(keys, (0, None)))
    entries = cache.entries()
    seen = [next(entries)]
    cache.set(dict.fromkeys(keys[::2], (1, None)))
    cache.delete(keys[-3:])
    cache.set(dict.fromkeys(keys[-2:], ("again", None)))
    cache.set({(("m",), "new"): (0, None)})
    cache.delete([keys[0]])
    cache.set({keys[0]: ("again", None)})
    seen += entries
    found = [(info.namespace, info.key) for info in seen]
    assert len(found) == len(set(found))
    assert set(keys[:-3]) <= set(found)
    assert keys[-3] not in found


def test_a_listing_that_is_dropped_leaves_nothing_behind(open_cache: Open) -> None:
    cache = open_cache()
    cache.set({(("n",), str(number)): (0, None) for number in range(2000)})
    entries = cache.entries()
    next(entries)
    del entries
    gc.collect()
    cache.clear()
    cache.set({(("n",), "key"): (0, None)})
    assert listed(cache) == ["key"]


def test_a_closed_cache_lists_nothing_not_even_the_rest(open_cache: Open) -> None:
    cache = open_cache()
    cache.set({(("n",), str(number)): (0, None) for number in range(2000)})
    entries = cache.entries()
    next(entries)
    cache.close()
    with pytest.raises(ClosedError):
        list(entries)
    for method in (cache.entries, cache.namespaces, cache.aentries, cache.anamespaces):
        with pytest.raises(ClosedError):
            method()


def test_misuse_is_told_by_the_call_itself(open_cache: Open) -> None:
    cache: Any = open_cache()
    for method in (cache.entries, cache.namespaces, cache.aentries, cache.anamespaces):
        with pytest.raises(TypeError, match="a namespace is a tuple of str"):
            method("n")


def test_two_listings_at_once(open_cache: Open) -> None:
    cache = open_cache()
    cache.set({(("n",), str(number)): (0, None) for number in range(1200)})
    pairs = list(zip(cache.entries(), cache.entries(), strict=True))
    assert len(pairs) == 1200
    assert all(one == other for one, other in pairs)


def test_the_event_loop_serves_others_meanwhile(open_cache: Open) -> None:
    cache = open_cache()
    cache.set({(("n",), str(number)): (0, None) for number in range(5000)})
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> int:
        task = asyncio.create_task(others())
        count = 0
        async for _ in cache.aentries():
            count += 1
        task.cancel()
        return count

    assert asyncio.run(both()) == 5000
    assert turns >= 9


def test_stale_values_are_listed_until_they_are_gone(open_cache: Open, clock: Clock) -> None:
    cache = open_cache()

    @cached(cache, ttl=10, stale=20)
    def old(number: int) -> int:
        return number

    @cached(cache, ttl=5)
    def short(number: int) -> int:
        return number

    old(1)
    short(1)
    assert sorted(info.expires or 0 for info in cache.entries()) == [clock() + 5, clock() + 30]
    clock.advance(15)
    (info,) = cache.entries()
    assert info.expires == pytest.approx(clock() + 15)


def test_a_record_is_a_tuple_of_six(clock: Clock) -> None:
    with InMemoryCache(clock=clock) as cache:
        cache.set({(("n",), "key"): ("value", None)})
        (info,) = cache.entries()
        assert type(info) is EntryInfo
        namespace, key, size, created, expires, seconds = info
        assert (namespace, key, created, expires, seconds) == (("n",), "key", clock(), None, 0.0)
        assert size == cache.stats().bytes


def test_a_namespace_that_is_listed_is_one_and_tells_what_it_holds(open_cache: Open, clock: Clock) -> None:
    cache = open_cache()
    began = clock()
    for number in range(5):
        cache.set({(("a", "é,"), str(number)): ("x" * 100, None), ((), "key"): (number, None)})
        clock.advance(1)
    first, second = cache.namespaces()
    assert (type(first), first.namespace, first.entries, first.oldest) == (NamespaceInfo, ("a", "é,"), 5, began)
    assert (second.namespace, second.entries, second.oldest, second.newest) == ((), 1, clock() - 1, clock() - 1)
    assert first.newest == clock() - 1
    assert first.bytes == sum(info.bytes for info in cache.entries(("a",))) > 500
    assert first.bytes + second.bytes == cache.stats().bytes
    assert first == ("a", "é,")
    assert hash(first) == hash(("a", "é,"))
    assert type(first.namespace) is tuple
    assert [info.namespace for info in cache.entries(first)] == [("a", "é,")] * 5
    assert cache.get([(first, "1")]) == {(("a", "é,"), "1"): "x" * 100}
    cache.clear([first])
    assert list(cache.namespaces()) == [()]


def test_a_namespace_that_is_listed_cannot_be_changed_and_can_be_copied() -> None:
    info = NamespaceInfo(("a", "b"), 2, 700, 1.5, None)
    for change in (lambda: setattr(info, "entries", 3), lambda: delattr(info, "bytes"), lambda: setattr(info, "x", 1)):
        with pytest.raises(AttributeError, match="cannot be changed"):
            change()
    for other in (copy.copy(info), copy.deepcopy(info), pickle.loads(pickle.dumps(info))):
        assert (type(other), other, vars(other)) == (NamespaceInfo, ("a", "b"), vars(info))
    assert repr(info) == "NamespaceInfo(namespace=('a', 'b'), entries=2, bytes=700, oldest=1.5, newest=None)"


def test_without_limits_memory_lists_one_namespace_after_the_other(clock: Clock) -> None:
    with InMemoryCache(max_bytes=None, clock=clock) as cache:
        cache.set({((name,), key): (0, None) for key in "abc" for name in "xy"})
        assert [(info.namespace[0], info.key) for info in cache.entries()] == [
            (name, key) for name in "xy" for key in "abc"
        ]


class OldStore(Store):
    """A store that was written before there were listings."""

    def get(self, keys: Any) -> Any:
        return [None] * len(keys)

    async def aget(self, keys: Any) -> Any:
        return self.get(keys)

    def write(self, changes: Any) -> int:
        return 0

    async def awrite(self, changes: Any) -> int:
        return 0

    def clear(self, namespaces: Any) -> None:
        pass

    async def aclear(self, namespaces: Any) -> None:
        pass

    def clear_under(self, prefix: bytes) -> None:
        pass

    async def aclear_under(self, prefix: bytes) -> None:
        pass

    def usage(self) -> Usage:
        return Usage(0, 0, 0, 0)

    def close(self) -> None:
        pass


def test_a_store_of_somebody_else_says_that_it_does_not_offer_it() -> None:
    cache = ComputingCache[Any](OldStore())
    with pytest.raises(NotImplementedError, match="OldStore does not list"):
        list(cache.entries())

    async def listed() -> list[Any]:
        return [namespace async for namespace in cache.anamespaces()]

    with pytest.raises(NotImplementedError, match="OldStore does not list"):
        asyncio.run(listed())
    assert repr(cache) == "ComputingCache()"


class Failing(MemoryStore):
    """A store that fails at the fourth page, the second with entries."""

    pages = 0

    def list_page(self, under: Any, after: Any, limit: int) -> Any:
        self.pages += 1
        if self.pages > 3:
            raise StoreError("it is gone")
        return super().list_page(under, after, limit)


@pytest.mark.parametrize("on_error", ["miss", "raise"])
def test_a_store_that_fails_meanwhile_ends_the_listing(on_error: Any) -> None:
    with InMemoryCache[Any](on_error=on_error) as cache:
        cache._store = Failing(max_bytes=1 << 20, max_entries=None, clock=cache._clock)
        cache._store.write({(("n",), str(number)): ("msgpack", b"\x01", None, 0.0) for number in range(2000)})
        entries = cache.entries()
        if on_error == "raise":
            with pytest.raises(StoreError):
                list(entries)
        else:
            assert len(list(entries)) == 500
        assert cache.stats().errors == 1


def test_what_is_not_to_be_served_is_not_listed(tmp_path: Path) -> None:
    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        cache.set({(("n",), key): (0, None) for key in "abc"})
        store: Any = cache._store
        write = store.write

        def refuse(changes: Any) -> int:
            raise StoreError("the disk is full")

        store.write = refuse
        cache.set({(("n",), "b"): (1, None)})
        assert listed(cache) == ["a", "c"]
        store.write = write
        cache.set({(("n",), "b"): (1, None)})
        assert listed(cache) == ["a", "c", "b"]


def test_bytes_that_are_no_namespace_are_refused_in_linear_time() -> None:
    for wrong in (b"\x80" * 1_000_000, b"\x05abc", b"\x80", b"\x01\xff", b"\xff" * 33):
        with pytest.raises((ValueError, IndexError)):
            decode_namespace(wrong)
    namespace = ("", "a" * 300, "\ud800", "é" * 20_000)
    assert decode_namespace(encode_namespace(namespace)) == namespace
