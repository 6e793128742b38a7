"""What a delete removes."""

from __future__ import annotations

from typing import Any

import pytest

from hitrate.base import FullKey
from hitrate.testing.contract.fixtures import A, B, C, Fixtures
from hitrate.testing.contract.misuse import BAD_KEYS, GOOD, UNHASHABLE_KEYS, type_error_that_names
from hitrate.testing.faces import Driver
from hitrate.testing.hostile import LOOKALIKES


class Deleting(Fixtures):
    """delete and adelete"""

    def test_delete_removes_exactly_its_keys(self, cache: Driver) -> None:
        """`delete` removes the keys given and no others."""
        cache.set({A: (1, None), B: (2, 60), C: (3, None)})
        cache.delete([A, B])
        assert cache.get([A, B, C]) == {C: 3}

    def test_a_deleted_key_can_be_set_again(self, cache: Driver) -> None:
        """A deleted key can be set again."""
        cache.set({A: ("old", None)})
        cache.delete([A])
        cache.set({A: ("new", None)})
        assert cache.get([A]) == {A: "new"}

    def test_deleting_what_is_not_there_is_no_error(self, cache: Driver) -> None:
        """Deleting a key that is not stored, or none at all, is no error."""
        cache.set({A: (1, None)})
        cache.delete([B, (("unknown",), "key")])
        cache.delete([])
        assert cache.get([A]) == {A: 1}

    @pytest.mark.parametrize("kind", LOOKALIKES)
    def test_hostile_keys_are_deleted_exactly(self, cache: Driver, kind: str) -> None:
        """A key of any strings is deleted exactly."""
        keys = list(dict.fromkeys(LOOKALIKES[kind]))
        cache.set({key: (number, None) for number, key in enumerate(keys)})
        cache.delete(keys[:1])
        assert cache.get(keys) == {key: number for number, key in enumerate(keys) if number}

    def test_forty_thousand_keys_in_one_call(self, cache: Driver) -> None:
        """Any number of keys in one delete: 40,000."""
        keys: list[FullKey] = [(("many",), str(number)) for number in range(40_000)]
        cache.set(dict.fromkeys([*keys[::2], A], (1, None)))
        cache.delete(keys)
        assert cache.get([*keys, A]) == {A: 1}

    def test_what_one_face_deletes_the_other_misses(self, cache: Driver, other: Driver) -> None:
        """What one face deletes, the other misses."""
        cache.set({A: (1, None)})
        other.get([A])
        cache.delete([A])
        assert other.get([A]) == {}

    @pytest.mark.parametrize("what", [*BAD_KEYS, *UNHASHABLE_KEYS])
    def test_delete_refuses_what_is_not_a_full_key(self, cache: Driver, what: str) -> None:
        """`delete` of anything but a full key is a TypeError that names it; nothing is deleted."""
        bad: Any
        bad, named = {**BAD_KEYS, **UNHASHABLE_KEYS}[what]
        cache.set({GOOD: (1, None)})
        with type_error_that_names(named):
            cache.delete([GOOD, bad])
        assert cache.get([GOOD]) == {GOOD: 1}
