"""Leases on a real server: one holder a key, whatever happens to holders and to the server."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from postgres_children import holder, in_processes, settle_with_others, take_at_once
from postgres_days import SLACK, ask, assert_sound, backends, eventually, within

from hitrate import InMemoryCache, PostgresCache, TieredCache
from hitrate.errors import StoreError
from hitrate.keys import EncodedKey, encode_namespace
from hitrate.stores.base import Changes, Store
from hitrate.stores.postgres.statements import leases, parts
from hitrate.testing import Clock
from hitrate.testing.lease_contract import KEY, NAME, OTHER, LeaseContract, entry, token
from servers.shared import PATIENT

KEYS = [(NAME, b"%d" % number) for number in range(10)]


def store_of(cache: Any) -> Any:
    return cache._store


@pytest.fixture
def stores(postgres_url: str, table: str) -> Iterator[tuple[Store, Store]]:
    with (
        PostgresCache[Any](postgres_url, table=table, **PATIENT) as one,
        PostgresCache[Any](postgres_url, table=table, **PATIENT) as two,
    ):
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


class TestLeasesByTheCachesOwnClock(LeaseContract):
    @pytest.fixture
    def stores(self, postgres_url: str, table: str, clock: Clock) -> Iterator[tuple[Store, Store]]:
        with (
            PostgresCache[Any](postgres_url, table=table, clock=clock, **PATIENT) as one,
            PostgresCache[Any](postgres_url, table=table, clock=clock, **PATIENT) as two,
        ):
            yield store_of(one), store_of(two)

    @pytest.fixture
    def later(self, clock: Clock) -> Callable[[float], None]:
        return clock.advance

    def test_a_clock_that_is_put_back_ends_leases(self, stores: tuple[Store, Store], clock: Clock) -> None:
        one, two = stores
        mine = token()
        one.lease([KEY], mine, 60)
        clock.advance(-3600)
        assert list(one.settle({KEY: entry(b"value")}, mine)) == [KEY]
        assert list(two.lease([KEY], token(), 60)) == [0.0]

    def test_who_looked_at_the_clock_before_the_holder_does_not_take_its_lease(
        self, stores: tuple[Store, Store], clock: Clock
    ) -> None:
        one, two = stores
        one.lease([KEY], token(), 60)
        clock.advance(-leases.SLACK_SECONDS / 2)
        (left,) = two.lease([KEY], token(), 60)
        assert 0 < left <= 60


class TestLeasesWithLimits(LeaseContract):
    """Where writers take turns and count exactly."""

    @pytest.fixture
    def stores(self, postgres_url: str, table: str) -> Iterator[tuple[Store, Store]]:
        options: Any = {"table": table, "max_entries": 3_000}
        with (
            PostgresCache[Any](postgres_url, **options, **PATIENT) as one,
            PostgresCache[Any](postgres_url, **options, **PATIENT) as two,
        ):
            yield store_of(one), store_of(two)


class TestLeasesOfTiersOverPostgreSQL(LeaseContract):
    @pytest.fixture
    def stores(self, postgres_url: str, table: str) -> Iterator[tuple[Store, Store]]:
        def tiers() -> TieredCache[Any]:
            return TieredCache(InMemoryCache(), PostgresCache[Any](postgres_url, table=table, **PATIENT), staleness=0)

        with tiers() as one, tiers() as two:
            yield store_of(one), store_of(two)


@pytest.fixture
def clock() -> Clock:
    return Clock()


Face = Callable[[Store], Any]


class Awaited:
    """A store's leases by its async face, each call in a loop of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lease(self, keys: Sequence[EncodedKey], of: bytes, seconds: float) -> Sequence[float]:
        return asyncio.run(self._store.alease(keys, of, seconds))

    def settle(self, results: Changes, of: bytes) -> Collection[EncodedKey]:
        return asyncio.run(self._store.asettle(results, of))


