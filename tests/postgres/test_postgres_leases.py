"""Leases on a real server: one holder a key, whatever happens to holders and to the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from postgres_days import ask
from tests.lease_contract import LeaseContract

from hitrate import PostgresCache
from hitrate.stores.base import Store


def store_of(cache: PostgresCache[Any]) -> Store:
    store: Store = cache._store  # type: ignore[assignment]
    return store


@pytest.fixture
def stores(postgres_url: str, table: str) -> Iterator[tuple[Store, Store]]:
    with PostgresCache[Any](postgres_url, table=table) as one, PostgresCache[Any](postgres_url, table=table) as two:
        yield store_of(one), store_of(two)


@pytest.fixture
def later(postgres_url: str) -> Callable[[float], None]:
    """Waits until the server's clock has gone on."""

    def wait(seconds: float) -> None:
        ((until,),) = ask(postgres_url, "SELECT clock_timestamp() + make_interval(secs => %s)", seconds)
        while ask(postgres_url, "SELECT clock_timestamp() < %s", until) == [(True,)]:
            time.sleep(0.01)  # between two looks at the server's clock

    return wait


class TestLeases(LeaseContract):
    pass
