"""Use after close, close during use, caches that are never closed, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bad_day_children
import pytest
from bad_day_children import ENDED, MEMBERS
from bad_day_files import assert_sound, key
from bad_day_processes import run, run_each

from hitrate import InMemoryCache, SqliteCache
from hitrate.errors import ClosedError

KEY = key("a")
MAKERS: dict[str, Callable[[Path], Any]] = {
    "file": lambda path: SqliteCache(path=path, on_error="raise"),
    "file, misses": lambda path: SqliteCache(path=path),
    ":memory:": lambda path: SqliteCache(path=":memory:", on_error="raise"),
    "memory": lambda path: InMemoryCache(on_error="raise"),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda cache: cache.get([KEY]),
    "get of nothing": lambda cache: cache.get([]),
    "get of many": lambda cache: cache.get([KEY, *MEMBERS]),
    "set": lambda cache: cache.set({KEY: (1, None)}),
    "set of nothing": lambda cache: cache.set({}),
    "set of many": lambda cache: cache.set(dict.fromkeys(MEMBERS, (1, 60))),
    "delete": lambda cache: cache.delete([KEY]),
    "delete of nothing": lambda cache: cache.delete([]),
    "clear": lambda cache: cache.clear(),
    "clear of nothing": lambda cache: cache.clear([]),
    "clear of one": lambda cache: cache.clear([KEY[0]]),
    "stats": lambda cache: cache.stats(),
    "aget": lambda cache: cache.aget([KEY]),
    "aset": lambda cache: cache.aset({KEY: (1, None)}),
    "adelete": lambda cache: cache.adelete([KEY]),
    "aclear": lambda cache: cache.aclear(),
    "aclear of one": lambda cache: cache.aclear([KEY[0]]),
}


@pytest.fixture(params=MAKERS)
def cache(request: pytest.FixtureRequest, path: Path) -> Any:
    return MAKERS[request.param](path)


async def awaited(call: Callable[[Any], Any], cache: Any) -> Any:
    result = call(cache)
    return await result if inspect.isawaitable(result) else result


@pytest.mark.parametrize("by", ["close", "aclose"])
def test_every_call_after_close_is_a_closed_error(cache: Any, by: str) -> None:
    cache.set({KEY: (1, None)})
    asyncio.run(cache.aget([KEY]))
    for _ in range(3):
        cache.close() if by == "close" else asyncio.run(cache.aclose())
    for call in CALLS.values():
        with pytest.raises(ClosedError, match="is closed; open another one"):
            asyncio.run(awaited(call, cache))
    assert cache
    cache.close()
    asyncio.run(cache.aclose())


def test_a_closed_cache_leaves_others_on_the_same_file_alone(path: Path) -> None:
    one, other = SqliteCache[Any](path=path), SqliteCache[Any](path=path)
    one.set({KEY: (1, None)})
    one.close()
    assert other.get([KEY]) == {KEY: 1}
    other.close()


@pytest.mark.parametrize("by", ["close", "aclose"])
@pytest.mark.parametrize("kind", MAKERS)
def test_close_while_other_threads_use_the_cache(path: Path, kind: str, by: str) -> None:
    """They get results, or are told that it is closed, and nothing else."""
    for number in range(8):
        cache = MAKERS[kind](path)
        cache.set(dict.fromkeys(MEMBERS, (0, None)))
        users = [User(cache, face, number) for face in ("sync", "sync", "async", "async")]
        for user in users:
            user.start()
            user.begun.wait()
        for _ in range(number * 20):
            cache.get(MEMBERS)
        cache.close() if by == "close" else asyncio.run(cache.aclose())
        for user in users:
            user.join(30)
            assert type(user.end) is ClosedError, user.end
    if kind.startswith("file"):
        assert_sound(path)


class User(threading.Thread):
    """Calls a cache again and again by one face, until something is raised."""

    def __init__(self, cache: Any, face: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.begun = threading.Event()
        self.end: BaseException | None = None
        self._cache = cache
        self._async = face == "async"
        self._calls = [call for name, call in CALLS.items() if name.startswith("a") == self._async]
        self._random = random.Random(seed)

    def run(self) -> None:
        try:
            while True:
                call = self._random.choice(self._calls)
                if self._async:
                    asyncio.run(awaited(call, self._cache))
                else:
                    call(self._cache)
                self.begun.set()
        except BaseException as error:
            self.end = error


def test_several_threads_close_at_once(cache: Any) -> None:
    cache.set({KEY: (1, None)})
    going = threading.Barrier(4)
    wrong: list[BaseException] = []

    def close() -> None:
        going.wait()
        try:
            cache.close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_close_with_calls_of_a_loop_pending_lets_them_end(path: Path) -> None:
    async def main() -> None:
        for _ in range(20):
            cache: SqliteCache[Any] = SqliteCache(path=path, on_error="raise")
            calls = [cache.aset({key(number): (number, None)}) for number in range(30)]
            calls += [cache.aget([KEY]) for _ in range(30)]  # type: ignore[misc]
            tasks = [asyncio.ensure_future(call) for call in calls]
            await asyncio.sleep(0)
            await cache.aclose()
            outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
            assert {type(each) for each in outcomes if isinstance(each, BaseException)} <= {ClosedError}

    asyncio.run(main())
    assert_sound(path)


def test_caches_let_go_of_unclosed_leave_no_file_thread_or_warning_behind(path: Path) -> None:
    before, after = run("let_go_of_caches", path)
    assert after <= before


def test_a_cache_in_a_cycle_is_collected_without_a_word(path: Path) -> None:
    for _ in range(3):
        cache: Any = SqliteCache(path=path)
        cache.set({KEY: (1, None)})
        cache.itself = cache
        del cache
        gc.collect()
    assert_sound(path)
    assert not [name for name in os.listdir(path.parent) if name != path.name]


@pytest.mark.parametrize("end", [name for name in vars(bad_day_children) if name.startswith("end_")])
def test_the_interpreter_ends_cleanly_with_a_cache_open(tmp_path: Path, end: str) -> None:
    paths = [tmp_path / "0.db", tmp_path / "1.db"]
    assert run_each(*((end, path) for path in paths)) == []
    for path in paths:
        with SqliteCache[Any](path=path, on_error="raise") as cache:
            assert cache.get([ENDED]) == {ENDED: 1}
        assert_sound(path)
