"""No write of a cache in a file pays for many: evictions, visited bits, cleared rows, checkpoints go in small steps."""

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from hitrate import SqliteCache
from hitrate.stores.sqlite.checkpoints import fold_bulk

NAMESPACE = ("namespace",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def key(number: int) -> Any:
    return NAMESPACE, str(number)


def opened(path: Path, **options: Any) -> SqliteCache[Any]:
    """A cache whose keeper does nothing by itself."""
    cache = SqliteCache[Any](path=path, on_error="raise", **options)
    cache._store._keeper.request = lambda: None  # type: ignore[attr-defined]
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
            before = cache._store._evictions  # type: ignore[attr-defined]
            cache.set({key(number): (number, None)})
            evictions += cache._store._evictions != before  # type: ignore[attr-defined]
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
            con.execute("UPDATE hitrate_entries SET visited = 1")
        assert changed_rows(cache, lambda: cache.set({key(20_000): (0, None)})) < 1200
        assert cache.stats().entries <= 20_000


def test_rows_that_were_read_are_told_to_the_file_in_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitrate.stores.sqlite._SEEN_AT_MOST", 2000)
    monkeypatch.setattr("hitrate.stores.sqlite._SEEN_KEPT", 1000)
    with opened(path, max_entries=5000) as cache:
        fill(cache, 0, 5000)
        for start in range(0, 3000, 100):
            cache.get([key(number) for number in range(start, start + 100)])
        store: Any = cache._store
        steps = 0
        while store._keep():
            steps += 1
            assert visited(path) <= 256 * steps
        assert len(store._seen) <= 1000
        assert visited(path) == 3000 - len(store._seen)


def test_rows_that_were_read_are_forgotten_where_no_eviction_is_near(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitrate.stores.sqlite._SEEN_AT_MOST", 100)
    monkeypatch.setattr("hitrate.stores.sqlite._SEEN_KEPT", 50)
    with opened(path) as cache:
        fill(cache, 0, 200)
        cache.get([key(number) for number in range(200)])
        store: Any = cache._store
        assert store._keep() is False
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
        while store._keep():
            after = left()
            assert 0 <= before - after <= 256
            before = after
        assert left() == cache.stats().entries == 64


def test_a_step_ends_when_its_time_is_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as cache:
        fill(cache, 0, 3000)
        cache.clear()
        monkeypatch.setattr("hitrate.stores.sqlite.writing._STEP_SECONDS", 0)
        assert changed_rows(cache, cache._store._keep) < 64  # type: ignore[attr-defined]


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

        assert cache._store._use(pages_left) == 0  # type: ignore[attr-defined]


def test_a_checkpoint_that_a_reader_is_in_the_way_of_ends(path: Path) -> None:
    with opened(path) as cache, closing(apsw.Connection(str(path))) as reader:
        fill(cache, 0, 1000)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM hitrate_entries").fetchall()
        fill(cache, 1000, 3000)
        rounds: list[int] = []
        cache._store._use(fold_bulk, lambda: rounds.append(1))  # type: ignore[attr-defined]
        assert len(rounds) <= 2


def test_a_step_removes_the_rows_of_many_small_namespaces(tmp_path: Path) -> None:
    with SqliteCache[Any](path=tmp_path / "cache.db") as cache:
        store: Any = cache._store
        store._keep = lambda: False
        cache.set({((f"n{number}",), str(each)): (1, None) for number in range(40) for each in range(5)})
        cache.clear([(f"n{number}",) for number in range(40)])
        store._transact(lambda transaction: transaction.remove_cleared(256))
        left = store._use(lambda handle: handle.execute("SELECT count(*) FROM hitrate_entries").fetchall())
        assert left == [(0,)]
