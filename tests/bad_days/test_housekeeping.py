"""What is expired, cleared or overwritten really leaves the disk, in small steps and without being asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bad_day_files import assert_sound, key, rows
from bad_day_processes import eventually

from hitrate import SqliteCache
from hitrate.testing import Clock

MB = 1_000_000


def size(path: Path, suffix: str = "") -> int:
    return path.with_name(path.name + suffix).stat().st_size


def test_expired_entries_leave_the_file_after_a_bounded_number_of_writes(path: Path) -> None:
    clock = Clock()
    with SqliteCache[Any](path=path, clock=clock, on_error="raise") as cache:
        cache.set({key(number): (number, 10 + number % 7) for number in range(640)})
        cache.set({key("stays"): ("stays", None)})
        assert rows(path) == 641
        clock.advance(60)
        for number in range(100):
            cache.set({key("written"): (number, None)})
        assert rows(path) == 2
        stats = cache.stats()
        assert (stats.entries, stats.expirations) == (2, 640)
    assert_sound(path)


def test_expired_entries_leave_the_file_by_the_writes_of_another_process_too(path: Path) -> None:
    clock = Clock()
    with SqliteCache[Any](path=path, clock=clock, on_error="raise") as cache:
        cache.set({key(number): (number, 10) for number in range(300)})
    clock.advance(60)
    with SqliteCache[Any](path=path, clock=clock, on_error="raise") as cache:
        for number in range(100):
            cache.set({key("written"): (number, None)})
        assert rows(path) == 1
    assert_sound(path)


def test_cleared_entries_leave_the_file_without_being_asked_for(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({key(number, f"n{number % 4}"): (number, None) for number in range(4000)})
        cache.clear([("n1",)])
        assert cache.stats().entries == 3000
        eventually(lambda: rows(path) == 3000)
        cache.clear()
        assert cache.stats().entries == 0
        eventually(lambda: rows(path) == 0)
    assert_sound(path)


def test_what_a_killed_or_closed_process_has_not_cleared_yet_the_next_one_does(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({key(number): (number, None) for number in range(4000)})
        cache.clear()
    with SqliteCache[Any](path=path, on_error="raise"):
        eventually(lambda: rows(path) == 0)
    assert_sound(path)


def test_the_log_stays_bounded_and_is_used_again_under_many_writes(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        largest = 0
        for number in range(30_000):
            cache.set({key(number % 5000): (number, None)})
            if number % 500 == 0:
                largest = max(largest, size(path, "-wal"))
        assert largest < 100 * MB
        now = eventually(lambda: size(path, "-wal"))
        for number in range(3000):
            cache.set({key(number): (-number, None)})
        assert size(path, "-wal") <= max(now, 100 * MB)
        assert size(path) < 10 * MB
        assert rows(path) == 5000
    assert not path.with_name("cache.db-wal").exists()
    assert_sound(path)


def test_a_log_left_long_is_folded_in_by_the_next_process(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({key(number): ("x" * 1000, None) for number in range(3000)})
        assert size(path, "-wal") > 3 * MB
    assert not path.with_name("cache.db-wal").exists()
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        assert len(cache.get([key(number) for number in range(3000)])) == 3000


def test_namespaces_cleared_a_thousand_times_do_not_make_the_file_grow(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        early = 0
        for number in range(1000):
            cache.set({key(each, f"namespace {number}"): ("x" * 500, None) for each in range(5)})
            cache.clear([(f"namespace {number}",)] if number % 10 else None)
            if number == 200:
                eventually(lambda: rows(path) == 0)
                early = size(path)
        assert cache.stats().entries == 0
        eventually(lambda: rows(path) == 0)
        # A megabyte is kept free, beside the pages in use.
        eventually(lambda: size(path) <= max(2 * early, MB + MB // 4))
    assert_sound(path)


def test_overwriting_with_values_of_all_sizes_does_not_make_the_file_grow(path: Path) -> None:
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        for number in range(3000):
            cache.set({key(number % 20): ("x" * (number * 7919 % 20_000), None)})
    assert size(path) < 2 * MB
    assert_sound(path)
