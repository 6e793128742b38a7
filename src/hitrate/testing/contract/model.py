"""Random operations on a cache and on a dict that models it; the two never disagree.

The keys are few and nasty, so that operations meet and encodings collide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitrate.base import FullKey, Namespace
from hitrate.testing.clock import Clock
from hitrate.testing.contract.fixtures import Fixtures
from hitrate.testing.faces import Driver, Pairs

NAMESPACES: list[Namespace] = [
    (),
    ("",),
    ("a",),
    ("a", "b"),
    ("a,b",),
    ("a:b",),
    ("*",),
    ("%",),
    ("\x00",),
    ("\ud800",),
]
NAMES = ["", "k", "a,b", "\udfff"]

namespaces = st.sampled_from(NAMESPACES)
full_keys = st.tuples(namespaces, st.sampled_from(NAMES))
values = st.one_of(st.none(), st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3), st.text("ab", max_size=3))
# Powers of two, so that sums of them and the clock are exact and "at the very instant" is one instant. The shortest is
# far longer than an example takes: a server expires entries by its own clock as well, which no test makes stand still.
moments = st.sampled_from([64, 128, 256, 512, 16_384])
ttls = st.one_of(st.none(), moments, st.sampled_from([0, -1, math.inf, 10**12]))


class Model:
    """The cache as a dict of value and expiry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[FullKey, tuple[Any, float]] = {}

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        now = self._clock()
        return {key: self._entries[key][0] for key in keys if key in self._entries and now < self._entries[key][1]}

    def set(self, pairs: Pairs) -> None:
        for key, (value, ttl) in pairs.items():
            self._entries[key] = value, math.inf if ttl is None else self._clock() + ttl

    def clear(self, chosen: Sequence[Namespace] | None) -> None:
        for key in list(self._entries):
            if chosen is None or key[0] in chosen:
                del self._entries[key]

    def delete(self, keys: Sequence[FullKey]) -> None:
        for key in keys:
            self._entries.pop(key, None)


@dataclass(frozen=True)
class Step:
    """A method that is called on the cache and on its model, or ``advance``, which moves the clock."""

    method: str
    argument: Any


def steps_of(method: str, arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.just(method), arguments)


some_keys = st.lists(full_keys, max_size=12)
gets = steps_of("get", some_keys)
sets_for_ever = steps_of("set", st.dictionaries(full_keys, st.tuples(values, st.none()), max_size=12))
sets = steps_of("set", st.dictionaries(full_keys, st.tuples(values, ttls), max_size=12))
clears = steps_of("clear", st.one_of(st.none(), st.lists(namespaces, max_size=3)))
deletes = steps_of("delete", some_keys)
advances = steps_of("advance", moments)

EVERY_KEY: list[FullKey] = [(namespace, name) for namespace in NAMESPACES for name in NAMES]

random_steps = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # one cache serves all examples: each begins by clearing it
        HealthCheck.differing_executors,  # the contract is inherited by the tests of many backends
        HealthCheck.too_slow,
    ],
)


class DocumentedModel(Fixtures):
    """Random operations"""

    @random_steps
    @given(steps=st.lists(st.one_of(sets_for_ever, gets, clears), max_size=15))
    def test_a_cache_does_as_a_dict_would(self, cache: Driver, clock: Clock, steps: list[Step]) -> None:
        """After any sets, gets and clears, the cache holds what a plain dict would."""
        check(cache, clock, steps)


class FullModel(Fixtures):
    """Random operations"""

    @random_steps
    @given(steps=st.lists(st.one_of(sets, gets, deletes, clears, advances), max_size=20))
    def test_a_cache_does_as_a_dict_with_ttls_would(self, cache: Driver, clock: Clock, steps: list[Step]) -> None:
        """So it does after any sets with any TTLs, gets, deletes, clears and moves of the clock."""
        check(cache, clock, steps)


def check(cache: Driver, clock: Clock, steps: list[Step]) -> None:
    cache.clear()
    model = Model(clock)
    for step in [*steps, Step("get", EVERY_KEY)]:
        if step.method == "advance":
            clock.advance(step.argument)
            continue
        done, right = (getattr(each, step.method)(step.argument) for each in (cache, model))
        if step.method == "get":
            assert done == right
