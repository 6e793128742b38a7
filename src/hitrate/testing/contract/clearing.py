"""What a clear removes: exactly what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hitrate.base import FullKey, Namespace
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.contract.misuse import type_error_that_names
from hitrate.testing.faces import Driver, Face
from hitrate.testing.hostile import LOOKALIKES, STRINGS

FAMILY: list[Namespace] = [
    (), ("",), ("a",), ("a", "b"), ("a", "b", "c"), ("ab",), ("a,b",), ("a:b",), ("b",), ("b", "a"), ("A",), ("a", ""),
    ("*",), ("%",), ("a*",), ("_",), ("a", "*"), ("[a]",), ("?",),
]  # fmt: skip
"""Namespaces of which each looks like a prefix of, a pattern for or an encoding of another."""

BAD_PREFIXES: dict[str, tuple[Any, Any]] = {
    "a str": ("a", "a"),
    "a list": (["a"], ["a"]),
    "None": (None, None),
    "a list of namespaces": ([("a",)], [("a",)]),
    "an int in it": (("a", 17), 17),
}


class Clearing(Fixtures):
    """clear and aclear"""

    def test_clear_without_namespaces_removes_everything(self, cache: Driver) -> None:
        """`clear(None)` removes everything."""
        fill(cache)
        cache.clear(None)
        assert cache.get([key_in(namespace) for namespace in FAMILY]) == {}

    def test_clear_of_an_empty_list_removes_nothing(self, cache: Driver) -> None:
        """`clear([])` removes nothing."""
        before = fill(cache)
        cache.clear([])
        cache.clear(())
        assert left(cache) == before

    @pytest.mark.parametrize("namespace", FAMILY, ids=repr)
    def test_clear_removes_exactly_one_namespace(self, cache: Driver, namespace: Namespace) -> None:
        """A namespace is cleared exactly, never as a prefix or a pattern."""
        before = fill(cache)
        cache.clear([namespace])
        after = left(cache)
        assert namespace not in after, "it was not cleared"
        lost = [other for other in before if other not in [namespace, *after]]
        assert not lost, f"{lost[0]} went with it"

    def test_clear_removes_every_key_of_a_namespace(self, cache: Driver) -> None:
        """All keys of a namespace are cleared."""
        keys: list[FullKey] = [(("a",), str(number)) for number in range(2000)]
        keys += [
            (("a",), string) for kind, strings in STRINGS.items() if kind != "lone surrogates" for string in strings
        ]
        cache.set({key: (1, 60 if len(key[1]) % 2 else None) for key in keys})
        cache.clear([("a",)])
        assert cache.get(keys) == {}

    def test_several_namespaces_are_cleared(self, cache: Driver) -> None:
        """Several namespaces are cleared in one call; one may be named twice."""
        before = fill(cache)
        cache.clear([("a",), ("b",), ("a",), ("unknown",), ("*",)])
        assert left(cache) == [other for other in before if other not in [("a",), ("b",), ("*",)]]

    def test_an_unknown_namespace_is_no_error(self, cache: Driver) -> None:
        """Clearing a namespace that holds nothing is no error."""
        cache.clear([("unknown",)])
        cache.clear(None)
        assert cache.get([key_in(("unknown",))]) == {}

    @pytest.mark.parametrize("kind", LOOKALIKES)
    def test_hostile_namespaces_are_cleared_exactly(self, cache: Driver, kind: str) -> None:
        """A namespace of any strings is cleared exactly."""
        keys = list(dict.fromkeys(LOOKALIKES[kind]))
        namespace = keys[0][0]
        cache.set({key: (number, None) for number, key in enumerate(keys)})
        before = cache.get(keys)
        cache.clear([namespace])
        wanted = {key: value for key, value in before.items() if key[0] != namespace}
        assert cache.get(keys) == wanted, "others went with it, or some of it stayed"

    def test_what_is_set_after_a_clear_stays(self, cache: Driver) -> None:
        """What is set after a clear stays."""
        for target in ([("a",)], None):
            cache.set({key_in(("a",)): ("old", None)})
            cache.clear(target)
            cache.set({key_in(("a",)): ("new", None)})
            assert cache.get([key_in(("a",))]) == {key_in(("a",)): "new"}

    def test_forty_thousand_namespaces_in_one_call(self, cache: Driver) -> None:
        """Any number of namespaces in one clear: 40,000."""
        before = fill(cache)
        cache.clear([("many", str(number)) for number in range(40_000)] + [("a",)])
        assert left(cache) == [namespace for namespace in before if namespace != ("a",)]

    def test_clear_leaves_other_caches_alone(self, new_cache: MakeCache, face: Face) -> None:
        """`clear(None)` removes what is of this cache and nothing else."""
        with face.open(new_cache()) as cache, face.open(new_cache()) as other:
            fill(cache)
            before = fill(other)
            cache.clear(None)
            assert left(cache) == []
            assert left(other) == before


class ClearingUnder(Fixtures):
    """clear_under and aclear_under"""

    @pytest.fixture
    def cache(self, new_cache: MakeCache, face: Face) -> Iterator[Driver]:
        """A new cache that has the method."""
        made = new_cache()
        if not callable(getattr(made, "clear_under", None)):
            pytest.skip("the cache does not offer `clear_under`")
        with face.open(made) as driver:
            yield driver

    def test_exactly_what_begins_with_the_prefix_is_cleared(self, cache: Driver) -> None:
        """The namespaces that begin with the prefix are cleared, part by part, itself included; no others are."""
        fill(cache)
        for prefix in [("a",), ("*",), ("",), ("%",), ("_",), ("b", "a"), ("unknown",), ("a", "b", "c", "d")]:
            before = left(cache)
            cache.clear_under(prefix)
            wanted = [namespace for namespace in before if namespace[: len(prefix)] != prefix]
            assert left(cache) == wanted, f"`clear_under({prefix!r})` left other namespaces than these"

    def test_what_lies_deeper_is_cleared_alone(self, cache: Driver) -> None:
        """A longer prefix leaves what it extends."""
        before = fill(cache)
        cache.clear_under(("a", "b"))
        assert left(cache) == [namespace for namespace in before if namespace[:2] != ("a", "b")]

    def test_the_empty_prefix_is_everything(self, cache: Driver) -> None:
        """The empty tuple clears everything."""
        fill(cache)
        cache.clear_under(())
        assert left(cache) == []

    @pytest.mark.parametrize("kind", LOOKALIKES)
    def test_hostile_prefixes_are_cleared_exactly(self, cache: Driver, kind: str) -> None:
        """A prefix of any strings is cleared exactly."""
        keys = list(dict.fromkeys(LOOKALIKES[kind]))
        prefix = keys[0][0][:1]
        cache.set({key: (number, None) for number, key in enumerate(keys)})
        before = cache.get(keys)
        cache.clear_under(prefix)
        wanted = {key: value for key, value in before.items() if key[0][: len(prefix)] != prefix}
        assert cache.get(keys) == wanted, "others went with it, or some of it stayed"

    def test_many_namespaces_under_one_prefix(self, cache: Driver) -> None:
        """Any number of namespaces lie under a prefix: 500 of them are misses afterwards, and can be set again."""
        many: list[FullKey] = [(("many", str(number), "deep"), "key") for number in range(500)]
        cache.set(dict.fromkeys([*many, key_in(("man",))], ("old", None)))
        cache.clear_under(("many",))
        assert cache.get([*many, key_in(("man",))]) == {key_in(("man",)): "old"}
        cache.set({many[0]: ("new", None)})
        assert cache.get(many) == {many[0]: "new"}

    def test_what_one_face_clears_under_a_prefix_the_other_misses(self, cache: Driver, other: Driver) -> None:
        """What one face clears under a prefix, the other misses."""
        fill(other)
        cache.clear_under(("a",))
        assert other.get([key_in(("a", "b")), key_in(("b",))]) == {key_in(("b",)): ["b"]}

    @pytest.mark.parametrize("what", BAD_PREFIXES)
    def test_what_is_no_namespace_is_refused(self, cache: Driver, what: str) -> None:
        """Anything but a tuple of str is a TypeError that names it; nothing is cleared."""
        bad, named = BAD_PREFIXES[what]
        before = fill(cache)
        with type_error_that_names(named):
            cache.clear_under(bad)
        assert left(cache) == before, "something was cleared"


def key_in(namespace: Namespace) -> FullKey:
    return namespace, "key"


def fill(cache: Driver) -> list[Namespace]:
    """Store an entry in each namespace of the family; return those whose entry is found again.

    That is all of them, unless the cache confuses keys; then only what a clear itself does wrong is held against it.
    """
    cache.set({key_in(namespace): (list(namespace), None) for namespace in FAMILY})
    return left(cache)


def left(cache: Driver) -> list[Namespace]:
    """The namespaces of the family that still hold their entry, in the family's order."""
    found = cache.get([key_in(namespace) for namespace in FAMILY])
    return [namespace for namespace in FAMILY if key_in(namespace) in found]
