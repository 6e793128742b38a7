"""Rows changed behind the cache's back: a miss for that entry and no other, counted, and never a wrong value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from postgres_days import KEY, ask
from psycopg.adapt import Buffer, Loader

from hitrate import PostgresCache
from hitrate.errors import DecodeError
from servers.shared import PATIENT

BEFORE, AFTER = (("namespace",), "before"), (("another",), "after")
ENTRIES = {BEFORE: ["before"], KEY: {"a": 1}, AFTER: ["after"]}
NEIGHBOURS = {BEFORE: ["before"], AFTER: ["after"]}
ROW = f"key = '{KEY[1]}'"


@pytest.fixture
def filled(postgres_url: str, table: str) -> str:
    """A table with three entries, the second of which has a bad day."""
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({key: (value, 1e6) for key, value in ENTRIES.items()})
    return table


def assert_missed(url: str, table: str, *, errors: int) -> None:
    """Check that the entry is a miss by every way of asking, and its neighbours are hits."""
    with PostgresCache[Any](url, table=table, **PATIENT) as cache:
        assert cache.get(list(ENTRIES)) == NEIGHBOURS
        assert cache.get([BEFORE, KEY]) == {BEFORE: ["before"]}
        assert cache.get([KEY]) == {}
        assert asyncio.run(cache.aget([KEY, AFTER])) == {AFTER: ["after"]}
        assert cache.stats().errors == 4 * errors
    if not errors:
        return
    with PostgresCache[Any](url, table=table, on_error="raise", **PATIENT) as cache:
        for keys in ([KEY], list(ENTRIES)):
            with pytest.raises(DecodeError) as caught:
                cache.get(keys)
            assert repr(KEY[0]) in str(caught.value)
            assert repr(KEY[1]) in str(caught.value)
        assert cache.get(list(NEIGHBOURS)) == NEIGHBOURS
        cache.set({KEY: ("anew", None)})
        assert cache.get([KEY]) == {KEY: "anew"}


@pytest.mark.parametrize(
    "value",
    [
        "''",
        "'\\x09'",
        "'\\x00'",
        "'\\xff'",
        "'\\x11'",
        "substr(value, 1, length(value) - 1)",
        "substr(value, 2)",
        "value || '\\x00'",
        "set_byte(value, 0, 17)",
        "set_byte(value, 0, 20)",
        "set_byte(value, 0, 255)",
        "set_byte(value, 1, get_byte(value, 1) # 1)",
        "set_byte(value, 8, get_byte(value, 8) # 128)",
        "set_byte(value, 9, get_byte(value, 9) # 1)",
        "decode(repeat('ab', 5000), 'hex')",
        "(SELECT value FROM {table} WHERE key = 'before')",
        "(SELECT value FROM {table} WHERE key = 'after')",
        "'\\x80056b2e'",  # a pickle
    ],
)
def test_a_changed_value_is_a_miss_for_its_entry_alone(postgres_url: str, filled: str, value: str) -> None:
    ask(postgres_url, f"UPDATE {filled} SET value = {value.format(table=filled)} WHERE {ROW}")
    assert_missed(postgres_url, filled, errors=1)


@pytest.mark.parametrize("change", ["key = 'elsewhere'", "key = ''", "namespace = namespace + 100", "expiry = 0"])
def test_a_row_moved_away_or_expired_is_a_plain_miss(postgres_url: str, filled: str, change: str) -> None:
    ask(postgres_url, f"UPDATE {filled} SET {change} WHERE {ROW}")
    assert_missed(postgres_url, filled, errors=0)


@pytest.mark.parametrize("expiry", ["NULL", "'infinity'", "1e300"])
def test_an_expiry_that_is_far_is_no_error(postgres_url: str, filled: str, expiry: str) -> None:
    ask(postgres_url, f"UPDATE {filled} SET expiry = {expiry}")
    with PostgresCache[Any](postgres_url, table=filled, on_error="raise", **PATIENT) as cache:
        assert cache.get(list(ENTRIES)) == ENTRIES


def test_rows_that_have_changed_places_are_misses(postgres_url: str, filled: str) -> None:
    ask(
        postgres_url,
        f"""UPDATE {filled} AS a SET value = b.value FROM {filled} AS b
            WHERE (a.key, b.key) IN (('before', 'key'), ('key', 'before'))""",
    )
    with PostgresCache[Any](postgres_url, table=filled, **PATIENT) as cache:
        assert cache.get(list(ENTRIES)) == {AFTER: ["after"]}
        assert cache.stats().errors == 2


def test_namespaces_that_have_changed_places_are_misses(postgres_url: str, filled: str) -> None:
    """Each namespace has the other's number, as if its entries had been stored under it."""
    with PostgresCache[Any](postgres_url, table=filled, on_error="raise", **PATIENT) as cache:
        cache.set({(("namespace",), "same"): (1, None), (("another",), "same"): (2, None)})
    ((one, other),) = ask(postgres_url, f"SELECT min(id), max(id) FROM {filled}_namespaces")
    ask(postgres_url, f"UPDATE {filled} SET namespace = -namespace")
    ask(postgres_url, f"UPDATE {filled} SET namespace = {one} + {other} + namespace")
    with PostgresCache[Any](postgres_url, table=filled, **PATIENT) as cache:
        assert cache.get([*ENTRIES, (("namespace",), "same"), (("another",), "same")]) == {}
        assert cache.stats().errors == 2


