"""The contract of a cache as a test suite, and the clock that its tests move.

A backend's test file subclasses ``CacheContract`` and gives one fixture:

    class TestMemory(CacheContract):
        @pytest.fixture
        def make_cache(self, clock):
            return partial(InMemoryCache, clock=clock)

``python -m hitrate.testing module:Class`` tries any cache and prints which promises it keeps.

The clocks need nothing but Python; the contracts need pytest and hypothesis.
"""

# What is where:
#
#   contract/          CacheContract and DocumentedContract: the promises, a file for each group
#   lease_contract.py  LeaseContract
#   clock.py           Clock and WallClock
#   faces.py           the sync and the async methods behind one set of calls
#   hostile.py         strings and keys that caches stumble over; serializers.py: serializers that show what a cache
#                      does with them
#   forking.py         runs a check in a forked child
#   watching.py        which functions a cache calls that may wait, or unpickle
#   capabilities.py    what a cache may offer or not; requirements.py: what must be installed
#   __main__.py        the command; subject.py: the cache that it is to try, report.py: what it prints
#   trials.py          runs the tests in another process: session.py, whose test file is probe.py; verdicts.py: what it
#                      tells of each

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
