"""Listing tables that this hitrate made, that an older one made, and that are somebody else's to change."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from postgres_days import ask

from hitrate import PostgresCache
from hitrate.testing import Clock

LONG = "a question of more than 64 bytes, as a key by its text is, and so one that a digest stands for"
KEYS = [(("n", "x" * 200), "short"), (("n",), LONG), (("m",), "é" * 33)]


def opened(url: str, table: str, **options: Any) -> PostgresCache[Any]:
    return PostgresCache(url, table=table, on_error="raise", **options)


def keys_of(cache: PostgresCache[Any]) -> list[Any]:
    return [(info.namespace, info.key) for info in cache.entries()]


def as_an_older_hitrate_made_it(url: str, table: str) -> None:
    with opened(url, table) as cache:
        cache.stats()
    ask(url, f'ALTER TABLE "{table}" DROP COLUMN created, DROP COLUMN long_key')


def test_long_keys_and_the_time_of_storing(postgres_url: str, table: str) -> None:
    clock = Clock()
    with opened(postgres_url, table, clock=clock) as cache:
        for key in KEYS:
            clock.advance(1.25)
            cache.set({key: ("value", None)})
        assert keys_of(cache) == KEYS
        assert [info.created for info in cache.entries()] == [clock() - 2.5, clock() - 1.25, clock()]
        clock.advance(1.25)
        cache.set({KEYS[0]: ("new", None)})
        assert [(info.key, info.created) for info in cache.entries()][-1] == (KEYS[0][1], clock())
        assert sum(info.bytes for info in cache.entries()) == cache.stats().bytes
        cache.delete(KEYS)
        assert cache.stats().bytes == 0, "what the long keys take was not taken back"


def test_the_servers_clock_tells_the_time_where_it_decides(postgres_url: str, table: str) -> None:
    with opened(postgres_url, table) as cache:
        the_time = "SELECT date_part('epoch', clock_timestamp())"
        ((before,),) = ask(postgres_url, the_time)
        cache.set({KEYS[0]: ("value", 600)})
        ((after,),) = ask(postgres_url, the_time)
        (info,) = cache.entries()
        assert info.created is not None
        assert before <= info.created <= after
        assert info.expires == pytest.approx(info.created + 600, abs=60)


def test_a_table_of_an_older_hitrate_gets_the_columns(postgres_url: str, table: str) -> None:
    as_an_older_hitrate_made_it(postgres_url, table)
    with opened(postgres_url, table) as cache:
        cache.set(dict.fromkeys(KEYS, ("value", None)))
        assert sorted(keys_of(cache)) == sorted(KEYS)
        assert None not in [info.created for info in cache.entries()]


def test_an_older_hitrate_shares_the_table(postgres_url: str, table: str) -> None:
    """It writes the columns that it knows, and the others are NULL: no time, and no key where there is a digest."""
    with opened(postgres_url, table) as cache:
        cache.set(dict.fromkeys(KEYS, ("value", None)))
        ask(postgres_url, f'UPDATE "{table}" SET created = NULL, long_key = NULL')
        assert keys_of(cache) == [KEYS[0]]
        assert next(cache.entries()).created is None
        assert len(cache.get(KEYS)) == 3
    assert ask(postgres_url, "SELECT obj_description(to_regclass(%s))", f'"{table}"') == [("hitrate cache, format 2",)]


def test_columns_that_went_while_it_was_open_come_back(postgres_url: str, table: str) -> None:
    with opened(postgres_url, table) as cache:
        cache.set({KEYS[0]: (1, None)})
        ask(postgres_url, f'ALTER TABLE "{table}" DROP COLUMN created, DROP COLUMN long_key')
        cache.set({KEYS[1]: (2, None)})
        assert keys_of(cache) == KEYS[:2]


def test_who_may_not_add_columns_goes_on_without(postgres_url: str, table: str) -> None:
    as_an_older_hitrate_made_it(postgres_url, table)
    role = f"{table}_writer"
    ask(postgres_url, f'CREATE ROLE "{role}" LOGIN')
    try:
        for name in ["", "_namespaces", "_counts", "_cleared", "_visited", "_state", "_leases"]:
            ask(postgres_url, f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}{name}" TO "{role}"')
        known = psycopg.conninfo.conninfo_to_dict(postgres_url)
        with opened(psycopg.conninfo.make_conninfo(**{**known, "user": role}), table) as cache:
            cache.set(dict.fromkeys(KEYS, ("value", None)))
            assert len(cache.get(KEYS)) == 3
            assert [(info.namespace, info.key, info.created) for info in cache.entries()] == [(*KEYS[0], None)]
            assert cache.get_or_compute((("n",), "computed"), lambda: 1, lease=5) == 1
            cache.clear()
            assert cache.stats().entries == 0
    finally:
        ask(postgres_url, f'DROP OWNED BY "{role}"')
        ask(postgres_url, f'DROP ROLE "{role}"')


def test_a_table_that_somebody_holds_is_used_without_waiting_for_it(postgres_url: str, table: str) -> None:
    as_an_older_hitrate_made_it(postgres_url, table)
    with psycopg.connect(postgres_url) as backup:
        backup.execute(f'LOCK TABLE "{table}" IN ACCESS SHARE MODE')
        with opened(postgres_url, table) as cache:
            cache.set({KEYS[0]: ("value", None)})
            assert cache.get([KEYS[0]]) == {KEYS[0]: "value"}
            assert [info.created for info in cache.entries()] == [None]


@pytest.mark.parametrize("name", ["it's", "back\\slash", "$$", "$hitrate$", "{0}", "%s"])
def test_columns_are_added_to_a_table_of_any_name(postgres_url: str, table: str, name: str) -> None:
    as_an_older_hitrate_made_it(postgres_url, f"{table}{name}")
    with opened(postgres_url, f"{table}{name}") as cache:
        cache.set({KEYS[1]: ("value", None)})
        assert keys_of(cache) == [KEYS[1]]
        cache.clear()


def test_leases_settle_long_keys(postgres_url: str, table: str) -> None:
    with opened(postgres_url, table) as cache:
        assert cache.get_or_compute(KEYS[1], lambda: "value", lease=5) == "value"
        assert keys_of(cache) == [KEYS[1]]
        assert sum(info.bytes for info in cache.entries()) == cache.stats().bytes


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_connection_that_is_lost_between_two_steps_costs_no_entry(postgres_url: str, table: str, step: int) -> None:
    keys = [(("n",), str(number)) for number in range(1500)]
    with opened(postgres_url, table) as cache:
        cache.set(dict.fromkeys(keys, ("value", None)))
        store = cache._store
        found, after = [], None
        for number in range(100):
            if number == step:
                ask(
                    postgres_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )
            page = store.list_page(b"", after, 500)
            found += [entry.key.decode() for entry in page.entries]
            after = page.after
            if after is None:
                break
        assert after is None
        assert sorted(found) == sorted(key for _, key in keys)
