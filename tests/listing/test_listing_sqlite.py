"""What a file tells of its entries, whoever wrote them: this hitrate, one that kept no times, or somebody else."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from hitrate import SqliteCache
from hitrate.stores.sqlite import idle, store
from hitrate.stores.sqlite.rows import times_of, write_columns
from hitrate.testing import Clock

NAMESPACE = ("n",)
A, B, C = ((NAMESPACE, name) for name in "abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def change(path: Path, statement: str, *values: Any) -> None:
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute(statement, values)
    con.close()


def told(path: Path, clock: Clock) -> list[tuple[str, float | None, float]]:
    with SqliteCache[Any](path=path, clock=clock, on_error="raise") as cache:
        return [(info.key, info.created, info.seconds) for info in cache.entries()]


def fill(path: Path, clock: Clock) -> None:
    with SqliteCache[Any](path=path, clock=clock) as cache:
        cache.set({A: ("a", None)})
        cache.get([B])
        clock.advance(2.5)
        cache.set({B: ("b", 60)})
        clock.advance(10)
        cache.set({C: ("c", None)})


def test_the_time_of_storing_and_the_seconds_that_it_took(path: Path) -> None:
    clock = Clock(1_800_000_000.25)
    fill(path, clock)
    assert told(path, clock) == [
        ("a", 1_800_000_000.25, 0.0),
        ("b", 1_800_000_002.75, 2.5),
        ("c", 1_800_000_012.75, 0.0),
    ]
    with SqliteCache[Any](path=path, clock=clock) as cache:
        assert cache.get([A, B, C]) == {A: "a", B: "b", C: "c"}
        assert cache.stats().seconds_saved == 2.5


@pytest.mark.parametrize("now", [-1e6, 2.0**32, 1e15])
def test_a_clock_far_off_leaves_the_time_unknown(path: Path, now: float) -> None:
    clock = Clock(now)
    fill(path, clock)
    assert told(path, clock) == [("a", None, 0.0), ("b", None, 2.5), ("c", None, 0.0)]


def test_what_an_older_hitrate_wrote_is_listed_without_a_time(path: Path) -> None:
    clock = Clock()
    fill(path, clock)
    # As it writes the column: NULL for seconds that are not known, else a number.
    change(path, "UPDATE hitrate_entries SET seconds = CASE key WHEN CAST('b' AS BLOB) THEN 2.5 END")
    assert told(path, clock) == [("a", None, 0.0), ("b", None, 2.5), ("c", None, 0.0)]
    with SqliteCache[Any](path=path, clock=clock) as cache:
        assert cache.get([A, B, C]) == {A: "a", B: "b", C: "c"}
        assert cache.stats().seconds_saved == 2.5
        cache.set({A: ("new", None)})
    assert told(path, clock) == [("b", None, 2.5), ("c", None, 0.0), ("a", clock(), 0.0)]


def test_times_in_whole_seconds_are_read(path: Path) -> None:
    """As the first hitrate that kept them wrote the column."""
    clock = Clock(1_800_000_000.25)
    fill(path, clock)
    for key, times in (b"a", struct.pack(">I", 1_800_000_000)), (b"b", struct.pack(">Id", 9, 2.5)):
        change(path, "UPDATE hitrate_entries SET seconds = ? WHERE key = ?", times, key)
    assert told(path, clock) == [("b", 9.0, 2.5), ("a", 1_800_000_000.0, 0.0), ("c", 1_800_000_012.75, 0.0)]
    with SqliteCache[Any](path=path, clock=clock) as cache:
        assert cache.get([A, B, C]) == {A: "a", B: "b", C: "c"}
        assert cache.stats().seconds_saved == 2.5


@pytest.mark.parametrize("now", [0.0, 1e-7, 1_795_643_480.6808696, 2.0**32 - 2.0**-20, 4e9 + 1 / 3])
def test_the_time_is_kept_to_the_last_bit(now: float) -> None:
    times = write_columns(0, ("msgpack", b"", None, 0.0), now)[1]
    created, _ = times_of(times)
    assert created is not None
    assert now - 2.0**-24 <= created <= now
    assert now < 2.0**30 or created == now


def test_an_older_hitrate_takes_the_times_for_not_known() -> None:
    """It reads a column that holds no number between 0 and a thousand million as 0.0, and the format is the same."""
    from hitrate.stores.sqlite import schema

    assert schema.FORMAT == 1
    assert "created" not in "".join(schema._TABLES.values())


@pytest.mark.parametrize(
    "times",
    [None, -1.0, 1e300, b"", b"abc", b"\x00" * 5, b"\xff" * 12, b"\xff" * 13, b"\x00" * 100_000, "text"],
    ids=lambda times: repr(times)[:20],
)
def test_times_of_any_bytes(path: Path, times: Any) -> None:
    clock = Clock()
    fill(path, clock)
    change(path, "UPDATE hitrate_entries SET seconds = ?", times)
    for _, created, seconds in told(path, clock):
        assert created is None or 0 <= created < 2**32
        assert 0 <= seconds < 1e9
    with SqliteCache[Any](path=path, clock=clock, on_error="raise") as cache:
        assert cache.get([A, B, C]) == {A: "a", B: "b", C: "c"}
        assert 0 <= cache.stats().seconds_saved < 1e9
    assert times_of(times)[1] == 0.0


@pytest.mark.parametrize("column", ["key", "payload", "expiry", "encoding", "checksum", "visited"])
@pytest.mark.parametrize("value", ["X'80FF'", "'text'", "CAST(X'80FF' AS TEXT)", "7", "1.5", "X''"])
def test_a_row_that_somebody_else_wrote_costs_no_other(path: Path, column: str, value: str) -> None:
    clock = Clock()
    fill(path, clock)
    change(path, f"UPDATE hitrate_entries SET {column} = {value} WHERE key = CAST('b' AS BLOB)")
    keys = [key for key, _, _ in told(path, clock)]
    assert [key for key in keys if key in "ac"] in (["a", "c"], ["", "a", "c"], ["a", "", "c"])


def test_a_namespace_that_somebody_else_wrote_is_passed_over(path: Path) -> None:
    clock = Clock()
    fill(path, clock)
    with SqliteCache[Any](path=path, clock=clock) as cache:
        cache.set({(("other",), "key"): (1, None)})
    for name in (b"\xff", b"\x05ab", b"\x80" * 1000, b"\x01\xff"):
        change(path, "UPDATE hitrate_namespaces SET name = ? WHERE name <> ?", name, b"\x01n")
        assert [key for key, _, _ in told(path, clock)] == ["a", "b", "c"]


def test_what_was_cleared_is_not_listed_before_it_is_removed(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        cache.set({((str(number % 3),), str(number)): (number, None) for number in range(9000)})
        cache.clear([("1",)])
        assert sum(1 for _ in cache.entries()) == 6000
        assert list(cache.entries(("1",))) == []
        cache.clear()
        assert list(cache.namespaces()) == []


def test_an_id_that_is_used_again_is_not_taken_for_what_it_was(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        for key in (A, B, C):
            cache.set({key: (1, None)})
        store = cache._store
        page = store.list_page(b"\x01n", None, 500)
        while not page.after.timed:
            page = store.list_page(b"\x01n", page.after, 500)
        cache.delete([C])
        cache.set({(("other",), "key"): (1, None)})
        names = {entry.name for entry in store.list_page(b"\x01n", page.after, 500).entries}
        assert names == {b"\x01n"}


def test_an_entry_takes_about_as_much_as_before(path: Path) -> None:
    with SqliteCache[Any](path=path) as cache:
        before = cache.stats().disk_bytes
        for start in range(0, 20_000, 1000):
            cache.set({(NAMESPACE, f"{number:032x}"): (b"", None) for number in range(start, start + 1000)})
        each = (cache.stats().disk_bytes - before) / 20_000
    size = path.stat().st_size / 20_000
    assert size < 85, (size, each)


def test_a_file_that_is_only_read_is_listed(path: Path) -> None:
    clock = Clock()
    fill(path, clock)
    with SqliteCache[Any](path=path, clock=clock, read_only=True, on_error="raise") as cache:
        assert [info.key for info in cache.entries()] == ["a", "b", "c"]
        assert repr(cache) == f"SqliteCache(path={str(path)!r}, read_only=True)"


def test_in_memory_who_waits_for_a_listing_goes_before_its_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads share one connection there, and whoever lets go of it would have it again first."""
    monkeypatch.setattr(idle, "_TURNS", 1 << 30)  # a thread may take longer to wake than it is waited for
    written: list[int] = []
    writers: list[threading.Thread] = []
    with SqliteCache[Any](path=":memory:") as cache:
        cache.set({(NAMESPACE, str(number)): (number, None) for number in range(5000)})
        connection: Any = cache._store._connections.idle  # type: ignore[attr-defined]
        step = store.page_of

        def slow_step(handle: Any, *args: Any) -> Any:
            """Last until somebody waits for the connection."""
            written.append(handle.execute("SELECT count(*) FROM hitrate_entries").fetchall()[0][0] - 5000)
            key = (NAMESPACE, f"new {len(writers)}")
            writers.append(threading.Thread(target=cache.set, args=({key: (0, None)},)))
            writers[-1].start()
            until = time.monotonic() + 30
            while not connection._waiting:
                assert time.monotonic() < until
            return step(handle, *args)

        monkeypatch.setattr(store, "page_of", slow_step)
        assert sum(1 for _ in cache.entries()) == 5000
        for writer in writers:
            writer.join()
    assert written == list(range(len(writers)))
