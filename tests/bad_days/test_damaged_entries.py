"""Rows changed behind the cache's back: a miss for that entry and no other, counted, and never a wrong value."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from bad_day_files import ask, assert_sound, key, store

from hitrate import SqliteCache
from hitrate.errors import DecodeError

BEFORE, KEY, AFTER = key("before"), key("é,%"), key("after")
ENTRIES = {BEFORE: ["before"], KEY: {"a": 1}, AFTER: ["after"]}
NEIGHBOURS = {BEFORE: ["before"], AFTER: ["after"]}
COLUMNS = ["id", "slot", "expiry", "seconds", "visited", "total_entries", "total_bytes"]
COLUMNS += ["checksum", "encoding", "key", "payload"]
ROW = "id = (SELECT min(id) + 1 FROM hitrate_entries)"


@pytest.fixture
def con(path: Path) -> Iterator[apsw.Connection]:
    """Another program's connection to a file with three entries, the second of which has a bad day."""
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        for full_key, value in ENTRIES.items():
            cache.set({full_key: (value, 1e6)})
            cache.get([full_key])
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    yield con
    con.close()


def assert_missed(path: Path, *, errors: int) -> None:
    """Check that the entry is a miss by every way of asking, and its neighbours are hits."""
    with SqliteCache[Any](path=path) as cache:
        assert cache.get(list(ENTRIES)) == NEIGHBOURS
        assert cache.stats().errors == errors
        assert cache.get([KEY]) == {}
        assert asyncio.run(cache.aget([KEY, AFTER])) == {AFTER: ["after"]}
        stats = cache.stats()
        assert (stats.hits, stats.misses, stats.errors) == (3, 3, 3 * errors)
    if not errors:
        return
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        for keys in ([KEY], list(ENTRIES)):
            with pytest.raises(DecodeError) as caught:
                cache.get(keys)
            assert repr(KEY[0]) in str(caught.value)
            assert repr(KEY[1]) in str(caught.value)
        assert cache.get(list(NEIGHBOURS)) == NEIGHBOURS
        cache.set({KEY: ("anew", None)})
        assert cache.get([KEY]) == {KEY: "anew"}


@pytest.mark.parametrize(
    "change",
    [
        "payload = x''",
        "payload = substr(payload, 1, length(payload) - 1)",
        "payload = substr(payload, 2)",
        "payload = CAST(payload || 'x' AS BLOB)",
        "payload = zeroblob(length(payload))",
        "payload = zeroblob(100000)",
        "payload = x'c0'",
        "payload = randomblob(length(payload))",
        "payload = 'text'",
        "payload = 0",
        "payload = 1.5",
        "checksum = 0",
        "checksum = -1",
        "checksum = -checksum",
        "checksum = 'text'",
        "checksum = 0.5",
        "checksum = zeroblob(8)",
        "encoding = 1",
        "encoding = 2",
        "encoding = 3",
        "encoding = 4",
        "encoding = 'pickle'",
        "encoding = 'str'",
        "encoding = -1",
        "encoding = 0.5",
        "encoding = x'00'",
        "encoding = ''",
        "expiry = NULL",
        "expiry = expiry + 1",
        "expiry = 9e999",
        "expiry = expiry + 1e-3",
        "payload = (SELECT payload FROM hitrate_entries ORDER BY id LIMIT 1)",
        "payload = (SELECT payload FROM hitrate_entries ORDER BY id DESC LIMIT 1)",
        "(payload, checksum) = (SELECT payload, checksum FROM hitrate_entries ORDER BY id LIMIT 1)",
        """(payload, checksum, encoding, expiry, seconds) =
            (SELECT payload, checksum, encoding, expiry, seconds FROM hitrate_entries ORDER BY id LIMIT 1)""",
    ],
)
def test_a_changed_row_is_a_miss_for_its_entry_alone(path: Path, con: apsw.Connection, change: str) -> None:
    con.execute(f"UPDATE hitrate_entries SET {change} WHERE {ROW}")
    assert_missed(path, errors=1)


