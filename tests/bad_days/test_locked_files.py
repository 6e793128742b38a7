"""A file that another process has locked: reads go on, writes wait a while and are then dropped and counted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bad_day_children import MEMBERS
from bad_day_files import assert_sound, key, raw
from bad_day_processes import Other, other

from hitrate import SqliteCache
from hitrate.errors import StoreError
from hitrate.stores.sqlite import connections

KEY, OTHER = key("a"), key("b")
BUSY = 0.3


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", BUSY)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[threading.Thread, float]]:
    """What is waited for a lock: on which thread, and how many seconds. A busy machine makes them longer."""
    told: list[tuple[threading.Thread, float]] = []

    def pause(seconds: float) -> None:
        told.append((threading.current_thread(), seconds))
        time.sleep(seconds)

    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
    return told


@pytest.fixture(params=["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE; DELETE FROM hitrate_entries"])
def locked(request: pytest.FixtureRequest, path: Path) -> Iterator[Other]:
    """A process that holds a lock on a file with an entry, until it is told to let go."""
    with SqliteCache[Any](path=path) as cache:
        cache.set({KEY: ("before", None)})
    with other("hold_the_lock", path, request.param) as process:
        assert process.line() == "held"
        yield process


def release(process: Other) -> None:
    process.tell("let go")
    assert process.line() == "released"


WRITES: dict[str, Callable[[SqliteCache[Any]], Any]] = {
    "set": lambda cache: cache.set({OTHER: (1, None)}),
    "set of many": lambda cache: cache.set(dict.fromkeys(MEMBERS, (1, None))),
    "delete": lambda cache: cache.delete([KEY]),
    "clear": lambda cache: cache.clear(),
}


def test_reads_go_on_and_writes_are_dropped_and_counted(path: Path, locked: Other, pauses: list[Any]) -> None:
    with SqliteCache[Any](path=path) as cache:
        for number, write in enumerate(WRITES.values()):
            pauses.clear()
            assert cache.get([KEY, OTHER]) == ({KEY: "before"} if number < 3 else {})  # deleted, or at least not served
            write(cache)
            waited = sum(seconds for _, seconds in pauses)
            assert number or waited > BUSY / 2
            assert waited < 10 * BUSY
            assert cache.stats().errors == number + 1
        assert cache.stats().sets == 0
        with SqliteCache[Any](path=path, on_error="raise") as another:  # opens while it is locked
            assert another.get([KEY]) == {KEY: "before"}
            for write in WRITES.values():
                with pytest.raises(StoreError, match="locked by another process"):
                    write(another)
        release(locked)
        cache.set({OTHER: ("after", None)})
        assert cache.get([OTHER]) == {OTHER: "after"}
        assert cache.get([KEY]) == {}
        assert cache.stats().errors == len(WRITES)


def test_a_write_waits_for_a_lock_that_is_let_go_of_in_time(
    path: Path, locked: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 30.0)
    with SqliteCache[Any](path=path, on_error="raise") as cache:

        async def main() -> None:
            task = asyncio.ensure_future(cache.aset({OTHER: ("after", None)}))
            await asyncio.sleep(0.05)
            assert not task.done()
            locked.tell("let go")
            await asyncio.wait_for(task, 20)

        asyncio.run(main())
        assert cache.get([OTHER]) == {OTHER: "after"}


def test_the_event_loop_goes_on_while_a_write_waits(
    path: Path, locked: Other, pauses: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = 2.0  # seconds in which a loop has its turns on a busy machine too
    monkeypatch.setattr(connections, "BUSY_SECONDS", busy)

    async def main(cache: SqliteCache[Any]) -> None:
        pauses.clear()
        write = asyncio.ensure_future(cache.aset({OTHER: (1, None)}))
        ticks = 0
        while not write.done():
            await asyncio.sleep(0.002)
            ticks += 1
        assert sum(seconds for _, seconds in pauses) > busy / 2
        assert threading.current_thread() not in {thread for thread, _ in pauses}
        assert ticks > 20

    with SqliteCache[Any](path=path) as cache:
        asyncio.run(main(cache))
        assert cache.stats().errors == 1
        release(locked)
        asyncio.run(cache.aset({OTHER: ("after", None)}))
        assert cache.get([OTHER]) == {OTHER: "after"}


def test_a_reader_never_waits_for_a_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 60.0)
    with SqliteCache[Any](path=path, on_error="raise") as cache, raw(path) as con:
        cache.set({KEY: ("before", None)})
        con.execute("BEGIN IMMEDIATE; DELETE FROM hitrate_entries")
        started = time.monotonic()
        for _ in range(50):
            assert cache.get([KEY, OTHER]) == {KEY: "before"}
            assert asyncio.run(cache.aget([KEY])) == {KEY: "before"}
        cache.stats()
        with SqliteCache[Any](path=path, on_error="raise") as another:
            assert another.get([KEY]) == {KEY: "before"}
        assert time.monotonic() - started < 20
        con.execute("ROLLBACK")
        cache.set({OTHER: (1, None)})
    assert_sound(path)


def test_a_reader_never_waits_for_a_write_of_its_own_loop_that_waits(
    path: Path, locked: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 60.0)

    async def main(cache: SqliteCache[Any]) -> None:
        write = asyncio.ensure_future(cache.aset({OTHER: ("after", None)}))
        clear = asyncio.ensure_future(cache.aclear([("nothing there",)]))
        for _ in range(50):
            assert await asyncio.wait_for(cache.aget([KEY, OTHER]), 20) == {KEY: "before"}
        assert not write.done()
        locked.tell("let go")
        await asyncio.gather(write, clear)
        assert await cache.aget([OTHER]) == {OTHER: "after"}

    with SqliteCache[Any](path=path, on_error="raise") as cache:
        asyncio.run(main(cache))


def test_a_new_file_that_is_locked_makes_misses_until_it_is_free(path: Path) -> None:
    path.touch()
    with other("hold_the_lock", path, "BEGIN EXCLUSIVE; CREATE TABLE t (a); DROP TABLE t") as process:
        assert process.line() == "held"
        with SqliteCache[Any](path=path) as cache:
            assert cache.get([KEY]) == {}
            cache.set({KEY: (1, None)})
            assert cache.stats().errors == 3
            release(process)
            cache.set({KEY: (1, None)})
            assert cache.get([KEY]) == {KEY: 1}
            assert cache.stats().errors == 3
