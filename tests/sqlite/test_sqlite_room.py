"""Room that is given back: of what was cleared, deleted or has expired, and of a -wal that nobody fills any more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.bad_days.bad_day_files import assert_sound
from tests.bad_days.bad_day_processes import eventually

from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.stores import keeper
from hitrate.stores.sqlite import disk, schema
from hitrate.testing import Clock

NAMESPACE = ("namespace",)
MEGABYTE = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_LINGER_SECONDS", 0.05)


def fill(cache: SqliteCache[Any], count: int = 20_000, ttl: float | None = None) -> None:
    """Store some 12 MB."""
    for start in range(0, count, 1000):
        cache.set({(NAMESPACE, str(number)): ("x" * 500, ttl) for number in range(start, start + 1000)})


def removals(clock: Clock) -> dict[str, Callable[[SqliteCache[Any]], Any]]:
    def expire(cache: SqliteCache[Any]) -> None:
        clock.advance(1000)
        for number in range(200):  # writes find what has expired
            cache.set({(("other",), str(number)): (1, None)})

    return {
        "clear": lambda cache: cache.clear(),
        "clear a namespace": lambda cache: cache.clear([NAMESPACE]),
        "clear under a prefix": lambda cache: cache.clear_under(NAMESPACE),
        "delete": lambda cache: cache.delete([(NAMESPACE, str(number)) for number in range(20_000)]),
        "expire": expire,
    }


@pytest.mark.parametrize("what", list(removals(Clock())))
def test_room_is_given_back_in_the_background(path: Path, clock: Clock, what: str) -> None:
    with SqliteCache[Any](path=path, clock=clock, on_error="raise") as cache:
        cache.set({(("kept",), str(number)): ("kept", None) for number in range(500)})
        fill(cache, ttl=500)
        store: Any = cache._store
        eventually(lambda: store._housekeeper.fold() or path.stat().st_size > 10 * MEGABYTE)
        removals(clock)[what](cache)
        eventually(lambda: path.stat().st_size < 2 * MEGABYTE)
        kept = cache.get([(("kept",), str(number)) for number in range(500)])
        assert len(kept) == (0 if what == "clear" else 500)
        fill(cache, 2000)
        assert len(cache.get([(NAMESPACE, str(number)) for number in range(2000)])) == 2000
    assert_sound(path)


def test_room_is_given_back_when_it_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        fill(cache)
        cache._store._housekeeper._keeper.stop()  # type: ignore[attr-defined]  # it did not come to it
        cache.clear()
        monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._TIDY_SECONDS", 30)
    assert path.stat().st_size < 2 * MEGABYTE
    assert_sound(path)


def test_closing_takes_no_longer_for_it_than_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._TIDY_SECONDS", 0)
    steps: list[int] = []
    cache = SqliteCache[Any](path=path, on_error="raise")
    fill(cache)
    store: Any = cache._store
    store._housekeeper._keeper.stop()
    cache.clear()
    step = store._housekeeper.step
    store._housekeeper.step = lambda: (steps.append(1), step())[1]
    cache.close()
    assert len(steps) == 1
    assert path.stat().st_size > 10 * MEGABYTE
    with SqliteCache[Any](path=path) as again:  # who opens it next goes on
        eventually(lambda: again.stats().entries == 0 and path.stat().st_size < 2 * MEGABYTE)


def test_who_opens_it_next_goes_on_with_what_is_free_already(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        fill(cache)
        store: Any = cache._store
        store._housekeeper._give_back = lambda: False
        store._housekeeper._tidy_up = lambda: None
        cache.clear()
        eventually(lambda: store._database.use(lambda handle: handle.con.pragma("freelist_count")) > 2000)
    assert path.stat().st_size > 10 * MEGABYTE
    with SqliteCache[Any](path=path):
        eventually(lambda: path.stat().st_size < 2 * MEGABYTE)


@pytest.mark.usefixtures("short_linger")
def test_the_wal_of_a_cache_that_is_idle_is_cut(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        fill(cache)
        wal = path.with_name("cache.db-wal")
        assert wal.stat().st_size > disk.WAL_BYTES
        cache._store._housekeeper.request()  # type: ignore[attr-defined]
        eventually(lambda: wal.stat().st_size <= disk.WAL_BYTES)
        cache.set({(NAMESPACE, "a"): (1, None)})
        assert cache.get([(NAMESPACE, "a")]) == {(NAMESPACE, "a"): 1}
    assert_sound(path)


def test_the_wal_is_cut_when_one_of_several_closes(path: Path) -> None:
    wal = path.with_name("cache.db-wal")
    with SqliteCache[Any](path=path) as other:
        with SqliteCache[Any](path=path) as cache:
            fill(cache)
            assert wal.stat().st_size > disk.WAL_BYTES
        assert wal.stat().st_size == 0
        assert len(other.get([(NAMESPACE, str(number)) for number in range(20_000)])) == 20_000


def test_a_cache_that_stays_as_full_as_it_is_keeps_its_pages(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    with SqliteCache[Any](path=path, max_entries=5000) as cache:
        fill(cache, 6000)
        give_back = disk.give_back
        monkeypatch.setattr(
            "hitrate.stores.sqlite.housekeeping.give_back", lambda *args: given.append(give_back(*args)) or given[-1]
        )
        pages = cache._store._database.use(lambda handle: handle.con.pragma("page_count"))  # type: ignore[attr-defined]
        for start in range(0, 10_000, 500):
            cache.set({(("more",), str(number)): ("y" * 500, None) for number in range(start, start + 500)})
            cache.delete([(("more",), str(number)) for number in range(start, start + 100)])
        after = cache._store._database.use(lambda handle: handle.con.pragma("page_count"))  # type: ignore[attr-defined]
        assert abs(after - pages) < pages // 4
        assert True not in given


def test_a_file_that_was_made_without_it_keeps_its_size_and_works(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unchanged(apsw.Connection):
        """Makes files as hitrate did before."""

        def execute(self, statements: str, *bindings: Any, **options: Any) -> Any:
            statements = statements.replace("PRAGMA auto_vacuum = incremental", "SELECT 1")
            return super().execute(statements, *bindings, **options)

    with monkeypatch.context() as before:
        before.setattr("hitrate.stores.sqlite.connections.apsw.Connection", Unchanged)
        with SqliteCache[Any](path=path) as cache:
            fill(cache)
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        assert cache._store._database.use(lambda handle: handle.con.pragma("auto_vacuum")) == 0  # type: ignore[attr-defined]
        cache.clear()
        eventually(lambda: not cache._store._housekeeper._removed)  # type: ignore[attr-defined]
        assert path.stat().st_size > 10 * MEGABYTE
        fill(cache)
        assert cache.stats().entries == 20_000
    assert_sound(path)
    assert schema.FORMAT == 1


def test_stats_count_what_is_on_disk(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        fill(cache, 2000)
        expected = sum(os.path.getsize(f"{path}{suffix}") for suffix in ("", "-wal"))
        assert cache.stats().disk_bytes == expected > cache.stats().bytes
        with TieredCache[Any](InMemoryCache(), SqliteCache(path=path)) as tiered:
            assert tiered.stats().disk_bytes > 0
    with SqliteCache[Any](path=":memory:") as memory, InMemoryCache[Any]() as other:
        memory.set({(NAMESPACE, "a"): (1, None)})
        assert memory.stats().disk_bytes == other.stats().disk_bytes == 0