@pytest.mark.parametrize(
    "change",
    [
        "key = x''",
        "key = CAST(key AS TEXT)",
        "slot = slot + 1",
        "slot = 0",
        "slot = -1",
        "slot = 'text'",
        "expiry = 0",
        "expiry = -9e999",
    ],
)
def test_a_row_moved_away_or_expired_is_a_plain_miss(path: Path, con: apsw.Connection, change: str) -> None:
    con.execute(f"UPDATE hitrate_entries SET {change} WHERE {ROW}")
    assert_missed(path, errors=0)


def test_rows_that_have_changed_places_entirely_are_misses(path: Path, con: apsw.Connection) -> None:
    """Each row takes the slot and key of the other, as if it had been stored under it."""
    first, second = con.execute("SELECT id, slot, key FROM hitrate_entries ORDER BY id LIMIT 2").fetchall()
    for row, (_, slot, name) in ((first[0], second), (second[0], first)):
        con.execute("UPDATE hitrate_entries SET slot = ?, key = ? WHERE id = ?", (slot, name, row))
    with SqliteCache[Any](path=path) as cache:
        assert cache.get(list(ENTRIES)) == {AFTER: ["after"]}
        assert cache.get([BEFORE]) == cache.get([KEY]) == {}
        assert cache.stats().errors == 4


def test_a_row_brought_from_another_namespace_or_another_file_is_a_miss(path: Path, con: apsw.Connection) -> None:
    other = path.with_name("other.db")
    store(other, {key("elsewhere"): 1, (("other",), KEY[1]): "theirs", KEY: "not theirs either"})
    con.execute("ATTACH ? AS other", (str(other),))
    con.execute(
        f"""UPDATE hitrate_entries SET (payload, checksum, encoding, expiry) = (
            SELECT payload, checksum, encoding, expiry FROM other.hitrate_entries WHERE id = 2) WHERE {ROW}"""
    )
    con.execute("DETACH other")
    assert_missed(path, errors=1)


def flipped(value: Any) -> Iterator[Any]:
    """Yield a value with each of its bits flipped in turn."""
    if isinstance(value, int):
        for bit in range(64):
            yield struct.unpack("<q", struct.pack("<Q", (value ^ (1 << bit)) & (2**64 - 1)))[0]
    elif isinstance(value, float):
        (bits,) = struct.unpack("<Q", struct.pack("<d", value))
        for bit in range(64):
            yield struct.unpack("<d", struct.pack("<Q", bits ^ (1 << bit)))[0]
    elif isinstance(value, bytes):
        for bit in range(8 * len(value)):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            yield bytes(changed)


@pytest.mark.parametrize("column", COLUMNS)
def test_no_flipped_bit_of_any_column_gives_a_wrong_value(path: Path, con: apsw.Connection, column: str) -> None:
    con.execute(f"UPDATE hitrate_entries SET seconds = 1.5 WHERE {ROW}")
    (row, value) = con.execute(f"SELECT id, {column} FROM hitrate_entries WHERE {ROW}").fetchall()[0]
    harmless = column in ("id", "seconds", "visited", "total_entries", "total_bytes")
    assert value is not None or harmless
    with SqliteCache[Any](path=path) as cache:
        for number, changed in enumerate(flipped(value)):
            try:
                con.execute(f"UPDATE hitrate_entries SET {column} = ? WHERE id = ?", (changed, row))
            except apsw.ConstraintError:  # NaN is NULL
                continue
            now = changed if column == "id" else row
            found = cache.get(list(ENTRIES)) if number % 2 else {**cache.get([KEY]), **cache.get(list(NEIGHBOURS))}
            assert found == (ENTRIES if harmless else NEIGHBOURS)
            con.execute(f"UPDATE hitrate_entries SET {column} = ? WHERE id = ?", (value, now))
        assert cache.get(list(ENTRIES)) == ENTRIES


