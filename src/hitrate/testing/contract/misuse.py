"""Misuse is raised, always, before anything is read or stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hitrate.testing.contract.fixtures import Fixtures
from hitrate.testing.faces import Driver

GOOD = (("namespace",), "good")

BAD_KEYS: dict[str, tuple[Any, Any]] = {
    "an int as key": ((("namespace",), 17), 17),
    "bytes as key": ((("namespace",), b"key"), b"key"),
    "None as key": ((("namespace",), None), None),
    "a tuple as key": ((("namespace",), ("key",)), ("key",)),
    "a str as namespace": (("namespace", "key"), "namespace"),
    "bytes as namespace": ((b"namespace", "key"), b"namespace"),
    "None as namespace": ((None, "key"), None),
    "an int in a namespace": ((("namespace", 17), "key"), 17),
    "bytes in a namespace": (((b"namespace",), "key"), b"namespace"),
    "a tuple in a namespace": (((("namespace",),), "key"), ("namespace",)),
    "a frozenset as namespace": ((frozenset({"namespace"}), "key"), frozenset({"namespace"})),
    "a namespace alone": (("namespace",), ("namespace",)),
    "three parts": ((("namespace",), "key", "more"), (("namespace",), "key", "more")),
    "a str instead of a full key": ("nk", "nk"),
    "None instead of a full key": (None, None),
}
"""Things that are not full keys, each with the part that the error names."""

UNHASHABLE_KEYS: dict[str, tuple[Any, Any]] = {
    "a list as namespace": ((["namespace"], "key"), ["namespace"]),
    "a list as full key": ([("namespace",), "key"], [("namespace",), "key"]),
}

BAD_NAMESPACES: dict[str, tuple[Any, Any]] = {
    "a str for the namespaces": ("a", "a"),
    "a str as one of them": ([("a",), "b"], "b"),
    "a list as one of them": ([("a",), ["b"]], ["b"]),
    "an int in one of them": ([("a",), ("b", 17)], 17),
    "one namespace, not in a list": (("a", "b"), "a"),
    "a full key": ([("a",), (("a",), "key")], ("a",)),
}

BAD_PAIRS: dict[str, Any] = {
    "a value without its TTL": "value",
    "a pair too long": ("value", None, None),
    "None": None,
}


class Misuse(Fixtures):
    """Misuse"""

    @pytest.mark.parametrize("what", [*BAD_KEYS, *UNHASHABLE_KEYS])
    def test_get_refuses_what_is_not_a_full_key(self, cache: Driver, what: str) -> None:
        """`get` of anything but a full key is a TypeError that names it."""
        bad, named = {**BAD_KEYS, **UNHASHABLE_KEYS}[what]
        cache.set({GOOD: (1, None)})
        with type_error_that_names(named):
            cache.get([GOOD, bad])

    @pytest.mark.parametrize("what", BAD_KEYS)
    def test_set_refuses_what_is_not_a_full_key(self, cache: Driver, what: str) -> None:
        """`set` of anything but a full key is a TypeError that names it; nothing of the batch is stored."""
        bad, named = BAD_KEYS[what]
        with type_error_that_names(named):
            cache.set({GOOD: (1, None), bad: (2, None)})
        assert cache.get([GOOD]) == {}, "a part of the batch was stored"

    def test_a_full_key_alone_is_not_a_list_of_keys(self, cache: Driver) -> None:
        """`get` of one full key that is not in a list is a TypeError."""
        one: Any = GOOD
        with pytest.raises(TypeError):
            cache.get(one)

    @pytest.mark.parametrize("what", BAD_PAIRS)
    def test_set_refuses_what_is_not_a_value_with_its_ttl(self, cache: Driver, what: str) -> None:
        """`set` of anything but (value, TTL) is a TypeError or ValueError; nothing of the batch is stored."""
        with pytest.raises((TypeError, ValueError)):
            cache.set({GOOD: (1, None), (("namespace",), "bad"): BAD_PAIRS[what]})
        assert cache.get([GOOD]) == {}, "a part of the batch was stored"

    @pytest.mark.parametrize("what", BAD_NAMESPACES)
    def test_clear_refuses_what_is_not_a_namespace(self, cache: Driver, what: str) -> None:
        """`clear` of anything but namespaces is a TypeError that names it; nothing is cleared."""
        bad, named = BAD_NAMESPACES[what]
        stored = {(("a",), "key"): 1, (("b",), "key"): 2, (("a", "b"), "key"): 3}
        cache.set({key: (value, None) for key, value in stored.items()})
        with type_error_that_names(named):
            cache.clear(bad)
        assert cache.get(list(stored)) == stored, "something was cleared"


@contextmanager
def type_error_that_names(named: object) -> Iterator[None]:
    """Check that this block raises a TypeError, whose message names what is wrong."""
    with pytest.raises(TypeError) as caught:
        yield
    assert repr(named) in str(caught.value), f"the message does not name {named!r}"