def test_no_flipped_bit_gives_a_wrong_value(postgres_url: str, filled: str) -> None:
    ((value,),) = ask(postgres_url, f"SELECT value FROM {filled} WHERE {ROW}")
    with PostgresCache[Any](postgres_url, table=filled, **PATIENT) as cache:
        for bit in range(8 * len(value)):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            ask(postgres_url, f"UPDATE {filled} SET value = %s WHERE {ROW}", bytes(changed))
            assert cache.get(list(ENTRIES)) == NEIGHBOURS


def test_no_flipped_bit_gives_a_wrong_value_of_another_encoding(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
        cache.get([KEY])
        cache.set({KEY: (b"some bytes", None)})  # with an encoding, and seconds since the miss
        assert cache.get([KEY]) == {KEY: b"some bytes"}
        ((value,),) = ask(postgres_url, f"SELECT value FROM {table}")
        assert value[0] > 17
        for bit in range(8 * len(value)):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            ask(postgres_url, f"UPDATE {table} SET value = %s", bytes(changed))
            seconds = 72 <= bit < 136  # which no checksum covers
            assert cache.get([KEY]) == ({KEY: b"some bytes"} if seconds else {})
        assert 0 <= cache.stats().seconds_saved < 1e12


def test_every_row_of_a_large_batch_may_be_damaged_but_one(postgres_url: str, table: str) -> None:
    entries = {((f"n{number % 7}",), str(number)): [number] for number in range(500)}
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
        cache.set({key: (value, None) for key, value in entries.items()})
        ask(postgres_url, f"UPDATE {table} SET value = '\\x01' WHERE key != '250'")
        assert list(cache.get(list(entries)).values()) == [[250]]
        stats = cache.stats()
        assert (stats.hits, stats.misses, stats.errors) == (1, 499, 499)
        assert cache.delete(list(entries)) == 500
        assert cache.stats().entries == 0


def test_long_keys_and_namespaces_are_told_apart(postgres_url: str, table: str) -> None:
    long = ["k" * 63, "k" * 64, "k" * 65, "k" * 66, "k" * 70 + "a", "k" * 70 + "b", "\udcff" * 40, "é" * 33]
    keys = [((name,), key) for name in long for key in long]
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({key: (number, None) for number, key in enumerate(keys)})
        assert cache.get(keys) == {key: number for number, key in enumerate(keys)}
        cache.clear([(long[2],)])
        assert cache.get(keys) == {key: number for number, key in enumerate(keys) if key[0] != (long[2],)}


def test_a_batch_of_many_megabytes_is_whole(postgres_url: str, table: str) -> None:
    keys = [((f"n{number}",), str(number)) for number in range(12)]  # more bytes than go in one statement
    with PostgresCache[Any](postgres_url, table=table, timeout=30, on_error="raise") as cache:
        cache.set(dict.fromkeys(keys, (b"a" * 4_000_000, None)))
        assert {value[:1] for value in cache.get(keys).values()} == {b"a"}
        cache.set({key: (b"b" * 4_000_000, None if number else 0) for number, key in enumerate(keys)})
        assert list(cache.get(keys)) == keys[1:]
        assert {value[:1] for value in cache.get(keys).values()} == {b"b"}
        assert cache.stats().entries == 11


class UnusualLoader(Loader):
    """Reads a value as no other program would."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: Buffer) -> object:
        return ("read by the program", bytes(data))


@pytest.fixture
def program_with_loaders_of_its_own() -> Iterator[None]:
    """Has psycopg read the usual types in an unusual way, wherever this process uses it."""
    adapters, binary = psycopg.adapters, psycopg.pq.Format.BINARY
    usual = {
        name: adapters.get_loader(adapters.types[name].oid, binary) for name in ("bool", "bytea", "float8", "int8")
    }
    for name in usual:
        adapters.register_loader(name, UnusualLoader)
    yield
    for name, loader in usual.items():
        assert loader is not None
        adapters.register_loader(name, loader)


@pytest.mark.usefixtures("program_with_loaders_of_its_own")
def test_how_a_program_has_values_read_does_not_concern_the_cache(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({key: (value, 1e6) for key, value in ENTRIES.items()})
        assert cache.get([KEY]) == {KEY: ENTRIES[KEY]}
        assert cache.get(list(ENTRIES)) == ENTRIES
        assert cache.get_or_compute((BEFORE[0], "computed"), lambda: 5) == 5
        assert cache.delete([AFTER, KEY]) == 2
        assert cache.stats().entries == 2
        assert {entry.key for entry in cache.entries()} == {BEFORE[1], "computed"}
