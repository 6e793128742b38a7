"""A lease that is granted to a caller who is gone is given back: others need not wait until it has run out."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, count
from typing import Any

import psycopg
import pytest
from postgres_days import SLACK, ask, backends, eventually, within

from hitrate import PostgresCache
from hitrate.errors import StoreError
from hitrate.stores.base import Store
from hitrate.stores.postgres.wire import Link
from hitrate.testing.lease_contract import KEY, NAME, token
from servers.postgres import PostgresServer
from servers.shared import PATIENT

OTHER = (NAME, b"other")


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """A server of this module's own: its processes are stopped in their tracks."""
    server = PostgresServer()
    yield server.url
    server.remove()


@pytest.fixture
def caches(postgres_url: str, table: str) -> Iterator[tuple[PostgresCache[Any], PostgresCache[Any]]]:
    """Two caches as two processes have them. The first has one connection; what is granted is noted."""
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as patient:
        store_of(patient).lease([OTHER], token(), 0.001)  # makes the tables, which may take longer than a lease
    with (
        PostgresCache[Any](postgres_url, table=table, timeout=2.0) as one,
        PostgresCache[Any](postgres_url, table=table, **PATIENT) as two,
    ):
        for cache in (two, one):  # prepares the statements
            eventually(lambda cache=cache: leases_in_time(store_of(cache)))
        ask(
            postgres_url,
            f"""CREATE TABLE {table}_granted (key bytea);
                CREATE FUNCTION {table}_note() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN INSERT INTO {table}_granted VALUES (NEW.key); RETURN NEW; END $$;
                CREATE TRIGGER note AFTER INSERT ON {table}_leases FOR EACH ROW EXECUTE FUNCTION {table}_note()""",
        )
        yield one, two
    ask(postgres_url, f"DROP FUNCTION {table}_note() CASCADE")


def store_of(cache: PostgresCache[Any]) -> Store:
    return cache._store


def leases_in_time(store: Store) -> bool:
    """Whether a lease is had, and settled, before the store gives up a server that is well, but busy."""
    mine = token()
    try:
        return list(store.lease([OTHER], mine, 60)) == [0.0] and list(store.settle({OTHER: None}, mine)) == []
    except StoreError:
        return False


def assert_free(store: Store) -> None:
    """Check that a key is leased to nobody, soon."""
    mine = token()
    eventually(lambda: list(store.lease([KEY], mine, 60)) == [0.0])
    store.settle({KEY: None}, mine)


# At every await


async def _cancelled(asked: asyncio.Task[Any]) -> None:
    asked.cancel()
    await asyncio.wait([asked])


async def _left(asked: asyncio.Task[Any]) -> None:
    """The loop ends, and cancels what is under way."""


