"""Every str is a legal key and a legal part of a namespace, and two different full keys never meet."""

from __future__ import annotations

import pytest

from hitrate.base import FullKey
from hitrate.testing.contract.fixtures import Fixtures
from hitrate.testing.faces import Driver
from hitrate.testing.hostile import LOOKALIKES, STRINGS


class Keys(Fixtures):
    """Keys"""

    @pytest.mark.parametrize("kind", STRINGS)
    def test_every_string_is_a_legal_key(self, cache: Driver, kind: str) -> None:
        """Every str is a legal key."""
        check_found_again(cache, [(("namespace",), string) for string in STRINGS[kind]])

    @pytest.mark.parametrize("kind", STRINGS)
    def test_every_string_is_a_legal_part_of_a_namespace(self, cache: Driver, kind: str) -> None:
        """Every str is a legal part of a namespace."""
        check_found_again(cache, [((string,), "key") for string in STRINGS[kind]])
        check_found_again(cache, [(("first", string, "last"), "key") for string in STRINGS[kind]])

    @pytest.mark.parametrize("length", [0, 1, 2, 3, 10, 1000])
    def test_a_namespace_may_have_any_length(self, cache: Driver, length: int) -> None:
        """A namespace may have any number of parts, none included."""
        check_found_again(cache, [(("part",) * length, "key"), (("",) * length, "")])

    @pytest.mark.parametrize("kind", LOOKALIKES)
    def test_different_full_keys_never_meet(self, cache: Driver, kind: str) -> None:
        """Two different full keys never meet."""
        expected = {key: number for number, key in enumerate(dict.fromkeys(LOOKALIKES[kind]))}
        for key, number in expected.items():
            cache.set({key: (number, None)})
        found = cache.get(list(expected))
        met = {key: found.get(key) for key, number in expected.items() if found.get(key) != number}
        assert not met, f"{shown(next(iter(met)))} met another key or was lost"

    def test_a_key_is_not_found_in_another_namespace(self, cache: Driver) -> None:
        """A key is found in its own namespace only."""
        cache.set({(("a",), "key"): (1, None)})
        others: list[FullKey] = [((), "key"), (("b",), "key"), (("a", "a"), "key"), (("a", ""), "key"), (("key",), "a")]
        assert cache.get(others) == {}


def check_found_again(cache: Driver, keys: list[FullKey]) -> None:
    """Check that each of these keys is found again, in a batch and alone, as the very key that was given."""
    values = {key: [number] for number, key in enumerate(dict.fromkeys(keys))}
    for key, value in values.items():
        cache.set({key: (value, None)})
        assert cache.get([key]) == {key: value}, f"{shown(key)} was not found again"
    cache.set({key: (value, None) for key, value in values.items()})
    assert cache.get(list(values)) == values


def shown(key: FullKey) -> str:
    """A full key as text that any terminal can print, shortened."""
    text = ascii(key)
    return text if len(text) <= 60 else f"{text[:40]}...{text[-10:]}"
