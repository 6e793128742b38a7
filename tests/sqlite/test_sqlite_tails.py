"""No write of a cache in a file pays for many: evictions, visited bits, cleared rows, checkpoints go in small steps."""

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from hitrate import SqliteCache, StoreError
from hitrate.stores.sqlite import clearing
from hitrate.stores.sqlite.checkpoints import begin_anew, fold_bulk
from hitrate.stores.sqlite.clearing import remove_cleared
from hitrate.stores.sqlite.connections import CHECKPOINT_PAGES

NAMESPACE = ("namespace",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def key(number: int) -> Any:
    return NAMESPACE, str(number)


def opened(path: Path, **options: Any) -> SqliteCache[Any]:
    """A cache whose keeper does nothing by itself."""
    cache = SqliteCache[Any](path=path, on_error="raise", **options)
    cache._store._housekeeper._keeper.request = lambda: None  # type: ignore[attr-defined]
    return cache


def fill(cache: SqliteCache[Any], first: int, last: int) -> None:
    for start in range(first, last, 1000):
        cache.set({key(number): (number, None) for number in range(start, min(start + 1000, last))})


def changed_rows(cache: SqliteCache[Any], call: Any) -> int:
    """How many rows of tables a call changes."""
    con = cache._store._connections.idle[-1].con  # type: ignore[attr-defined]
    before = con.total_changes()
    call()
    return int(con.total_changes() - before)


def visited(path: Path) -> int:
    with closing(apsw.Connection(str(path))) as con:
        return int(con.execute("SELECT count(*) FROM hitrate_entries WHERE visited").fetchall()[0][0])


def test_the_first_eviction_writes_few_of_the_rows_that_were_read(path: Path) -> None:
    with opened(path, max_entries=5000) as cache:
        fill(cache, 0, 5000)
        for start in range(0, 4000, 100):
            cache.get([key(number) for number in range(start, start + 100)])
        assert changed_rows(cache, lambda: cache.set({key(5000): (0, None)})) < 100
        assert cache.get([key(5000)]) == {key(5000): 0}


@pytest.mark.parametrize("limit", [1, 3, 255, 256, 1000, 20_000])
def test_most_new_entries_evict_nothing_and_the_limit_holds(path: Path, limit: int) -> None:
    spare = min(64, limit // 256)
    with opened(path, max_entries=limit) as cache:
        fill(cache, 0, limit)
        evictions = 0
        for number in range(limit, limit + 200):
            before = cache._store._writer.evictions  # type: ignore[attr-defined]
            cache.set({key(number): (number, None)})
            evictions += cache._store._writer.evictions != before  # type: ignore[attr-defined]
            assert limit - spare <= cache.stats().entries <= limit
        assert evictions <= -(-200 // (spare + 1))


def test_room_for_bytes_is_made_for_more_than_one_entry(path: Path) -> None:
    with opened(path, max_bytes=2_000_000) as cache:
        for number in range(3000):
            cache.set({key(number): ("x" * 1000, None)})
            assert cache.stats().bytes <= 2_000_000
        assert cache.stats().bytes > 1_980_000
        before = cache.stats().evictions
        cache.set({key(number): ("x" * 1000, None) for number in range(3000, 3008)})
        assert cache.stats().evictions - before <= 14


def test_an_entry_that_was_read_stays_though_the_file_has_not_been_told(path: Path) -> None:
    with opened(path, max_entries=1000) as cache:
        fill(cache, 0, 1000)
        kept = range(0, 400, 2)
        for start in range(0, 200, 20):
            cache.get([key(number) for number in kept[start : start + 20]])
        for number in range(1000, 1200):
            cache.set({key(number): (number, None)})
        assert len(cache.get([key(number) for number in kept])) == len(kept)


def test_an_entry_that_was_read_by_one_process_stays_where_another_evicts(path: Path) -> None:
    with opened(path, max_entries=100) as one, opened(path, max_entries=100) as other:
        fill(one, 0, 100)
        one.get([key(number) for number in range(50, 60)])
        one.set({key(100): (0, None)})  # an eviction, which tells the file
        assert visited(path) == 10
        for number in range(101, 171):
            other.set({key(number): (0, None)})
        assert len(other.get([key(number) for number in range(80)])) == 10


def test_the_hand_passes_a_bounded_number_of_visited_bits(path: Path) -> None:
    with opened(path, max_entries=20_000) as cache:
        fill(cache, 0, 20_000)
        with closing(apsw.Connection(str(path))) as con:
            con.set_busy_timeout(10_000)
            con.execute("UPDATE hitrate_entries SET visited = 1")
        assert changed_rows(cache, lambda: cache.set({key(20_000): (0, None)})) < 1200
        assert cache.stats().entries <= 20_000


def test_rows_that_were_read_are_told_to_the_file_in_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping.SEEN_AT_MOST", 2000)
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._SEEN_KEPT", 1000)
    with opened(path, max_entries=5000) as cache:
        fill(cache, 0, 5000)
        for start in range(0, 3000, 100):
            cache.get([key(number) for number in range(start, start + 100)])
        store: Any = cache._store
        steps = 0
        while store._housekeeper.step():
            steps += 1
            assert visited(path) <= 256 * steps
        assert len(store._seen) <= 1000
        assert visited(path) == 3000 - len(store._seen)


def test_rows_that_were_read_are_forgotten_where_no_eviction_is_near(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping.SEEN_AT_MOST", 100)
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._SEEN_KEPT", 50)
    with opened(path) as cache:
        fill(cache, 0, 200)
        cache.get([key(number) for number in range(200)])
        store: Any = cache._store
        assert store._housekeeper.step() is False
        assert (len(store._seen), visited(path)) == (0, 0)


def test_cleared_rows_go_in_steps(path: Path) -> None:
    with opened(path) as cache:
        fill(cache, 0, 3000)
        store: Any = cache._store

        def left() -> int:
            with closing(apsw.Connection(str(path))) as con:
                return int(con.execute("SELECT count(*) FROM hitrate_entries").fetchall()[0][0])

        cache.clear()
        before = left()
        for number in range(64):  # one of them does some housekeeping
            cache.set({key(number): (number, None)})
        assert before - 32 + 64 <= left() < before + 64
        before = left()
        while store._housekeeper.step():
            after = left()
            assert 0 <= before - after <= 256
            before = after
        assert left() == cache.stats().entries == 64


def test_a_step_ends_when_its_time_is_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as cache:
        fill(cache, 0, 3000)
        cache.clear()
        monkeypatch.setattr("hitrate.stores.sqlite.clearing.STEP_SECONDS", 0)
        assert changed_rows(cache, cache._store._housekeeper.step) < 64  # type: ignore[attr-defined]


def test_a_checkpoint_goes_on_while_others_write_until_little_is_left(path: Path) -> None:
    with opened(path) as cache, opened(path) as other:
        fill(cache, 0, 5000)
        writes = iter([2000, 500])

        def meanwhile() -> None:
            fill(other, 5000, 5000 + next(writes, 0))

        def pages_left(handle: Any) -> int:
            fold_bulk(handle, meanwhile)
            assert next(writes, None) is None
            pages, folded = handle.con.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            return int(pages - folded)

        assert cache._store._database.use(pages_left) == 0  # type: ignore[attr-defined]


def test_a_checkpoint_that_a_reader_is_in_the_way_of_ends(path: Path) -> None:
    with opened(path) as cache, closing(apsw.Connection(str(path))) as reader:
        fill(cache, 0, 1000)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM hitrate_entries").fetchall()
        fill(cache, 1000, 3000)
        rounds: list[int] = []
        cache._store._database.use(fold_bulk, lambda: rounds.append(1))  # type: ignore[attr-defined]
        assert len(rounds) <= 2


def test_a_step_removes_the_rows_of_many_small_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "STEP_SECONDS", 60)
    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        store: Any = cache._store
        store._housekeeper.step = lambda: False
        cache.set({((f"n{number}",), str(each)): (1, None) for number in range(40) for each in range(5)})
        cache.clear([(f"n{number}",) for number in range(40)])
        store._database.transact(lambda transaction: remove_cleared(transaction, 256))
        left = store._database.use(lambda handle: handle.execute("SELECT count(*) FROM hitrate_entries").fetchall())
        assert left == [(0,)]


def wal_pages(cache: SqliteCache[Any]) -> int:
    return int(cache._store._connections.wal_pages)  # type: ignore[attr-defined]


def test_where_the_keeper_falls_behind_writes_wait_a_moment_and_fold_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        store: Any = cache._store
        begun, go_on, pauses = threading.Event(), threading.Event(), list[float]()
        callers, writer = list[threading.Thread](), threading.current_thread()

        def fold(handle: Any, end_snapshots: Any) -> None:
            callers.append(threading.current_thread())
            begun.set()
            assert go_on.wait(60)
            fold_bulk(handle, end_snapshots)

        def pause(seconds: float, sleep: Any = time.sleep) -> None:
            if threading.current_thread() is writer:
                pauses.append(seconds)
            else:  # of any cache in this process
                sleep(seconds)

        monkeypatch.setattr("hitrate.stores.sqlite.housekeeping.fold_bulk", fold)
        monkeypatch.setattr("hitrate.stores.sqlite.housekeeping.time.sleep", pause)
        many = 0
        while wal_pages(cache) < store._connections.checkpoint_at:
            cache.set({key(many := many + 1): ("x" * 40_000, None)})
        assert begun.wait(60)
        while wal_pages(cache) < store._connections.checkpoint_at + 7_900:
            cache.set({key(many := many + 1): ("x" * 40_000, None)})
        assert pauses == []
        while wal_pages(cache) < store._connections.checkpoint_at + 8_000:
            cache.set({key(many := many + 1): ("x" * 40_000, None)})
        pauses.clear()
        for _ in range(5):
            cache.set({key(many := many + 1): ("x" * 40_000, None)})
        assert pauses == [0.002] * 5
        monkeypatch.undo()
        go_on.set()
        assert writer not in callers


def test_without_a_thread_that_folds_a_write_does(path: Path) -> None:
    with opened(path) as cache:
        for number in range(1_500):
            cache.set({key(number): ("x" * 40_000, None)})
            assert wal_pages(cache) < 4_000 + 8_000 + 100


@pytest.fixture
def short_wal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest -wal file has 500 pages and is folded after 50, and it is looked at each time."""
    monkeypatch.setattr("hitrate.stores.sqlite.checkpoints._WAL_BYTES_AT_LEAST", 500 * 4096)
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._LOOK_AT_WAL_SECONDS", 0.0)
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._PATIENCE_SECONDS", 0.001)
    monkeypatch.setitem(CHECKPOINT_PAGES, "normal", 50)


@pytest.mark.usefixtures("short_wal")
def test_a_reader_that_stays_does_not_have_the_wal_grow_without_end(path: Path) -> None:
    with opened(path, max_bytes=1_000_000) as cache, closing(apsw.Connection(str(path))) as reader:
        store: Any = cache._store
        fill(cache, 0, 10)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM hitrate_entries").fetchall()
        number = 0

        def store_more() -> None:
            nonlocal number
            while number < 2_000:
                cache.set({key(number): ("x" * 3_000, None)})
                store._housekeeper.step()
                number += 1

        with pytest.raises(StoreError, match="keeps a read transaction open"):
            store_more()
        assert 500 <= wal_pages(cache) < 600
        pages = wal_pages(cache)
        with pytest.raises(StoreError):
            cache.set({key(1): (2, None), key(2): (2, None)})
        with pytest.raises(StoreError):
            cache.get_or_compute(key(9999), lambda: 1)
        assert store._housekeeper.step() is False
        assert wal_pages(cache) == pages
        # What removes goes on, and what is there is read.
        number -= 1
        assert cache.get([key(number)]) == {key(number): "x" * 3_000}
        cache.delete([key(number)])
        assert cache.get([key(number)]) == {}
        cache.clear()
        assert cache.stats().entries == 0
        reader.execute("COMMIT")
        store._housekeeper.step()
        cache.set({key(1): (1, None)})
        assert cache.get([key(1)]) == {key(1): 1}
        assert wal_pages(cache) < 100


@pytest.mark.usefixtures("short_wal")
def test_who_is_in_the_way_for_a_moment_each_time_is_no_reason_to_store_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitrate.stores.sqlite.checkpoints._WAL_BYTES_AT_LEAST", 180 * 4096)
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping._PATIENCE_SECONDS", 0.5)

    def begin(handle: Any, patience: float, usual_wait: Any) -> bool:
        return patience >= 0.5 and begin_anew(handle, patience, usual_wait)

    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping.fold_bulk", lambda handle, end_snapshots: None)
    monkeypatch.setattr("hitrate.stores.sqlite.housekeeping.begin_anew", begin)
    with opened(path, max_bytes=500_000) as cache:
        store: Any = cache._store
        for number in range(150):
            cache.set({key(number): ("x" * 3_000, None)})
            store._housekeeper.step()
            assert wal_pages(cache) < 400
        assert cache.get([key(149)]) == {key(149): "x" * 3_000}


@pytest.mark.usefixtures("short_wal")
def test_a_write_that_makes_the_wal_long_is_no_reason_to_store_nothing(path: Path) -> None:
    with opened(path, max_bytes=10_000_000) as cache:
        for turn in range(3):
            cache.set({key(number): ("x" * 3_000, None) for number in range(3_000)})
            assert wal_pages(cache) > 500
            cache.set({key(turn): (turn, None)})
        assert cache.get([key(2)]) == {key(2): 2}
