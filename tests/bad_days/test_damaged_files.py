"""Files that are no database, cut short or overwritten, closed or in use: misses, never a wrong value."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from bad_day_files import Vandal, ask, assert_sound, contents, key, set_aside, store
from bad_day_processes import eventually

from hitrate import SqliteCache
from hitrate.errors import StoreError

KEY = key("fresh")
ENTRIES = contents(60)
PAGE = 4096


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as it was before its bad day."""
    path = tmp_path_factory.mktemp("good") / "cache.db"
    store(path, ENTRIES)
    return path


def assert_only_right_values(cache: SqliteCache[Any], entries: dict[Any, Any] = ENTRIES) -> int:
    """Read everything in one call and one by one; return how much was found."""
    found = cache.get(list(entries))
    for full_key, value in found.items():
        assert value == entries[full_key]
    for full_key, value in entries.items():
        assert cache.get([full_key]) in ({}, {full_key: value})
    return len(found)


def assert_works(cache: SqliteCache[Any]) -> None:
    """Check that a cache stores again, if need be after finding the damage and dropping a write or two."""
    for attempt in range(4):
        cache.set({KEY: (attempt, None), key("beside"): (attempt, None)})
        if cache.get([KEY, key("beside")]) == {KEY: attempt, key("beside"): attempt}:
            return
    raise AssertionError("it does not recover")