async def _until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until a condition holds; it is looked at in each turn."""
    while not holds():  # noqa: ASYNC110 - none of the turns is to be missed
        await asyncio.sleep(0)


async def _cancelled_when_the_answer_is_there(store: Store) -> None:
    asked: Any = asyncio.ensure_future(store.alease([KEY], token(), 600))
    await asyncio.sleep(0)
    await _until(lambda: asked._fut_waiter.done())
    await _cancelled(asked)
    assert asked.cancelled()


@pytest.mark.parametrize("give_up", [_cancelled, _left])
def test_a_request_that_is_given_up_at_any_await_leaves_no_lease(caches: tuple[Any, Any], give_up: Any) -> None:
    one, two = map(store_of, caches)

    async def main(turns: int) -> asyncio.Task[Any]:
        asked = asyncio.ensure_future(one.alease([KEY], token(), 600))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not asked.done():
            await give_up(asked)
        return asked

    for turns in chain(range(12), (20 * 2**doubled for doubled in count())):
        asked = asyncio.run(main(turns))
        if not asked.cancelled():  # it has its lease: the answer came before, or in the loop's last turn
            break
        assert_free(two)


def test_a_caller_that_is_cancelled_when_its_answer_is_there_leaves_no_lease(caches: tuple[Any, Any]) -> None:
    one, two = map(store_of, caches)

    asyncio.run(_cancelled_when_the_answer_is_there(one))
    assert_free(two)


def test_many_callers_that_are_given_up_while_others_are_told_leave_no_lease(caches: tuple[Any, Any]) -> None:
    """Those who wait are told a few in each turn of the loop: here it ends in between."""
    one, two = map(store_of, caches)
    keys = [(NAME, b"%d" % number) for number in range(100)]

    async def main() -> list[asyncio.Task[Any]]:
        asked = [asyncio.ensure_future(one.alease([key], token(), 600)) for key in keys]
        await _until(lambda: any(each.done() for each in asked))
        return asked

    asked = asyncio.run(main())
    given_up = [key for key, each in zip(keys, asked, strict=True) if each.cancelled()]
    assert given_up
    mine = token()
    eventually(lambda: not any(two.lease(given_up, mine, 60)))


# On its way


def _times_out(store: Store, mine: bytes) -> None:
    with pytest.raises(StoreError):
        store.lease([KEY], mine, 600)


def _is_interrupted(store: Store, mine: bytes) -> None:
    def interrupt(number: int, frame: Any) -> None:
        called = [frame.f_code, frame.f_back and frame.f_back.f_code]
        if called == [Link._ready.__code__, Link.run.__code__]:  # it was sent, and is waited for
            raise KeyboardInterrupt
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    def ask_for_it() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        store.lease([KEY], mine, 600)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask_for_it()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _times_out_on_a_loop(store: Store, mine: bytes) -> None:
    with pytest.raises(StoreError):
        asyncio.run(_asked(store, mine))


async def _asked(store: Store, mine: bytes) -> Any:
    return await store.alease([KEY], mine, 600)


async def _until_it_is_sent(store: Any) -> None:
    """Wait until a connection is taken, and what is asked has been sent on it."""
    await _until(lambda: not store._connections.own._idle)
    for _ in range(3):
        await asyncio.sleep(0)


def _loop_ends(store: Store, mine: bytes) -> None:
    async def main() -> None:
        asked = asyncio.ensure_future(_asked(store, mine))
        await _until_it_is_sent(store)
        assert not asked.done()

    asyncio.run(main())


def _loop_is_closed(store: Store, mine: bytes) -> None:
    def begin() -> None:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # which would tell of tasks that were pending
        asked = loop.create_task(_asked(store, mine))
        loop.run_until_complete(_until_it_is_sent(store))
        assert not asked.done()
        loop.close()

    begin()
    gc.collect()


GivingUp = Callable[[Store, bytes], None]


@pytest.mark.parametrize(
    "give_up",
    [_times_out, _is_interrupted, _times_out_on_a_loop, _loop_ends, _loop_is_closed],
    ids=lambda way: way.__name__,
)
def test_a_lease_that_is_granted_after_it_was_given_back_is_given_back_once_more(
    caches: tuple[Any, Any], postgres_url: str, table: str, give_up: GivingUp
) -> None:
    one, two = map(store_of, caches)
    mine = token()
    (pid,) = backends(caches[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        with within(SLACK):
            give_up(one, mine)
            with suppress(StoreError):
                one.settle({KEY: None}, mine)  # as the computation does that asked for the lease
        assert ask(postgres_url, f"SELECT key FROM {table}_granted") == []
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: ask(postgres_url, f"SELECT key FROM {table}_granted") == [(KEY[1],)])
    assert_free(two)


def test_a_lease_that_is_granted_to_a_cancelled_caller_is_given_back(
    caches: tuple[Any, Any], postgres_url: str, table: str
) -> None:
    one, two = map(store_of, caches)
    (pid,) = backends(caches[0])

    async def main() -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            asked = asyncio.ensure_future(one.alease([KEY], token(), 600))
            queued = asyncio.ensure_future(one.alease([OTHER], token(), 600))
            await _until_it_is_sent(one)
            late = asyncio.ensure_future(one.alease([OTHER], token(), 600))
            await asyncio.sleep(0)
            for each in (asked, queued, late):
                await _cancelled(each)
        finally:
            os.kill(pid, signal.SIGCONT)
        granted = f"SELECT key FROM {table}_granted ORDER BY key"
        await asyncio.to_thread(eventually, lambda: ask(postgres_url, granted) == [(KEY[1],), (OTHER[1],)])
        await asyncio.to_thread(assert_free, two)
        assert list(await two.alease([OTHER], token(), 60)) == [0.0]

    asyncio.run(main())


def test_a_computation_that_is_cancelled_while_it_asks_keeps_nobody_waiting(
    caches: tuple[Any, Any], postgres_url: str, table: str
) -> None:
    one, two = caches
    key = (("n",), "key")
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    async def main() -> None:
        with psycopg.connect(postgres_url) as stranger:
            stranger.execute(f"LOCK TABLE {table}_leases")  # type: ignore[arg-type]
            computing = asyncio.ensure_future(one.aget_or_compute(key, lambda: "never", lease=600))
            await asyncio.to_thread(eventually, lambda: ask(postgres_url, waiting))
            await _cancelled(computing)
        with within(60):
            assert await two.aget_or_compute(key, lambda: "value", lease=600) == "value"

    asyncio.run(main())


def has_it(store: Store, mine: bytes) -> bool:
    """Whether a lease is had by whoever asks again, on another connection, which may take its time to be opened."""
    try:
        return list(store.lease([KEY], mine, 600)) == [0.0]
    except StoreError:
        return False


def test_a_lease_that_is_asked_for_again_is_not_given_back(caches: tuple[Any, Any], postgres_url: str) -> None:
    one, two = map(store_of, caches)
    mine = token()
    (pid,) = backends(caches[0])
    keeper: Any = caches[0]._store._keeper
    request, keeper.request = keeper.request, lambda: None  # it would give it back, if it were faster
    os.kill(pid, signal.SIGSTOP)
    try:
        _times_out(one, mine)
        eventually(lambda: has_it(one, mine))
        keeper.request = request
        keeper.request()
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: ask(postgres_url, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == [(0,)])
    one.get([KEY])
    assert 0.0 not in two.lease([KEY], token(), 60)
    assert list(one.settle({KEY: None}, mine)) == []


def test_what_is_owed_is_given_back_when_the_cache_is_closed(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as two:
        for _ in range(10):
            with PostgresCache[Any](postgres_url, table=table, **PATIENT) as one:
                one.get([(("n",), "key")])

                asyncio.run(_cancelled_when_the_answer_is_there(store_of(one)))
            assert list(store_of(two).lease([KEY], token(), 0.001)) == [0.0]
