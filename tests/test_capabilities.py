"""What a store declares that it offers is tried, and what it does not declare is no failure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hitrate import InMemoryCache, RedisCache, SqliteCache, TieredCache
from hitrate.compute.cache import ComputingCache
from hitrate.stores.memory import MemoryStore
from hitrate.stores.postgres import PostgresStore
from hitrate.stores.redis import RedisStore
from hitrate.testing import CacheContract, Clock
from hitrate.testing.capabilities import ask_for
from hitrate.testing.contract.bounds import Bounds
from hitrate.testing.contract.forks import BusyForks
from hitrate.testing.faces import SYNC
from hitrate.testing.subject import Subject
from hitrate.testing.trials import try_out
from hitrate.testing.verdicts import TrialOutcome, Verdict

ALL = {"bounds", "forks under load"}
ABOUT_BOUNDS = "Bounds and eviction"
ABOUT_FORKS = "Forks under load"


class ModestStore(MemoryStore):
    """Keeps no limit, and does not say that it did."""

    offers = frozenset()

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(max_bytes=None, max_entries=None, clock=clock)


class Modest(ComputingCache[Any]):
    def __init__(self, *, clock: Callable[[], float], **options: Any) -> None:
        super().__init__(ModestStore(clock), clock=clock, **options)


class AskedForBoth(Modest):
    """Is tried in what needs a capability alone: the store of docs/backend.md, which declares none, is in all else."""

    def __init__(self, *, clock: Callable[[], float], **options: Any) -> None:
        test = re.search(r"::TestFull::(\w+)", os.environ["PYTEST_CURRENT_TEST"])
        if test and test[1] not in {*vars(Bounds), *vars(BusyForks)}:
            pytest.skip("it needs no capability")
        super().__init__(clock=clock, **options)


class BoastfulStore(ModestStore):
    offers = frozenset({"bounds"})


class Boastful(ComputingCache[Any]):
    def __init__(self, *, clock: Callable[[], float], max_bytes: Any = 0, max_entries: Any = 0, **options: Any) -> None:
        super().__init__(BoastfulStore(clock), clock=clock, **options)


def tried(cls: type) -> list[TrialOutcome]:
    return try_out(Subject(f"{__name__}:{cls.__name__}"), seconds=60)


def verdicts(outcomes: list[TrialOutcome], group: str) -> set[Verdict]:
    return {outcome.verdict for outcome in outcomes if outcome.trial.group == group}


def test_what_is_not_declared_is_not_offered_and_no_failure() -> None:
    outcomes = tried(AskedForBoth)
    assert verdicts(outcomes, ABOUT_BOUNDS) == verdicts(outcomes, ABOUT_FORKS) == {Verdict.NOT_OFFERED}
    assert [outcome for outcome in outcomes if outcome.verdict is Verdict.BROKEN] == []
    assert {outcome.reason for outcome in outcomes if outcome.trial.group == ABOUT_BOUNDS} == {
        "the cache does not declare 'bounds' in `offers`"
    }


def test_what_is_declared_and_not_kept_is_a_failure() -> None:
    boastful = partial(Boastful, clock=Clock())
    ask_for("bounds", boastful())
    with pytest.raises(AssertionError):
        CacheContract().test_max_entries_is_never_exceeded(boastful, SYNC, batch=7)


@pytest.mark.parametrize("offers", [frozenset({"bounds", "bound"}), ["bound"], "bound"])
def test_a_name_that_is_misspelt_is_told(offers: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        ask_for("bounds", SimpleNamespace(offers=offers))
    assert str(caught.value) == "`offers` names 'bound', which is none of 'bounds', 'forks under load'"


def test_the_caches_of_hitrate_leave_nothing_untried(tmp_path: Path) -> None:
    assert PostgresStore.offers == ALL
    with InMemoryCache() as near, SqliteCache(path=tmp_path / "a.db") as far:
        assert near.offers == far.offers == ALL
        with TieredCache(near, far) as tiers:
            assert tiers.offers == ALL


def test_limits_on_redis_are_the_servers_and_not_offered() -> None:
    assert RedisStore.offers == ALL - {"bounds"}
    with TieredCache(InMemoryCache(), RedisCache("redis://127.0.0.1:1")) as tiers:
        assert tiers.offers == ALL - {"bounds"}


def test_tiers_offer_what_each_of_them_does(tmp_path: Path) -> None:
    with SqliteCache(path=tmp_path / "a.db") as near, Modest(clock=lambda: 0.0) as far, TieredCache(near, far) as tiers:
        assert tiers.offers == frozenset()
