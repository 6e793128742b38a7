"""Memory over a server: what others change reaches the near tier, and a server that is gone leaves it working."""

import asyncio
import logging
import os
import time

import psycopg
import pytest

from hitrate import InMemoryCache, PostgresCache, RedisCache, TieredCache
from hitrate.stores import push
from hitrate.stores.tiered import tiers
from servers import postgres, valkey
from servers.shared import PATIENT

A, B, C = (("ns",), "a"), (("ns",), "b"), (("other",), "c")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(push, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(push, "SILENT_SECONDS", 20.0)  # a busy machine keeps a server waiting that is well
    monkeypatch.setattr(push, "_AGAIN_SECONDS", (0.01, 0.05))
    monkeypatch.setattr(tiers, "_AGAIN_SECONDS", 0.0)


@pytest.fixture
def soon_silent(monkeypatch):
    """For tests in which a server hangs."""
    monkeypatch.setattr(push, "SILENT_SECONDS", 0.3)


def eventually(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)  # between two looks at another process


class OverRedis:
    def __init__(self):
        self.server = valkey.Server().start()

    def far(self, clock, timeout=20.0):
        return RedisCache(self.server.url, clock=clock, timeout=timeout, connect_timeout=timeout)

    def remove_all(self):
        with self.server.client() as client:
            client.flushall()


class OverPostgres:
    def __init__(self):
        self.server = postgres.PostgresServer()

    def far(self, clock, timeout=20.0):
        return PostgresCache(self.server.url, clock=clock, timeout=timeout, connect_timeout=timeout)

    def remove_all(self):
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("TRUNCATE hitrate")


@pytest.fixture(scope="module", params=[OverRedis, OverPostgres], ids=["Redis", "PostgreSQL"])
def shared(request):
    backend = request.param()
    yield backend
    backend.server.remove()


@pytest.fixture
def backend(shared, clock):
    yield shared
    with shared.far(clock) as cache:
        cache.clear()


def new_tiers(backend, clock, timeout=20.0, **options):
    return TieredCache(InMemoryCache(clock=clock), backend.far(clock, timeout), clock=clock, **options)


def told(cache):
    """Tell whether changes on the server reach this cache."""
    cache.get([A])
    return cache._store._far.is_told


def in_near(cache, *keys):
    """Tell whether reads of keys are all served by the near tier."""
    before = cache.tiers[0].stats().hits
    cache.get(list(keys))
    return cache.tiers[0].stats().hits == before + len(keys)


@pytest.fixture
def cache(backend, clock):
    with new_tiers(backend, clock, staleness=0) as cache:
        eventually(lambda: told(cache))
        yield cache


@pytest.fixture(params=[False, True], ids=["alone", "tiered"])
def other(backend, clock, request):
    with new_tiers(backend, clock) if request.param else backend.far(clock) as cache:
        yield cache


def test_an_overwrite_a_delete_and_a_clear_by_others_reach_the_near_tier(cache, other):
    for number in range(10):
        cache.set({A: (number, None), B: ("b", None), C: ("c", None)})
        eventually(lambda: in_near(cache, A, B, C))
        other.set({A: ("theirs", None)})
        eventually(lambda: cache.get([A]) == {A: "theirs"})
        eventually(lambda: in_near(cache, A, B, C))
        other.delete([A])
        eventually(lambda: cache.get([A]) == {})
        assert in_near(cache, C)
        other.clear([A[0]])
        eventually(lambda: cache.get([A, B, C]) == {C: "c"})
    eventually(lambda: in_near(cache, C))
    other.clear()
    eventually(lambda: cache.get([C]) == {})


def test_what_is_removed_behind_all_caches_reaches_the_near_tier(cache, backend):
    cache.set({A: (1, None)})
    eventually(lambda: in_near(cache, A))
    backend.remove_all()
    eventually(lambda: cache.get([A]) == {})


def test_a_server_that_is_stopped_empties_the_near_tier_and_leaves_it_working(backend, clock, caplog):
    with new_tiers(backend, clock, staleness=5) as cache:
        eventually(lambda: told(cache))
        cache.set({A: ("old", None), B: ("old", None)})
        eventually(lambda: in_near(cache, A, B))
        with caplog.at_level(logging.WARNING, "hitrate"):
            backend.server.stop()
            eventually(lambda: cache.get([A, B]) == {})
            cache.set({A: ("new", None)})
            assert cache.get([A]) == {A: "new"}
            assert asyncio.run(cache.aget([A])) == {A: "new"}
            clock.advance(5)
            assert cache.get([A]) == {}
            for _ in range(50):
                cache.set({A: ("new", None)})
        assert len(caplog.records) < 10
        backend.server.start()
        eventually(lambda: told(cache) and not cache._store._far.debts)
        cache.set({A: ("newest", None)})
        eventually(lambda: in_near(cache, A))
        assert cache.get([A]) == {A: "newest"}


@pytest.mark.usefixtures("soon_silent")
def test_a_server_that_is_paused_is_noticed_and_so_is_its_return(cache, other, backend):
    cache.set({A: (1, None)})
    eventually(lambda: in_near(cache, A))
    backend.server.pause()
    try:
        eventually(lambda: not cache._store.in_step())
    finally:
        backend.server.resume()
    other.set({A: (2, None)})
    eventually(lambda: cache.get([A]) == {A: 2})
    eventually(lambda: in_near(cache, A))


@pytest.mark.usefixtures("soon_silent")
def test_a_delete_that_a_paused_server_did_not_take_is_made_up_for(backend, clock):
    with new_tiers(backend, clock, timeout=1.0) as cache, backend.far(clock) as other:
        cache.set({A: ("old", None), C: ("old", None)})
        backend.server.pause()
        try:
            cache.delete([A])
            cache.clear([C[0]])
            assert cache.get([A, C]) == {}
        finally:
            backend.server.resume()
        eventually(lambda: cache.get([A, C]) == {} and not cache._store._far.debts)
        assert cache.get([A, C]) == other.get([A, C]) == {}


def test_a_child_hears_of_changes_too(cache, other):
    cache.set({A: (1, None)})
    eventually(lambda: in_near(cache, A))
    child = os.fork()
    if child == 0:
        try:
            eventually(lambda: told(cache))
            eventually(lambda: in_near(cache, A))
            other.set({A: (2, None)})
            eventually(lambda: cache.get([A]) == {A: 2})
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    eventually(lambda: cache.get([A]) == {A: 2})


def test_a_server_that_refuses_tracking_leaves_staleness(server, clock, caplog):
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-client|tracking")
    far = RedisCache(server.url, clock=clock, **PATIENT)
    with (
        TieredCache(InMemoryCache(clock=clock), far, clock=clock) as cache,
        RedisCache(server.url, clock=clock, **PATIENT) as other,
    ):
        cache.set({A: (1, None)})
        other.set({A: (2, None)})
        assert cache.get([A]) == {A: 1}
        clock.advance(5)
        assert cache.get([A]) == {A: 2}
        eventually(lambda: "does not tell what changes" in caplog.text)


def test_triggers_that_were_dropped_are_made_again(clock):
    backend = OverPostgres()
    try:
        with new_tiers(backend, clock, staleness=0) as cache, backend.far(clock) as other:
            eventually(lambda: told(cache))
            with psycopg.connect(backend.server.url, autocommit=True) as connection:
                tables = connection.execute("SELECT relname FROM pg_class WHERE starts_with(relname, 'hitrate')")
                named = [name for (name,) in tables if name in ("hitrate", "hitrate_namespaces", "hitrate_state")]
                connection.execute(f"DROP TABLE {', '.join(named)} CASCADE")
                for table in ("counts", "cleared", "visited", "leases"):
                    connection.execute(f"DROP TABLE hitrate_{table}")
            cache.set({A: (1, None)})
            eventually(lambda: told(cache) and in_near(cache, A))
            other.set({A: (2, None)})
            eventually(lambda: cache.get([A]) == {A: 2})
    finally:
        backend.server.remove()
