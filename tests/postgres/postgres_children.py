"""What the other processes of a test do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any
from uuid import uuid4

from hitrate import PostgresCache
from hitrate.keys import EncodedKey
from servers.processes import forked
from servers.shared import PATIENT

BATCH = [(("batch",), str(number)) for number in range(10)]
"""Keys that are only ever set together, to one value."""


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run a function in several processes that begin at once; return what each returned.

    The function is given a barrier for all to wait at, its number, and the arguments.
    """
    context = forked()
    with context.Manager() as manager, ProcessPoolExecutor(count, mp_context=context) as processes:
        barrier = manager.Barrier(count, None, 60)  # so that the others end if one fails
        running = [processes.submit(function, barrier, number, *arguments) for number in range(count)]
        return [each.result(timeout=300) for each in running]


def open_and_use(barrier: Any, number: int, url: str, tables: Sequence[str]) -> int:
    """Open new tables at the same moment as others, set and get; return how many errors there were."""
    errors = 0
    for table in tables:
        barrier.wait()
        with PostgresCache[Any](url, table=table, **PATIENT) as cache:
            cache.set({(("opened",), str(number)): (number, None)})
            assert cache.get([(("opened",), str(number))]) == {(("opened",), str(number)): number}
            errors += cache.stats().errors
    return errors


def use_with_others(barrier: Any, number: int, url: str, table: str, options: dict[str, Any]) -> dict[str, Any]:
    """Read, write, remove and clear with others, on two threads and an event loop; return what the cache counted."""
    with PostgresCache[Any](url, table=table, timeout=30, **options) as cache:
        barrier.wait()
        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(_use, cache, number, thread) for thread in range(2)]:
                done.result()
        asyncio.run(_ause(cache, number))
        stats = cache.stats()
        limits_held = all(
            limit is None or held <= limit
            for limit, held in ((options.get("max_entries"), stats.entries), (options.get("max_bytes"), stats.bytes))
        )
        return {"errors": stats.errors, "evictions": stats.evictions, "limits held": limits_held}


def _use(cache: PostgresCache[Any], number: int, thread: int) -> None:
    rng = random.Random(100 * number + thread)
    for step in range(40):
        keys = [((f"shared {rng.randrange(3)}",), str(rng.randrange(20))) for _ in range(8)]
        choice = rng.random()
        if choice < 0.4:
            cache.set({key: ([key[1], "x" * rng.randrange(300)], rng.choice([None, 60])) for key in keys})
        elif choice < 0.5:
            cache.delete(keys)
        elif choice < 0.55:
            cache.clear([("shared 2",)])
        elif choice < 0.7:
            cache.set(dict.fromkeys(rng.sample(BATCH, len(BATCH)), ((number, thread, step), None)))
        else:
            assert all(value[0] == key[1] for key, value in cache.get(keys).items()), "a value of another key"
        assert len(set(cache.get(BATCH).values())) <= 1, "half of a batch"


async def _ause(cache: PostgresCache[Any], number: int) -> None:
    async def task(which: int) -> None:
        own = ((f"own {number}",), str(which))
        await cache.aset({own: (which, None)})
        assert (await cache.aget([own])).get(own, which) == which

    await asyncio.gather(*map(task, range(50)))


# Leases


@contextmanager
def holder(url: str, table: str, key: EncodedKey, seconds: float) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """Have another process take a lease; it settles with the bytes that it is sent, and tells what came too late."""
    context = forked()
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(theirs, url, table, key, seconds))
    process.start()
    theirs.close()
    try:
        assert ours.recv() == [0.0]
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _hold(pipe: Connection, url: str, table: str, key: EncodedKey, seconds: float) -> None:
    token = uuid4().bytes
    with PostgresCache[Any](url, table=table, **PATIENT) as cache:
        store: Any = cache._store
        pipe.send(list(store.lease([key], token, seconds)))
        pipe.send(list(store.settle({key: ("bytes", pipe.recv(), None, 0.0)}, token)))


def take_at_once(barrier: Any, number: int, url: str, table: str, rounds: int) -> list[float]:
    """Take the lease of one key after the other at the same moment as others; return what each call returned."""
    with PostgresCache[Any](url, table=table, **PATIENT) as cache:
        store: Any = cache._store
        taken = []
        for step in range(rounds):
            barrier.wait()
            (left,) = store.lease([(b"\x05taken", b"%d" % step)], uuid4().bytes, 60)
            taken.append(left)
        return taken


def settle_with_others(barrier: Any, number: int, url: str, table: str) -> str:
    """Take leases in any order, and settle them, amid removals and clears; tell what was wrong."""
    rng = random.Random(number)
    name = b"\x07settled"
    with PostgresCache[Any](url, table=table, timeout=30) as cache:
        store: Any = cache._store
        barrier.wait()
        for step in range(60):
            keys = rng.sample([(name, b"%d" % each) for each in range(30)], 10)
            token = uuid4().bytes
            left = store.lease(keys, token, 60)
            ours = [key for key, seconds in zip(keys, left, strict=True) if seconds == 0.0]
            choice = rng.random()
            if choice < 0.2:
                store.write(dict.fromkeys(keys[:5]))
            elif choice < 0.25:
                store.clear([name])
            elif choice < 0.35:
                store.write(dict.fromkeys(keys[:5], ("bytes", b"by hand", None, 0.0)))
            results = {key: rng.choice([None, ("bytes", b"%d" % step, None, 0.0)]) for key in keys}
            late = store.settle(results, token)
            if not set(keys) - set(ours) <= set(late):
                return "what was another's was settled"
        if cache.stats().errors:
            return "there were errors"
    return "fine"