def test_every_row_of_a_large_batch_may_be_damaged_but_one(path: Path) -> None:
    entries = {key(number, f"n{number % 7}"): [number] for number in range(500)}
    store(path, entries)
    ask(path, "UPDATE hitrate_entries SET payload = x'01' WHERE id != 250")
    with SqliteCache[Any](path=path) as cache:
        (found,) = cache.get(list(entries)).items()
        assert found[1] == entries[found[0]]
        stats = cache.stats()
        assert (stats.hits, stats.misses, stats.errors) == (1, 499, 499)


def test_a_damaged_entry_can_be_replaced_and_deleted(path: Path, con: apsw.Connection) -> None:
    con.execute("UPDATE hitrate_entries SET payload = x'01'")
    with SqliteCache[Any](path=path) as cache:
        assert cache.get(list(ENTRIES)) == {}
        cache.set({KEY: ("anew", None)})
        assert cache.get(list(ENTRIES)) == {KEY: "anew"}
        assert cache.delete(list(ENTRIES)) == 3
        assert cache.stats().entries == 0


@pytest.mark.parametrize(
    "change",
    [
        "expiry = 'text'",
        "expiry = x'00'",
        "encoding = CAST(x'ff' AS TEXT)",
        "payload = CAST(x'ff' AS TEXT)",
        "payload = CAST(payload AS TEXT)",
        "checksum = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_column_of_another_type_is_a_miss_for_its_entry_alone(path: Path, con: apsw.Connection, change: str) -> None:
    con.execute(f"UPDATE hitrate_entries SET {change} WHERE {ROW}")
    assert_missed(path, errors=1)


def test_a_row_brought_under_the_key_of_a_neighbour_leaves_that_alone(path: Path, con: apsw.Connection) -> None:
    con.execute(f"UPDATE hitrate_entries SET key = (SELECT key FROM hitrate_entries ORDER BY id LIMIT 1) WHERE {ROW}")
    assert_missed(path, errors=0)


@pytest.mark.parametrize("value", ["'text'", "x'00'", "CAST(x'ff' AS TEXT)", "9e999", "-1"])
def test_wrong_seconds_neither_fail_a_read_nor_spoil_the_sum(path: Path, con: apsw.Connection, value: str) -> None:
    con.execute(f"UPDATE hitrate_entries SET seconds = {value} WHERE {ROW}")
    with SqliteCache[Any](path=path) as cache:
        assert cache.get([KEY]) in ({}, {KEY: ENTRIES[KEY]})
        assert cache.get(list(ENTRIES)).items() >= NEIGHBOURS.items()
        assert 0 <= cache.stats().seconds_saved < 1e9


@pytest.mark.parametrize(
    "change",
    [
        "total_entries = 'x', total_bytes = 'y'",
        "total_entries = NULL",
        "total_bytes = NULL",
        "total_entries = -5",
        "total_bytes = -1",
        "total_entries = 1 << 62",
        "total_bytes = 1 << 62",
        "total_entries = 1.5",
        "total_bytes = CAST(x'ff' AS TEXT)",
        "total_entries = 0, total_bytes = 0",
    ],
)
def test_totals_that_cannot_be_are_counted_anew(path: Path, con: apsw.Connection, change: str) -> None:
    con.execute(f"UPDATE hitrate_entries SET {change} WHERE id = (SELECT max(id) FROM hitrate_entries)")
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        assert cache.stats().entries == 3
        assert cache.get(list(ENTRIES)) == ENTRIES
        for number in range(20):
            cache.set({key(number): (number, None)})
        cache.delete([key(19)])
        assert cache.get(list(ENTRIES)) == ENTRIES
        assert cache.stats().entries == 22
    assert_sound(path)


def test_the_newest_row_removed_by_somebody_else_does_not_cost_the_others(path: Path, con: apsw.Connection) -> None:
    con.execute("DELETE FROM hitrate_entries WHERE id = (SELECT max(id) FROM hitrate_entries)")
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({key("new"): (1, None)})
        assert cache.get(list(ENTRIES)) == {BEFORE: ENTRIES[BEFORE], KEY: ENTRIES[KEY]}
        assert cache.stats().entries == 3
    assert_sound(path)
