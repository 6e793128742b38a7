"""What a get returns."""

from __future__ import annotations

from hitrate.base import FullKey
from hitrate.testing.contract.fixtures import A, B, C, Fixtures
from hitrate.testing.faces import Driver

JOINED: FullKey = (("a", "b"), "key")


class Reading(Fixtures):
    """get and aget"""

    def test_a_miss_is_left_out(self, cache: Driver) -> None:
        """A miss is left out of the result."""
        cache.set({A: (1, None)})
        assert cache.get([A, B]) == {A: 1}
        assert cache.get([B]) == {}

    def test_a_stored_none_is_a_hit(self, cache: Driver) -> None:
        """A stored None is a hit."""
        cache.set({A: (None, None)})
        assert cache.get([A, B]) == {A: None}

    def test_only_keys_that_were_asked_for_are_returned(self, cache: Driver) -> None:
        """Only keys that were asked for are returned."""
        cache.set({A: (1, None), B: (2, None), C: (3, None)})
        assert cache.get([B]) == {B: 2}
        assert cache.get([C, (("other",), "c")]) == {C: 3}

    def test_nothing_is_asked_for(self, cache: Driver) -> None:
        """A get of no keys returns an empty dict."""
        cache.set({A: (1, None)})
        assert cache.get([]) == {}
        assert cache.get(()) == {}

    def test_hits_come_in_the_order_asked(self, cache: Driver) -> None:
        """Hits come in the order asked."""
        keys: list[FullKey] = [((f"n{number % 3}",), str(number * 7 % 20)) for number in range(20)]
        cache.set({key: (key[1], None) for key in sorted(keys)})
        for asked in (keys, keys[::-1]):
            found = list(cache.get(asked))
            assert found == asked, (
                "they came in another order" if sorted(found) == sorted(asked) else "some are missing"
            )

    def test_returned_keys_are_the_keys_asked_for(self, cache: Driver) -> None:
        """Returned keys are full keys equal to the caller's: a tuple of a tuple of str, and a str."""
        cache.set({A: (1, None), JOINED: (2, None)})
        for key in cache.get([A, JOINED]):
            assert key in (A, JOINED), "a key was returned that was not asked for"
            assert [type(key), type(key[0]), type(key[1])] == [tuple, tuple, str]

    def test_a_key_may_be_asked_for_twice(self, cache: Driver) -> None:
        """A key that is asked for twice is returned once."""
        cache.set({A: (1, None)})
        assert cache.get([A, B, A]) == {A: 1}

    def test_keys_may_come_in_any_sequence(self, cache: Driver) -> None:
        """Keys may come in any sequence, as a tuple too."""
        cache.set({A: (1, None), B: (2, None)})
        assert cache.get((A, B)) == {A: 1, B: 2}

    def test_a_changed_hit_changes_nothing_in_the_cache(self, cache: Driver) -> None:
        """Every hit is the caller's own: changing it changes nothing in the cache."""
        cache.set({A: ([1, {"inner": [2]}], None)})
        for _ in range(3):
            hit = cache.get([A])[A]
            assert hit == [1, {"inner": [2]}], "an earlier hit was changed, and the cache with it"
            hit[1]["inner"].append("changed")
            hit.append("changed")

    def test_two_keys_never_share_a_value(self, cache: Driver) -> None:
        """Two keys that were set to one object do not share it."""
        shared = ["value"]
        cache.set({A: (shared, None), B: (shared, None)})
        found = cache.get([A, B])
        found[A].append("changed")
        assert found[B] == ["value"]

    def test_a_hundred_and_thirty_thousand_keys_in_one_call(self, cache: Driver) -> None:
        """Any number of keys in one get and one set: 130,000."""
        keys: list[FullKey] = [((f"n{number % 5}",), str(number)) for number in range(130_000)]
        cache.set({key: (number, None) for number, key in enumerate(keys)})
        unknown: FullKey = (("n0",), "unknown")
        found = cache.get([*keys, unknown])
        assert len(found) == len(keys)
        assert all(found[key] == number for number, key in enumerate(keys)), "values were mixed up"
