"""How our own caches are held to the contract: once whole for each store, and for what shares its code what is its own.

``InMemoryCache``, ``SqliteCache``, ``RedisCache`` and ``PostgresCache`` keep the ``WholeContract``, nearly every case
through both faces. How keys and values become bytes, in which no face has a part, is tried through both in memory only;
what ``Cache`` refuses, which ``RedisCache`` and ``PostgresCache`` leave as it is, on one of the two. For a cluster,
SQLite in memory and tiers, which are made of the same classes, there is the ``ShortContract``. Left out of it is what
is decided before a store is asked:

- which arguments are refused (``Misuse``), which signatures there are (``Signatures``),
- how keys and values become bytes (``Keys``, ``Values``, ``Refusal``, and the hostile keys of the other groups),
- how many there may be: thousands of keys are the same steps as a hundred, in more batches.

The random operations are in it, and their keys are short and hostile.

Tiers over a server keep the ``ShortContract`` through one face: memory over SQLite has kept it through both, and the
server's own cache the whole one. ``OneStore`` in it tries the other face beside that one.
"""

from __future__ import annotations

import pytest

from hitrate.testing import CacheContract
from hitrate.testing.contract.at_once import AtOnce
from hitrate.testing.contract.bounds import Bounds
from hitrate.testing.contract.clearing import Clearing, ClearingUnder
from hitrate.testing.contract.counters import Counters
from hitrate.testing.contract.deleting import Deleting
from hitrate.testing.contract.expiry import Expiry
from hitrate.testing.contract.failures import Failures
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.contract.forks import BusyForks, Forks
from hitrate.testing.contract.instants import Instants, Purging
from hitrate.testing.contract.lifecycle import Lifecycle
from hitrate.testing.contract.listing import ListingEntries
from hitrate.testing.contract.model import FullModel
from hitrate.testing.contract.one_store import OneStore
from hitrate.testing.contract.reading import Reading
from hitrate.testing.contract.writing import Writing
from hitrate.testing.faces import ASYNC, SYNC, Face


class ThroughSync(Fixtures):
    """The plain methods alone."""

    @pytest.fixture
    def face(self) -> Face:
        return SYNC


class ThroughAsync(Fixtures):
    """The ``async`` methods alone."""

    @pytest.fixture
    def face(self) -> Face:
        return ASYNC


class BytesThroughOneFace:
    """Of both faces the plain one where it is tried how keys and values become bytes."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        group, _, _ = metafunc.function.__qualname__.partition(".")
        if group in ("Keys", "Values", "Refusal") and "face" in metafunc.fixturenames:
            metafunc.parametrize("face", [SYNC], ids=lambda face: str(face.name))


class Many(Fixtures):
    """How many there may be in a call, through one face: what cuts them into batches serves both."""

    def test_a_hundred_and_thirty_thousand_keys_in_one_call(self, new_cache: MakeCache) -> None:
        """Any number of keys in one get and one set."""
        with ASYNC.open(new_cache()) as cache:
            CacheContract.test_a_hundred_and_thirty_thousand_keys_in_one_call(self, cache)

    def test_forty_thousand_keys_in_one_call(self, new_cache: MakeCache) -> None:
        """Any number of keys in one delete."""
        with SYNC.open(new_cache()) as cache:
            CacheContract.test_forty_thousand_keys_in_one_call(self, cache)

    def test_forty_thousand_namespaces_in_one_call(self, new_cache: MakeCache) -> None:
        """Any number of namespaces in one clear."""
        with ASYNC.open(new_cache()) as cache:
            CacheContract.test_forty_thousand_namespaces_in_one_call(self, cache)


class WholeContract(Many, CacheContract):
    """Every promise."""

    # Of the two with random operations the one with TTLs and removals does all that the other does.
    test_a_cache_does_as_a_dict_would = None


class WithoutMisuse:
    """Leaves out of the ``WholeContract`` what ``Cache`` itself refuses before it asks a store."""

    test_get_refuses_what_is_not_a_full_key = None
    test_set_refuses_what_is_not_a_full_key = None
    test_set_refuses_what_is_not_a_value_with_its_ttl = None
    test_clear_refuses_what_is_not_a_namespace = None
    test_delete_refuses_what_is_not_a_full_key = None
    test_what_is_no_namespace_is_refused = None
    test_what_is_no_prefix_is_refused = None
    test_a_ttl_of_another_type_is_a_type_error = None
    test_a_wrong_default_ttl_is_refused = None


class ShortContract(
    WithoutMisuse,
    Reading,
    Writing,
    Expiry,
    Clearing,
    OneStore,
    AtOnce,
    Forks,
    Deleting,
    ClearingUnder,
    ListingEntries,
    Instants,
    Purging,
    Bounds,
    Counters,
    Failures,
    Lifecycle,
    BusyForks,
    FullModel,
):
    """What a pair of tiers, a cluster or another connection may break."""

    test_a_hundred_and_thirty_thousand_keys_in_one_call = None
    test_forty_thousand_keys_in_one_call = None
    test_forty_thousand_namespaces_in_one_call = None

    test_clear_removes_exactly_one_namespace = None
    test_hostile_namespaces_are_cleared_exactly = None
    test_hostile_prefixes_are_cleared_exactly = None
    test_hostile_keys_are_deleted_exactly = None
    test_hostile_keys_are_listed_as_they_are = None

    test_a_wrong_limit_is_refused = None