def lines_about(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


NO_DATABASE = {
    "a text": b"Shopping list: milk, bread, cheese.\n" * 40,
    "a line": b"hello",
    "zeros": bytes(8192),
    "noise": random.Random(1).randbytes(20_000),
    "the beginning of the header": b"SQLite format 3\0",
    "a header and noise": b"SQLite format 3\0" + random.Random(2).randbytes(9000),
    "another kind of file": b"\x7fELF" + bytes(5000),
}


@pytest.mark.parametrize("what", NO_DATABASE)
def test_a_file_that_is_no_database_is_set_aside_and_a_fresh_one_works_at_once(
    path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(NO_DATABASE[what])
    with caplog.at_level(logging.DEBUG, "hitrate"), SqliteCache(path=path) as cache:
        cache.set({KEY: ("stored", None)})
        assert cache.get([KEY]) == {KEY: "stored"}
        assert cache.stats().errors == 0
    assert [each.read_bytes() for each in set_aside(path)] == [NO_DATABASE[what]]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(set_aside(path)[0]) in caplog.text
    assert_sound(path)


@pytest.mark.parametrize("what", NO_DATABASE)
def test_a_file_that_is_no_database_is_raised_and_left_in_place_if_so_asked(path: Path, what: str) -> None:
    path.write_bytes(NO_DATABASE[what])
    with pytest.raises(StoreError, match=r"cache\.db is damaged"):
        SqliteCache(path=path, on_error="raise")
    assert path.read_bytes() == NO_DATABASE[what]
    assert set_aside(path) == []


def test_an_empty_file_is_a_new_cache(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.touch()
    with SqliteCache(path=path, on_error="raise") as cache:
        cache.set({KEY: (1, None)})
        assert cache.get([KEY]) == {KEY: 1}
    assert caplog.records == []
    assert set_aside(path) == []


def test_a_file_cut_short_anywhere_gives_no_wrong_value_and_is_replaced(good: Path, path: Path) -> None:
    size = good.stat().st_size
    rng = random.Random(3)
    cuts = [15, 16, 18, 50, 99, 100, 101, 511, 512, PAGE - 1, PAGE, PAGE + 1, size // 2 // PAGE * PAGE, size - PAGE]
    cuts += [size - 1, *(rng.randrange(size) for _ in range(12))]
    for cut in cuts:
        shutil.copyfile(good, path)
        with path.open("rb+") as file:
            file.truncate(cut)
        with SqliteCache(path=path) as cache:
            assert_only_right_values(cache)
            assert_works(cache)
            assert_only_right_values(cache)
        assert_sound(path)
        assert cut > size - PAGE or len(set_aside(path)) == 1
        for each in path.parent.iterdir():
            each.unlink()


def overwrite(path: Path, rng: random.Random, vandal: Vandal) -> None:
    """Put noise over a few places: a byte, a run of bytes, half a page, a page."""
    size = path.stat().st_size
    for _ in range(rng.choice([1, 2, 8])):
        length = rng.choice([1, 1, 16, 512, PAGE // 2, PAGE])
        offset = rng.randrange(size)
        if length >= PAGE // 2:
            offset -= offset % length
        vandal.write(path, offset, rng.choice([rng.randbytes(length), bytes(length), b"\xff" * length]))


@pytest.mark.parametrize("seed", range(30))
def test_noise_over_a_closed_file_gives_no_wrong_value(good: Path, path: Path, vandal: Vandal, seed: int) -> None:
    shutil.copyfile(good, path)
    overwrite(path, random.Random(seed), vandal)
    vandal.leave()
    with SqliteCache(path=path) as cache:
        assert_only_right_values(cache)
        cache.stats()
        asyncio.run(cache.aget(list(ENTRIES)))
        assert_works(cache)
        cache.delete([*list(ENTRIES)[::7], KEY])
        cache.clear([("n1",)])
        assert_works(cache)
        assert_only_right_values(cache)


@pytest.mark.parametrize("seed", range(10))
def test_noise_over_a_closed_file_raises_only_what_on_error_names(
    good: Path, path: Path, vandal: Vandal, seed: int
) -> None:
    shutil.copyfile(good, path)
    overwrite(path, random.Random(seed), vandal)
    vandal.leave()
    # A DecodeError is a ValueError; so is what tells of the mark of another program.
    with suppress(StoreError, ValueError), SqliteCache[Any](path=path, on_error="raise") as cache:
        assert cache.get(list(ENTRIES)).items() <= ENTRIES.items()
        cache.set({KEY: (1, None)})
        cache.stats()
    assert path.exists()
    assert set_aside(path) == []


@pytest.mark.parametrize("seed", range(20))
def test_noise_over_a_file_in_use_gives_no_wrong_value(path: Path, vandal: Vandal, seed: int) -> None:
    rng = random.Random(seed)
    entries = contents(40, seed)
    store(path, dict(list(entries.items())[:20]))
    with SqliteCache(path=path) as one, SqliteCache(path=path) as two:
        for full_key, value in list(entries.items())[20:]:
            one.set({full_key: (value, None)})
        assert_only_right_values(one, entries)
        for file in rng.choice([[path], [path.with_name("cache.db-wal")], [path, path.with_name("cache.db-wal")]]):
            overwrite(file, rng, vandal)
        with SqliteCache(path=path) as three:
            for cache in (three, two, one):
                assert_only_right_values(cache, entries)
                assert_works(cache)
                assert_only_right_values(cache, entries)
                cache.stats()


@pytest.mark.parametrize("size", [0, 10, 100, PAGE, 3 * PAGE])
def test_a_file_cut_short_while_in_use_gives_no_wrong_value(path: Path, vandal: Vandal, size: int) -> None:
    store(path, ENTRIES)
    with SqliteCache(path=path) as cache:
        cache.get(list(ENTRIES))
        vandal.truncate(path, size)
        with SqliteCache(path=path) as other:
            for each in (other, cache):
                assert_only_right_values(each)
                assert_works(each)
                assert_only_right_values(each)


def test_damage_found_while_open_is_raised_if_so_asked_and_the_file_stays(path: Path, vandal: Vandal) -> None:
    store(path, ENTRIES)
    with SqliteCache(path=path, on_error="raise") as cache:
        vandal.write(path, 0, b"no database" * 2000)
        with pytest.raises(StoreError):
            SqliteCache(path=path, on_error="raise")
        cache._store._connections.idle.clear()  # type: ignore[attr-defined]  # as for a thread that needs its own
        with pytest.raises(StoreError):
            cache.get(list(ENTRIES))
        with pytest.raises(StoreError):
            cache.set({KEY: (1, None)})
    assert path.exists()
    assert set_aside(path) == []


def test_tables_dropped_by_another_program_are_made_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store(path, ENTRIES)
    with SqliteCache(path=path) as cache:
        ask(path, "DROP TABLE hitrate_entries")
        assert cache.get([next(iter(ENTRIES))]) == {}
        assert_works(cache)
    assert len(set_aside(path)) == 1
    assert len(lines_about(caplog, "a new file is started")) == 1


def set_and_count_errors(cache: SqliteCache[Any], number: Iterator[int]) -> int:
    cache.set({key("new"): (next(number), None)})
    return cache.stats().errors


def test_all_users_of_a_damaged_file_go_on_with_the_same_new_one(path: Path, vandal: Vandal) -> None:
    store(path, ENTRIES)
    caches = [SqliteCache[Any](path=path) for _ in range(3)]
    for cache in caches:
        cache.get(list(ENTRIES))
    vandal.write(path, 0, b"no database" * 2000)
    caches.append(SqliteCache(path=path))  # finds the damage; the others have what they need of the old file in memory
    for cache in caches[:-1]:
        eventually(partial(set_and_count_errors, cache, count()))
    for number, cache in enumerate(caches):
        cache.set({KEY: (number, None)})
        for other in caches:
            assert other.get([KEY]) == {KEY: number}
        assert len(set_aside(path)) == 1
    for cache in caches:
        cache.close()
    assert_sound(path)


@pytest.mark.parametrize("suffixes", [["", "-wal", "-shm"], [""]])
def test_a_file_removed_while_in_use_is_started_anew(path: Path, suffixes: list[str]) -> None:
    with SqliteCache(path=path) as cache:
        cache.set({key("old"): ("old", None)})
        for suffix in suffixes:
            path.with_name(path.name + suffix).unlink()
        with SqliteCache(path=path) as other:
            eventually(partial(set_and_count_errors, cache, count()))
            cache.set({KEY: ("new", None)})
            assert other.get([KEY]) == {KEY: "new"}
            assert cache.get([key("old")]) == other.get([key("old")]) == {}
        assert_works(cache)
        assert 0 < cache.stats().errors < 5
    assert_sound(path)


def test_a_folder_removed_while_in_use_makes_misses_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "cache.db"
    with SqliteCache(path=path) as cache:
        cache.set({KEY: (1, None)})
        shutil.rmtree(path.parent)
        eventually(partial(set_and_count_errors, cache, count()))
        assert cache.get([KEY]) == {}
        path.parent.mkdir()
        assert_works(cache)
