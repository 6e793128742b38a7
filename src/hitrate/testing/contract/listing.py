"""What a listing tells: each entry once, without its value, while others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from hitrate.base import FullKey
from hitrate.testing.capabilities import NotOffered
from hitrate.testing.clock import Clock
from hitrate.testing.contract.clearing import BAD_PREFIXES, fill, left
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.contract.misuse import type_error_that_names
from hitrate.testing.faces import Driver, Face, opposite
from hitrate.testing.hostile import LOOKALIKES

NAMESPACE = ("namespace",)


class ListingEntries(Fixtures):
    """entries, namespaces and their async faces"""

    @pytest.fixture
    def lister(self, new_cache: MakeCache, face: Face) -> Iterator[Driver]:
        """A new cache that lists what it holds."""
        with face.open(new_cache()) as driver:
            ask_for_listing(driver)
            yield driver

    def test_each_entry_is_listed_once(self, lister: Driver) -> None:
        """Every entry is listed once, by its namespace and key."""
        assert lister.entries() == [], "a new cache lists something"
        fill(lister)
        listed = keys_of(lister)
        assert sorted(listed) == sorted((namespace, "key") for namespace in left(lister))

    @pytest.mark.parametrize("kind", LOOKALIKES)
    def test_hostile_keys_are_listed_as_they_are(self, lister: Driver, kind: str) -> None:
        """Keys and namespaces of any strings are listed as they were given."""
        keys = list(dict.fromkeys(LOOKALIKES[kind]))
        lister.set({key: (number, None) for number, key in enumerate(keys)})
        assert sorted(keys_of(lister)) == sorted(lister.get(keys))

    def test_long_keys_are_listed_as_they_are(self, lister: Driver) -> None:
        """Keys and namespaces of any length are listed as they were given."""
        keys: list[FullKey] = [(("part" * length,), "k" * length) for length in (0, 1, 63, 64, 65, 191, 192, 193, 9000)]
        keys += [(NAMESPACE, "é" * 500), (NAMESPACE, "0123456789abcdef" * 2), (NAMESPACE, "0123456789ABCDEF" * 2)]
        for key in keys:
            lister.set({key: ("value", None)})
        assert sorted(keys_of(lister)) == sorted(keys)

    def test_a_prefix_lists_what_begins_with_it(self, lister: Driver) -> None:
        """With a prefix the namespaces that begin with it are listed, part by part, itself included; no others are."""
        fill(lister)
        there = left(lister)
        for prefix in [(), ("a",), ("*",), ("",), ("%",), ("_",), ("b", "a"), ("unknown",), ("a", "b", "c", "d")]:
            wanted = sorted(namespace for namespace in there if namespace[: len(prefix)] == prefix)
            assert sorted(namespace for namespace, _ in keys_of(lister, prefix)) == wanted
            assert sorted(lister.namespaces(prefix)) == wanted

    def test_a_namespace_is_listed_once(self, lister: Driver) -> None:
        """A namespace is listed once, however many entries it has, and not when it has none."""
        lister.set({((str(number % 3),), str(number)): (number, None) for number in range(2000)})
        assert sorted(lister.namespaces()) == [("0",), ("1",), ("2",)]
        lister.clear([("1",)])
        lister.delete([(("2",), str(number)) for number in range(2, 2000, 3)])
        assert lister.namespaces() == [("0",)]

    def test_a_namespace_tells_what_it_holds(self, lister: Driver) -> None:
        """A namespace that is listed says how many entries and bytes it holds."""
        fill(lister)
        infos = lister.entries()
        for told in lister.namespaces():
            held = [info for info in infos if info.namespace == told.namespace]
            assert (told.entries, told.bytes) == (len(held), sum(info.bytes for info in held))
            times = [info.created for info in held if info.created is not None]
            assert (told.oldest, told.newest) == ((min(times), max(times)) if times else (None, None))

    def test_many_entries_are_listed(self, lister: Driver) -> None:
        """Any number of entries is listed: 5,000."""
        keys = [((str(number % 7),), str(number)) for number in range(5000)]
        lister.set(dict.fromkeys(keys, (None, None)))
        listed = keys_of(lister)
        assert len(listed) == len(keys)
        assert set(listed) == set(keys)

    def test_what_is_gone_is_not_listed(self, lister: Driver, clock: Clock) -> None:
        """What was deleted, cleared or has expired is not listed."""
        keys: list[FullKey] = [(("a",), "stays"), (("a",), "deleted"), (("b",), "cleared"), (("a",), "expired")]
        lister.set({key: ("value", 1 if key[1] == "expired" else 3600) for key in keys})
        lister.delete([keys[1]])
        lister.clear([("b",)])
        clock.advance(1.1)
        assert keys_of(lister) == keys[:1]
        lister.clear()
        assert lister.entries() == []
        assert lister.namespaces() == []

    def test_a_record_tells_expiry_seconds_and_bytes(self, lister: Driver, clock: Clock) -> None:
        """A record says when its entry expires, the seconds that it took, and the bytes that it counts as."""
        short, long = (NAMESPACE, "short"), (NAMESPACE, "long")
        lister.set({short: ("value", None)})
        lister.get([long])
        clock.advance(1.5)
        lister.set({long: ("value" * 1000, 3600)})
        told = {info.key: info for info in lister.entries()}
        assert told["short"].expires is None
        assert told["long"].expires == pytest.approx(clock() + 3600, abs=2)
        assert told["short"].seconds == 0.0
        assert told["long"].seconds == pytest.approx(1.5, abs=0.5)
        assert told["long"].bytes > 5000 > told["short"].bytes > 0
        assert sum(info.bytes for info in told.values()) == lister.raw.stats().bytes

    def test_the_time_of_storing_is_that_of_the_value(self, lister: Driver, clock: Clock) -> None:
        """A record says when its value was stored, if the cache knows; an overwritten value counts from then."""
        key = (NAMESPACE, "key")
        for _ in range(2):
            clock.advance(3)
            lister.set({key: ("value", None)})
            (info,) = lister.entries()
            assert info.created is None or info.created == pytest.approx(clock(), abs=2)

    def test_the_oldest_value_comes_first(self, lister: Driver, clock: Clock) -> None:
        """Where it is known when values were stored, the oldest comes first, in whatever namespace."""
        keys: list[FullKey] = [((str(number % 3),), str(number)) for number in range(60)]
        for key in keys + keys[::4]:
            clock.advance(1)
            lister.set({key: ("value", None)})
        infos = lister.entries()
        if all(info.created is not None for info in infos):
            assert keys_of(lister) == [key for key in keys if key not in keys[::4]] + keys[::4]
            assert [told.namespace for told in lister.namespaces()] == [("1",), ("2",), ("0",)]

    def test_a_value_that_cannot_be_decoded_is_listed(self, new_cache: MakeCache, face: Face) -> None:
        """No value is decoded: an entry that cannot be is listed all the same."""
        with face.open(new_cache(serde=_Writes())) as lister:
            ask_for_listing(lister)
            lister.set({(NAMESPACE, "key"): ("value", None)})
            assert keys_of(lister) == [(NAMESPACE, "key")]
            assert lister.raw.stats().hits == lister.raw.stats().misses == 0, "it counts as a read"

    def test_what_is_there_all_the_time_is_listed_once_while_others_write(self, lister: Driver, face: Face) -> None:
        """What is there from the first step to the last is listed once, while others come, change and go."""
        stays: list[FullKey] = [(("stays", str(number % 5)), str(number)) for number in range(3000)]
        lister.set(dict.fromkeys(stays, (0, None)))
        done = threading.Event()

        def disturb() -> None:
            with face.open(lister.raw) as other:
                number = 0
                while not done.is_set():
                    number += 1
                    other.set({stays[number * 7 % len(stays)]: (number, None if number % 2 else 3600)})
                    other.set({(("comes", str(number % 50)), str(number)): (number, None)})
                    other.delete([(("comes", str((number - 9) % 50)), str(number - 9))])
                    if number % 100 == 0:
                        other.clear([("comes", "1")])

        with meanwhile(disturb, done):
            for _ in range(3):
                listed = keys_of(lister)
                assert sorted(key for key in listed if key[0][0] == "stays") == sorted(stays)
                assert len(listed) == len(set(listed)), "a key was listed twice"

    def test_what_eviction_leaves_is_listed_once(self, bounded_cache: MakeCache, face: Face) -> None:
        """What is there from the first step to the last is listed once, while others are evicted for what comes."""
        keys: list[FullKey] = [(("first", str(number % 5)), str(number)) for number in range(3000)]
        with face.open(bounded_cache(max_entries=len(keys))) as cache:
            ask_for_listing(cache)
            cache.set(dict.fromkeys(keys, (0, None)))
            before = cache.raw.stats()
            started, done = threading.Event(), threading.Event()

            def fill_up() -> None:
                try:
                    with face.open(cache.raw) as other:
                        number = 0
                        while not done.is_set() and number < len(keys) // 2:
                            number += 1
                            other.set({(("comes", str(number % 50)), str(number)): (number, None)})
                            if number == 10:
                                started.set()
                finally:
                    started.set()

            with meanwhile(fill_up, done):
                started.wait()
                listed = keys_of(cache)
            assert len(listed) == len(set(listed)), "a key was listed twice"
            left = cache.get(keys)
            assert 0 < len(left) < len(keys), "nothing was evicted"
            assert left.keys() <= set(listed), "an entry that was there all the time was not listed"
            after = cache.raw.stats()
            assert after.errors == before.errors
            assert after.evictions > before.evictions

    def test_what_one_face_sets_the_other_lists(self, lister: Driver, face: Face) -> None:
        """What one face sets, the other lists."""
        with opposite(face).open(lister.raw) as other:
            other.set({(NAMESPACE, "key"): ("value", None)})
            assert keys_of(lister) == [(NAMESPACE, "key")]
            assert keys_of(other) == [(NAMESPACE, "key")]

    @pytest.mark.parametrize("what", BAD_PREFIXES)
    def test_what_is_no_prefix_is_refused(self, lister: Driver, what: str) -> None:
        """A prefix that is anything but a tuple of str is a TypeError that names it."""
        bad, named = BAD_PREFIXES[what]
        for method in (lister.entries, lister.namespaces):
            with type_error_that_names(named):
                method(bad)


class _Writes:
    """A serializer whose values nobody can decode."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "bytes", b"value"

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        raise AssertionError("a listing decoded a value")


def ask_for_listing(cache: Driver) -> None:
    """Go on if the cache lists what it holds; else raise ``NotOffered``."""
    if not callable(getattr(cache.raw, "entries", None)):
        raise NotOffered("the cache has no `entries`")
    try:
        cache.entries()
    except NotImplementedError:
        raise NotOffered("the cache's store has no `list_page`") from None


@contextmanager
def meanwhile(work: Callable[[], None], done: threading.Event) -> Iterator[None]:
    """Have a thread work while this block runs, then set the event that ends the work, and raise what it raised."""
    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(work)
        try:
            yield
        finally:
            done.set()
    working.result()


def keys_of(cache: Driver, under: tuple[str, ...] = ()) -> list[FullKey]:
    """The keys that a listing came by, in its order."""
    return [(info.namespace, info.key) for info in cache.entries(under)]
