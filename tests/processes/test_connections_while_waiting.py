"""Who waits for another process keeps no connection from others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from hitrate import PostgresCache, RedisCache
from hitrate.compute.cache import ComputingCache
from processes.teams import Team

WAITING = 12
"""More than there are connections."""

WAITED_FOR = [(("computed",), str(number)) for number in range(WAITING)]
OTHER = (("other",), "key")


@pytest.fixture(params=["redis", "postgres"])
def few(
    request: pytest.FixtureRequest, backend: Callable[[str], dict[str, Any]]
) -> Iterator[tuple[ComputingCache[Any], dict[str, Any]]]:
    """A cache with a pool of one connection, or of few, and where other processes find it."""
    where = backend(request.param)
    with ExitStack() as stack:
        if request.param == "redis":
            cache: Any = RedisCache(where["at"], prefix=where["prefix"], on_error="raise")
        else:
            cache = PostgresCache(where["at"], table=where["table"], max_connections=1, on_error="raise")
        yield stack.enter_context(cache), where


def must_not_run() -> Any:
    raise AssertionError("another process computes it")


def lead(team: Team, where: dict[str, Any]) -> None:
    team.order("many", where, *(name for _, name in WAITED_FOR), to=[0], lease=600)
    team.wait("computing")


def test_threads_that_wait(four: Team, few: tuple[ComputingCache[Any], dict[str, Any]]) -> None:
    cache, where = few
    lead(four, where)
    got: dict[str, Any] = {}

    def wait_for(number: int) -> None:
        got[str(number)] = cache.get_or_compute(WAITED_FOR[number], must_not_run, lease=600)

    threads = [threading.Thread(target=wait_for, args=[number]) for number in range(WAITING)]
    for thread in threads:
        thread.start()
    for number in range(50):
        cache.set({OTHER: (number, None)})
        assert cache.get([OTHER]) == {OTHER: number}
    assert not got
    four.tell(0, "finish")
    for thread in threads:
        thread.join(30)
    assert got == {name: {"name": name, "by": 0} for _, name in WAITED_FOR}


def test_tasks_that_wait(four: Team, few: tuple[ComputingCache[Any], dict[str, Any]]) -> None:
    cache, where = few
    lead(four, where)

    async def main() -> list[Any]:
        waiting = [asyncio.create_task(cache.aget_or_compute(key, must_not_run, lease=600)) for key in WAITED_FOR]
        for number in range(50):
            await cache.aset({OTHER: (number, None)})
            assert await cache.aget([OTHER]) == {OTHER: number}
        assert not any(task.done() for task in waiting)
        four.tell(0, "finish")
        return await asyncio.wait_for(asyncio.gather(*waiting), 30)

    assert asyncio.run(main()) == [{"name": name, "by": 0} for _, name in WAITED_FOR]