@pytest.fixture(params=[lambda store: store, Awaited], ids=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Face:
    chosen: Face = request.param
    return chosen


def leased(url: str, table: str) -> int:
    ((count,),) = ask(url, f"SELECT count(*) FROM {table}_leases")
    return int(count)


# Who gets it


def test_eight_processes_take_one_lease_at_once(postgres_url: str, table: str) -> None:
    rounds = 40
    taken = in_processes(8, take_at_once, postgres_url, table, rounds)
    for number in range(rounds):
        assert sorted(left[number] == 0.0 for left in taken) == [False] * 7 + [True]


def test_threads_of_two_clients_take_one_lease_at_once(stores: tuple[Store, Store]) -> None:
    with ThreadPoolExecutor(8) as threads:
        for key in KEYS:
            taken = [threads.submit(stores[number % 2].lease, [key], token(), 60) for number in range(8)]
            assert [list(each.result()) for each in taken].count([0.0]) == 1


def test_tasks_that_take_one_lease_at_once_get_it_once(stores: tuple[Store, Store]) -> None:
    async def main() -> None:
        one, two = stores
        taken = await asyncio.gather(*(store.alease([KEY], token(), 60) for _ in range(100) for store in (one, two)))
        assert [list(each) for each in taken].count([0.0]) == 1

    asyncio.run(main())


def test_leases_of_one_turn_of_the_loop_go_together(stores: tuple[Store, Store]) -> None:
    async def main() -> None:
        one, _ = stores
        tokens = [token() for _ in range(1000)]
        keys = [(NAME, b"%d" % number) for number in range(1000)]
        with within(30):
            taken = await asyncio.gather(*(one.alease([key], of, 60) for key, of in zip(keys, tokens, strict=True)))
            assert [list(each) for each in taken] == [[0.0]] * 1000
            results = [{key: entry(b"value")} for key in keys]
            late = await asyncio.gather(*(one.asettle(each, of) for each, of in zip(results, tokens, strict=True)))
            assert [list(each) for each in late] == [[]] * 1000
        assert None not in await one.aget(keys)

    asyncio.run(main())


def test_no_key_is_taken_by_no_statement(stores: tuple[Store, Store], face: Face) -> None:
    assert list(face(stores[0]).lease([], token(), 60)) == []
    assert list(face(stores[0]).settle({}, token())) == []


def test_a_very_large_batch_is_taken_and_settled(stores: tuple[Store, Store]) -> None:
    one, two = stores
    mine = token()
    keys = [(NAME, b"%d" % number) for number in range(45_000)]
    assert list(one.lease(keys, mine, 60)) == [0.0] * len(keys)
    two.write({keys[7]: None})
    assert list(one.settle(dict.fromkeys(keys, entry(b"v")), mine)) == [keys[7]]
    assert [key for key, found in zip(keys, two.get(keys), strict=True) if found is None] == [keys[7]]


def test_a_long_namespace_and_a_long_key_are_leased_as_others(stores: tuple[Store, Store], face: Face) -> None:
    mine = token()
    keys = [(encode_namespace(("n" * 200, each)), b"k" * 200) for each in "ab"]
    assert list(face(stores[0]).lease(keys, mine, 60)) == [0.0, 0.0]
    assert 0.0 not in stores[1].lease(keys, token(), 60)
    assert list(face(stores[0]).settle(dict.fromkeys(keys, entry(b"value")), mine)) == []
    assert None not in stores[1].get(keys)


# What ends it


def test_an_entry_expires_as_one_that_was_written(
    stores: tuple[Store, Store], face: Face, later: Callable[[float], None]
) -> None:
    one, two = stores
    mine = token()
    one.lease([KEY], mine, 60)
    face(one).settle({KEY: ("bytes", b"value", time.time() + 0.2, 0.5)}, mine)
    later(0.3)
    assert two.get([KEY])[0] is None


def test_a_value_that_is_too_large_ends_its_lease_and_removes_the_old_one(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, max_bytes=10_000, **PATIENT) as cache:
        store = store_of(cache)
        mine = token()
        keys = KEYS[:3]
        store.write(dict.fromkeys(keys, entry(b"old")))
        store.lease(keys, mine, 60)
        store.write({keys[2]: None})
        large, small = entry(b"x" * 20_000), entry(b"small")
        assert list(store.settle({keys[0]: large, keys[1]: small, keys[2]: large}, mine)) == [keys[2]]
        assert [found and found[1] for found in store.get(keys)] == [None, b"small", None]
        assert leased(postgres_url, table) == 0
    assert_sound(postgres_url, table)


def test_settling_makes_room(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, max_entries=20, **PATIENT) as cache:
        store = store_of(cache)
        for number in range(60):
            mine = token()
            keys = [(NAME, b"%d.%d" % (number, each)) for each in range(3)]
            store.lease(keys, mine, 60)
            assert list(store.settle(dict.fromkeys(keys, entry(b"value")), mine)) == []
            assert None not in store.get(keys)
        assert cache.stats().entries <= 20
        assert cache.stats().evictions >= 160
    assert_sound(postgres_url, table)


def test_a_removal_that_waits_for_a_settlement_removes_what_that_stored(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    """The entry was not there when the removal began."""
    one, two = stores
    mine = token()
    one.write({(NAME, b"z"): entry(b"held by a stranger")})
    results = {(NAME, b"a"): entry(b"from before"), (NAME, b"z"): entry(b"too")}
    one.lease(list(results), mine, 60)
    with ThreadPoolExecutor(2) as threads:
        with psycopg.connect(postgres_url) as stranger:
            stranger.execute(f"SELECT FROM {table} WHERE key = 'z' FOR UPDATE")  # type: ignore[arg-type]
            settling = threads.submit(one.settle, results, mine)
            eventually(lambda: len(waiting(postgres_url, table)) == 1)
            removing = threads.submit(two.write, {(NAME, b"a"): None})
            eventually(lambda: len(waiting(postgres_url, table)) == 2)
        assert list(settling.result()) == []
        assert removing.result() == 1
    assert one.get([(NAME, b"a")])[0] is None


def waiting(url: str, table: str) -> list[Any]:
    """Return the backends that wait for a lock of these tables."""
    return ask(
        url,
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s ORDER BY pid",
        f"%{table}%",
    )


def test_leases_that_nobody_settles_go_a_bounded_number_a_call(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    one, _ = stores
    one.lease([(NAME, b"%d" % number) for number in range(300)], token(), 60)
    ask(postgres_url, f"UPDATE {table}_leases SET taken = taken - 100, ends = ends - 100")
    store: Any = one
    store._leaser._purge_at = 0.0  # a second has passed since the last look
    before = 300
    for number in range(6):
        one.lease([(OTHER, b"%d" % number)], token(), 60)
        after = leased(postgres_url, table) - number - 1
        assert before - after <= leases.PURGED_PER_CALL
        before = after
    assert before == 0


def test_a_namespace_stays_while_it_has_leases(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        store = store_of(cache)
        mine, others = token(), [(encode_namespace((f"thread {number}",)), b"key") for number in range(300)]
        store.lease([KEY, *others], mine, 3600)
        assert list(store.settle(dict.fromkeys(others), mine)) == []
        marked = f"SELECT count(*) FROM {table}_namespaces WHERE leaving IS NOT NULL"
        eventually(lambda: store._keeper.request() or ask(postgres_url, marked) == [(300,)])
        # As if it had been taken by one who had begun before the mark.
        ask(postgres_url, f"UPDATE {table}_namespaces SET leaving = 0 WHERE leaving IS NULL")
        ask(postgres_url, f"UPDATE {table}_namespaces SET leaving = leaving - {parts.NOTE_SECONDS}")
        left = f"SELECT count(*) FROM {table}_namespaces"
        eventually(lambda: store._keeper.request() or ask(postgres_url, left) == [(1,)])
        assert list(store.settle({KEY: entry(b"value")}, mine)) == []
        assert store.get([KEY])[0] is not None


def test_what_is_settled_in_a_namespace_that_is_about_to_leave_makes_it_stay(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    one, two = stores
    mine = token()
    one.lease([KEY], mine, 60)
    ask(postgres_url, f"UPDATE {table}_namespaces SET leaving = 0")
    assert list(one.settle({KEY: entry(b"value")}, mine)) == []
    assert ask(postgres_url, f"SELECT leaving FROM {table}_namespaces") == [(None,)]
    assert two.get([KEY])[0] is not None


# Holders


def test_a_holder_that_is_killed_is_replaced_when_its_lease_ends(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    one, _ = stores
    mine = token()
    with holder(postgres_url, table, KEY, 1.0) as (process, _):
        (left,) = one.lease([KEY], mine, 60)
        assert left <= 1.0
        process.kill()
        process.join()
    eventually(lambda: list(one.lease([KEY], mine, 600)) == [0.0])


def test_a_holder_that_stood_still_past_its_lease_stores_nothing(
    stores: tuple[Store, Store], postgres_url: str, table: str, later: Callable[[float], None]
) -> None:
    one, _ = stores
    with holder(postgres_url, table, KEY, 0.5) as (process, pipe):
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        later(0.6)
        mine = token()
        assert list(one.lease([KEY], mine, 60)) == [0.0]
        assert list(one.settle({KEY: entry(b"successor")}, mine)) == []
        os.kill(process.pid, signal.SIGCONT)
        pipe.send(b"late")
        assert pipe.recv() == [KEY]
    found = one.get([KEY])[0]
    assert isinstance(found, tuple)
    assert found[1] == b"successor"


def test_eight_processes_settle_remove_and_clear_at_once(postgres_url: str, table: str) -> None:
    told = in_processes(8, settle_with_others, postgres_url, table)
    assert all(each == "fine" for each in told), told
    assert_sound(postgres_url, table)


# The server


def test_a_backend_that_is_terminated_amid_a_settlement_leaves_all_of_it_or_nothing(
    stores: tuple[Store, Store], postgres_url: str, table: str, face: Face
) -> None:
    one, two = stores
    mine = token()
    one.write(dict.fromkeys(KEYS, entry(b"old")))
    one.lease(KEYS, mine, 60)
    with ThreadPoolExecutor(1) as threads:
        with psycopg.connect(postgres_url) as stranger:
            stranger.execute(f"SELECT FROM {table} WHERE key = '9' FOR UPDATE")  # type: ignore[arg-type]
            settling = threads.submit(face(one).settle, dict.fromkeys(KEYS, entry(b"new")), mine)
            first = eventually(lambda: waiting(postgres_url, table))
            ask(postgres_url, "SELECT pg_terminate_backend(%s, 5000)", first[0][0])
            eventually(lambda: waiting(postgres_url, table) not in ([], first))  # it was begun anew
        assert list(settling.result()) == []
    assert {found[1] for found in two.get(KEYS) if isinstance(found, tuple)} == {b"new"}
    assert leased(postgres_url, table) == 0
    assert_sound(postgres_url, table)


def test_a_server_that_does_not_answer_in_time_is_told(postgres_url: str, table: str, face: Face) -> None:
    mine = token()
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as patient:
        face(store_of(patient)).lease([KEY], mine, 60)
    with PostgresCache[Any](postgres_url, table=table, timeout=0.5) as cache:
        store = face(store_of(cache))
        with psycopg.connect(postgres_url) as stranger:
            stranger.execute(f"LOCK TABLE {table}_leases")  # type: ignore[arg-type]
            for call in (lambda: store.lease([KEY], mine, 60), lambda: store.settle({KEY: None}, mine)):
                with within(SLACK), pytest.raises(StoreError):
                    call()


def test_a_server_that_is_not_there_is_told(face: Face, tmp_path: Any) -> None:
    with PostgresCache[Any](f"postgresql://postgres@/postgres?host={tmp_path}", timeout=1) as cache:
        for call in (
            lambda: face(store_of(cache)).lease([KEY], token(), 60),
            lambda: face(store_of(cache)).settle({KEY: entry(b"value")}, token()),
        ):
            with pytest.raises(StoreError):
                call()


def test_a_statement_timeout_of_the_server_is_told_and_the_lease_may_be_taken_again(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    one, _ = stores
    mine = token()
    one.lease([KEY], mine, 60)
    slow = f"{postgres_url}&options=-c%20statement_timeout%3D200"
    with PostgresCache[Any](slow, table=table, **PATIENT) as cache, psycopg.connect(postgres_url) as stranger:
        stranger.execute(f"LOCK TABLE {table}_leases")  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="57014"):
            store_of(cache).lease([KEY], mine, 60)
        stranger.rollback()

        def taken() -> bool:
            try:
                return list(store_of(cache).lease([KEY], mine, 60)) == [0.0]
            except StoreError:  # a busy server may take longer than that
                return False

        eventually(taken)


def test_a_lease_holds_no_connection(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, max_connections=1, **PATIENT) as cache:
        store = store_of(cache)
        store.lease([KEY], token(), 60)
        store.lease([KEY], token(), 60)
        assert store.get([KEY]) == (None,)
        (pid,) = backends(cache)
        assert ask(postgres_url, "SELECT state FROM pg_stat_activity WHERE pid = %s", pid) == [("idle",)]


def test_a_lease_costs_a_set_no_statement(stores: tuple[Store, Store], postgres_url: str, table: str) -> None:
    one, _ = stores
    one.write({KEY: entry(b"value")})
    before = reported(one, postgres_url, table, "seq_scan + idx_scan")
    for number in range(50):
        one.write({(NAME, b"%d" % number): entry(b"value")})
    assert reported(one, postgres_url, table, "seq_scan + idx_scan") == before


def reported(store: Any, url: str, table: str, what: str) -> int:
    """Return what the server has counted of the table of leases; it hears of it when backends end."""
    for link in store._connections.own._idle:
        ask(url, "SELECT pg_terminate_backend(%s, 5000)", link.pgconn.backend_pid)
    ((count,),) = ask(url, f"SELECT {what} FROM pg_stat_user_tables WHERE relname = '{table}_leases'")
    return int(count)


def test_statements_planned_for_an_empty_table_do_not_scan_a_full_one(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    one, _ = stores
    mine = token()
    for _ in range(10):  # so often that plans are kept
        one.lease(KEYS, mine, 60)
        one.settle({KEYS[0]: entry(b"value"), KEYS[1]: None}, mine)
        one.settle(dict.fromkeys(KEYS[2:]), mine)
        one.write({KEYS[0]: None})
    ask(
        postgres_url,
        f"""INSERT INTO {table}_leases (namespace, taken, ends, token, key)
            SELECT id, 0, 1e12, '', convert_to('x' || n, 'UTF8')
            FROM {table}_namespaces, generate_series(1, 50000) AS n""",
    )
    for number in range(20):
        batch = [(NAME, b"%d" % (number * 10 + each)) for each in range(10)]
        one.lease(batch, mine, 60)
        one.settle({batch[0]: entry(b"value"), batch[1]: None}, mine)
        one.settle(dict.fromkeys(batch[2:]), mine)
        one.write({batch[0]: None})
    assert reported(one, postgres_url, table, "seq_tup_read") < 50_000, "it looked through the table"


def test_thousands_of_cancelled_awaits_leave_everything_whole(
    stores: tuple[Store, Store], postgres_url: str, table: str
) -> None:
    rng = random.Random(5)

    async def main() -> None:
        one, two = stores
        for number in range(500):
            mine = token()
            calls: list[Callable[[], Any]] = [
                lambda mine=mine: one.alease(KEYS, mine, 60),  # type: ignore[misc]
                lambda mine=mine, number=number: one.asettle(  # type: ignore[misc]
                    dict.fromkeys(KEYS, entry(b"%d" % number)), mine
                ),
            ]
            for call in calls:
                task = asyncio.ensure_future(call())
                for _ in range(rng.choice([0, 1, 2, 3, 8, 30])):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await one.asettle(dict.fromkeys(KEYS), mine)  # comes after what nobody waits for any more
            assert len({found and found[1] for found in await two.aget(KEYS)}) <= 1  # type: ignore[index]
        assert list(await two.alease(KEYS, token(), 60)) == [0.0] * len(KEYS)

    asyncio.run(main())
    assert_sound(postgres_url, table)
