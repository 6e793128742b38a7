"""A lease that is asked for by a caller that is gone before the answer is left to nobody for its whole time."""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from hitrate import StoreError
from hitrate.stores.redis import RedisStore
from servers.shared import PATIENT
from servers.valkey import Server, wait_until

TURNS = range(5)
NAME = b"\x01n"
KEY = (NAME, b"key")
ENTRY = ("bytes", b"value", None, 0.5)
KEYS = [KEY, *((NAME, b"%d" % number) for number in range(40))]


@pytest.fixture
def new_store() -> Iterator[Callable[..., RedisStore]]:
    """A function that opens stores."""
    with ExitStack() as at_the_end:

        def new(client: Any, **options: Any) -> RedisStore:
            store = RedisStore(client, **{**PATIENT, **options})
            at_the_end.callback(store.close)
            return store

        yield new


def is_free(store: RedisStore, keys: Any = (KEY,)) -> bool:
    """Whether another process gets the leases of keys; it gives them back."""
    mine = os.urandom(16)
    left = store.lease(keys, mine, 60)
    store.settle(dict.fromkeys(keys), mine)
    return not any(left)


def use(store: RedisStore) -> None:
    """One use of a store that needs the scripts of leases, so that the server knows them."""
    assert is_free(store)
    store.write({(NAME, b"used"): ENTRY})


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """Have a server stand still meanwhile."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)


async def on_its_way(store: RedisStore) -> None:
    """Wait until a request of this loop was sent."""
    link = store._only.loop_link()  # type: ignore[union-attr]  # of a store with one server
    async with asyncio.timeout(60):
        while not link._flying:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


@pytest.mark.parametrize("turns", TURNS)
def test_cancelled_while_it_connects(server: Server, new_store: Any, turns: int) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)
    use(two)

    async def main() -> None:
        mine = os.urandom(16)
        with paused(server):
            task = asyncio.ensure_future(one.alease([KEY], mine, 60))
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancel(task)
        # A call that comes later gives it back, on a connection of its own.
        await asyncio.to_thread(one.settle, {KEY: None}, mine)
        await one.aget([KEY])  # on the connection that was opened for the lease
        assert is_free(two)

    asyncio.run(main())


@pytest.mark.parametrize("turns", TURNS)
def test_cancelled_on_the_way_to_the_server(server: Server, new_store: Any, turns: int) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)
    use(two)

    async def main() -> None:
        await one.aget([KEY])
        with paused(server):
            task = asyncio.ensure_future(one.alease([KEY], os.urandom(16), 60))
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancel(task)
        await one.aget([KEY])
        assert is_free(two)

    asyncio.run(main())


@pytest.mark.parametrize("known", [True, False], ids=["the script is known", "the script is sent whole"])
def test_cancelled_at_any_time_until_it_is_done(server: Server, new_store: Any, known: bool) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)

    async def main() -> None:
        await one.aget([KEY])
        for turns in range(1000):
            if known:
                await asyncio.to_thread(use, two)
            else:
                await asyncio.to_thread(forget_scripts, server)
            task = asyncio.ensure_future(one.alease(KEYS, mine := os.urandom(16), 60))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.done():
                assert not any(task.result())
                await one.asettle(dict.fromkeys(KEYS), mine)
                return
            await cancel(task)
            await one.aget([KEY])
            assert await asyncio.to_thread(is_free, two, KEYS), f"after {turns} turns of the loop"
        raise AssertionError("it never came to its end")

    asyncio.run(main())


def forget_scripts(server: Server) -> None:
    with server.client() as client:
        client.script_flush()


def test_cancelled_in_a_cluster_at_any_time(cluster_url: str, new_prefix: Any, new_store: Any) -> None:
    prefix = new_prefix()
    one, two = (new_store(redis.RedisCluster.from_url(cluster_url), prefix=prefix) for _ in range(2))

    async def main() -> None:
        await one.aget(KEYS)
        for turns in range(1000):
            assert await asyncio.to_thread(is_free, two, KEYS), f"after {turns - 1} turns of the loop"
            task = asyncio.ensure_future(one.alease(KEYS, mine := os.urandom(16), 60))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.done():
                await one.asettle(dict.fromkeys(KEYS), mine)
                return
            await cancel(task)
            await one.aget(KEYS)
        raise AssertionError("it never came to its end")

    asyncio.run(main())


async def answers_in_time(store: RedisStore) -> bool:
    """Whether a server that is well answers before an impatient store gives it up, as on a busy machine it may not."""
    try:
        await store.aget([KEY])
    except StoreError:
        return False
    return True


def is_free_in_time(store: RedisStore) -> bool:
    try:
        return is_free(store)
    except StoreError:
        return False


@pytest.mark.parametrize("face", ["sync", "async"])
def test_timed_out(server: Server, new_store: Any, face: str) -> None:
    one, two = new_store(server.unix_url, timeout=0.2), new_store(server.unix_url)
    use(two)

    async def main() -> None:
        async with asyncio.timeout(60):
            while not await answers_in_time(one):  # noqa: ASYNC110 - it has a connection then
                await asyncio.sleep(0.01)
        server.pause()
        with pytest.raises(StoreError):
            await one.alease([KEY], os.urandom(16), 60)

    try:
        if face == "async":
            asyncio.run(main())
        else:
            wait_until(lambda: is_free_in_time(one), "to answer in time")
            server.pause()
            with pytest.raises(StoreError):
                one.lease([KEY], os.urandom(16), 60)
    finally:
        server.resume()
    assert is_free(two)


@pytest.mark.parametrize("turns", TURNS)
def test_its_loop_was_closed(server: Server, new_store: Any, turns: int) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)
    use(two)
    mine = os.urandom(16)

    async def begin() -> None:
        await one.aget([KEY])
        server.pause()
        tasks.append(asyncio.ensure_future(one.alease([KEY], mine, 60)))
        for _ in range(turns):
            await asyncio.sleep(0)

    tasks: list[asyncio.Future[Any]] = []
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(begin())
    finally:
        server.resume()
    loop.close()
    asyncio.run(one.awrite({(NAME, b"next"): ENTRY}))
    wait_until(lambda: is_free(two), "to give the lease back")
    tasks.pop()._log_destroy_pending = False  # type: ignore[attr-defined]


def test_the_cache_was_closed(server: Server, new_store: Any) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)
    use(two)

    async def main() -> None:
        await one.aget([KEY])
        with paused(server):
            task = asyncio.ensure_future(one.alease([KEY], os.urandom(16), 60))
            await on_its_way(one)
            one.close()
            with pytest.raises(StoreError):
                await task
        assert is_free(two)

    asyncio.run(main())


def test_interrupted(server: Server, new_store: Any) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)
    use(two)
    use(one)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def ask_for_it() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        one.lease([KEY], os.urandom(16), 60)

    before = signal.signal(signal.SIGALRM, interrupt)
    server.pause()
    try:
        with pytest.raises(KeyboardInterrupt):
            ask_for_it()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        server.resume()
    assert is_free(two)


def test_a_child_that_is_forked_leaves_the_leases_of_its_parent(server: Server, new_store: Any) -> None:
    one, two = new_store(server.unix_url), new_store(server.unix_url)
    use(two)
    mine = os.urandom(16)

    async def main() -> None:
        await one.aget([KEY])
        with paused(server):
            task = asyncio.ensure_future(one.alease([KEY], mine, 60))
            await on_its_way(one)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of a fork while there are threads
                child = os.fork()
            if child == 0:
                os._exit(0)
            await asyncio.to_thread(os.waitpid, child, 0)
        assert list(await task) == [0.0]

    asyncio.run(main())
    assert not is_free(two)
    assert list(one.settle({KEY: None}, mine)) == []
