"""The contract of a cache as a test suite, and the clock that its tests move.

A backend's test file subclasses ``CacheContract`` and gives one fixture:

    class TestMemory(CacheContract):
        @pytest.fixture
        def make_cache(self, clock):
            return partial(InMemoryCache, clock=clock)

``python -m hitrate.testing module:Class`` tries any cache and prints which promises it keeps.

The clocks need nothing but Python; the contracts need pytest and hypothesis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import imported
from hitrate.testing.clock import Clock, WallClock

if TYPE_CHECKING:
    from hitrate.testing.contract import CacheContract, DocumentedContract
    from hitrate.testing.lease_contract import LeaseContract

__all__ = ["CacheContract", "Clock", "DocumentedContract", "LeaseContract", "WallClock"]

_HOME = {"LeaseContract": "lease_contract"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'hitrate.testing' has no attribute {name!r}")
    from hitrate.testing.requirements import register_contract

    register_contract()
    value = globals()[name] = imported(f"hitrate.testing.{_HOME.get(name, 'contract')}", name)
    return value
