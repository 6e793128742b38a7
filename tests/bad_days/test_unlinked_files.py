"""A -wal or -shm that was removed while the file was open: seen, told, and begun anew; nothing comes back."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from bad_day_files import assert_sound, key, set_aside
from bad_day_processes import eventually, other, run

from hitrate import SqliteCache, StoreError
from hitrate.stores.sqlite import connections, snapshots

KEY, OLD = key("a"), key("old")


@pytest.fixture(autouse=True)
def looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(snapshots, "_LOOK_SECONDS", 0.0)


def unlink(path: Path, suffixes: list[str]) -> None:
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink()


def works(cache: SqliteCache[Any], number: Any) -> bool:
    value = next(number)
    cache.set({KEY: (value, None)})
    return cache.get([KEY]) == {KEY: value}


WHICH = [["-wal"], ["-shm"], ["-wal", "-shm"]]


@pytest.mark.parametrize("suffixes", WHICH, ids="".join)
def test_those_who_have_it_open_and_those_who_come_go_on_with_one_new_file(path: Path, suffixes: list[str]) -> None:
    with SqliteCache[Any](path=path) as one:
        one.set({OLD: ("old", None)})
        one.set({KEY: (-1, None)})
        one.delete([OLD])
        unlink(path, suffixes)
        with SqliteCache[Any](path=path) as two:
            numbers = count()
            for cache in (two, one, two):
                eventually(partial(works, cache, numbers))
            for number, cache in enumerate((one, two)):
                cache.set({KEY: (number, None)})
                assert one.get([KEY]) == two.get([KEY]) == {KEY: number}
            assert one.get([OLD]) == two.get([OLD]) == {}, "what was deleted came back"
            assert one.stats().errors + two.stats().errors < 8
    assert_sound(path)


@pytest.mark.parametrize("suffixes", WHICH, ids="".join)
def test_so_do_other_processes(path: Path, suffixes: list[str]) -> None:
    with other("keep_setting", path) as process:
        assert process.line() == "set"
        unlink(path, suffixes)
        with SqliteCache[Any](path=path) as cache:
            numbers = count()
            eventually(partial(works, cache, numbers))
            process.tell("go on")
            assert process.line() == "works"
            eventually(lambda: works(cache, numbers))
            assert cache.get([key("theirs")]) == {key("theirs"): "works"}
        process.tell("end")
        process.end()
    assert_sound(path)


@pytest.mark.parametrize("suffixes", WHICH, ids="".join)
def test_a_reader_that_never_writes_sees_it(path: Path, suffixes: list[str]) -> None:
    with SqliteCache[Any](path=path) as cache:
        cache.set({KEY: (1, None)})
        for _ in range(50):
            assert cache.get([KEY]) == {KEY: 1}
        unlink(path, suffixes)
        eventually(lambda: cache.get([KEY]) == {})


@pytest.mark.parametrize("near_bytes", [0, 8_000_000])
def test_a_reader_that_never_rests_sees_that_the_file_was_replaced(
    path: Path, near_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps one read transaction open, which goes on showing the file as it was, and which nobody else ends."""
    monkeypatch.setattr(connections.Connections, "end_snapshots", lambda _: True)
    with SqliteCache[Any](path=path.with_name("new.db")) as new:
        new.set({KEY: ("new", None)})
    with SqliteCache[Any](path=path, near_bytes=near_bytes) as cache:
        cache.set({KEY: ("old", None)})
        for _ in range(100):
            assert cache.get([KEY]) == {KEY: "old"}
        path.with_name("new.db").replace(path)
        unlink(path, ["-wal", "-shm"])
        assert any(cache.get([KEY]) == {KEY: "new"} for _ in range(20_000))


@pytest.mark.parametrize("suffixes", WHICH, ids="".join)
def test_on_error_raise_says_what_happened(path: Path, suffixes: list[str]) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as one:
        one.set({KEY: (1, None)})
        unlink(path, suffixes)
        with pytest.raises(StoreError, match="-wal is not the one that others have open"):
            SqliteCache[Any](path=path, on_error="raise")
        with pytest.raises(StoreError, match="-wal"):
            one.set({KEY: (2, None)})
    assert set_aside(path) == []


def test_a_file_that_lost_its_wal_to_nobody_is_used_as_it_is(path: Path) -> None:
    """A process that was killed leaves a -wal and a -shm; without a living one that has them open, nothing is told."""
    run("leave_a_wal", path)
    assert path.with_name("cache.db-wal").exists()
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        assert cache.get([KEY]) == {KEY: 1}
    assert set_aside(path) == []


def test_many_who_come_and_go_never_take_a_right_wal_for_anothers(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        for number in range(200):
            cache.set({key(number): ("x" * 3000, None)})
            if number % 20 == 0:
                cache._store._housekeeper.fold()  # type: ignore[attr-defined]
            with SqliteCache[Any](path=path, on_error="raise") as another:
                assert another.get([key(number)])
    assert set_aside(path) == []
