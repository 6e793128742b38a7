"""The tables: made once however many come at once, told from another program's, and never formatted from a name."""

from __future__ import annotations

from typing import Any

import pytest
from postgres_children import in_processes, open_and_use
from postgres_days import KEY, ask

from hitrate import PostgresCache
from hitrate.errors import NewerFormatError, StoreError
from hitrate.stores.postgres import schema
from servers.shared import PATIENT

COMPANIONS = ["_namespaces", "_counts", "_cleared", "_visited", "_state", "_leases"]


def test_eight_processes_make_the_tables_at_once(postgres_url: str, table: str) -> None:
    tables = [f"{table}_{number}" for number in range(4)]
    assert in_processes(8, open_and_use, postgres_url, tables) == [0] * 8
    for name in tables:
        with PostgresCache[Any](postgres_url, table=name, on_error="raise", **PATIENT) as cache:
            keys = [(("opened",), str(number)) for number in range(8)]
            assert cache.get(keys) == {key: int(key[1]) for key in keys}


@pytest.mark.parametrize(
    "name",
    ['quo"te', "semi; DROP TABLE x --", "Ünïcode 中文", "two  spaces\tand a tab", "%s {0} $1", "UPPER", "select"],
)
def test_a_table_may_have_any_name(postgres_url: str, table: str, name: str) -> None:
    with PostgresCache[Any](postgres_url, table=f"{table}{name}", on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", 60)})
        assert cache.get([KEY]) == {KEY: "value"}
        assert cache.stats().entries == 1
        cache.clear()
    assert ask(postgres_url, "SELECT count(*) FROM pg_class WHERE relname = %s", f"{table}{name}") == [(1,)]


def test_a_table_may_be_in_a_schema(postgres_url: str, table: str) -> None:
    ask(postgres_url, f'CREATE SCHEMA "{table}"')
    try:
        with PostgresCache[Any](postgres_url, table=f"{table}.cache", on_error="raise", **PATIENT) as cache:
            cache.set({KEY: ("value", None)})
            assert cache.get([KEY]) == {KEY: "value"}
        assert ask(postgres_url, f'SELECT count(*) FROM "{table}".cache') == [(1,)]
    finally:
        ask(postgres_url, f'DROP SCHEMA "{table}" CASCADE')


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a.b.c", "n" * 53, "é" * 27, "a\x00b", "a\ud800"])
def test_a_name_that_cannot_be_is_refused(postgres_url: str, name: str) -> None:
    with pytest.raises(ValueError, match="table"):
        PostgresCache(postgres_url, table=name)


def test_a_name_that_is_no_text_is_refused(postgres_url: str) -> None:
    wrong: Any = b"name"
    with pytest.raises(TypeError, match="table"):
        PostgresCache(postgres_url, table=wrong)


@pytest.mark.parametrize("suffix", ["", *COMPANIONS])
@pytest.mark.parametrize("kind", ["TABLE {} (id int)", "VIEW {} AS SELECT 1 AS id", "SEQUENCE {}"])
def test_what_another_program_made_is_refused_and_left_alone(
    postgres_url: str, table: str, suffix: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    ask(postgres_url, f"CREATE {kind.format(table + suffix)}")
    before = relations(postgres_url, table)
    try:
        with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
            for call in (lambda: cache.get([KEY]), lambda: cache.set({KEY: (1, None)}), cache.clear):
                with pytest.raises(StoreError, match=r"another program|missing"):
                    call()
        with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
            cache.set({KEY: (1, None)})
            assert cache.get([KEY]) == {}  # without asking: what a dropped write was to replace is not served
            assert cache.stats().errors == 2
        assert table in caplog.text
        assert relations(postgres_url, table) == before
    finally:
        ask(postgres_url, f"DROP {kind.split()[0]} {table + suffix}")


def relations(url: str, table: str) -> list[Any]:
    return ask(url, "SELECT relname, relkind FROM pg_class WHERE starts_with(relname, %s) ORDER BY 1", table)


def test_tables_of_a_newer_hitrate_are_refused_and_left_alone(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
    for name in [table, *(table + suffix for suffix in COMPANIONS)]:
        ask(postgres_url, f"COMMENT ON TABLE {name} IS 'hitrate cache, format 3'")
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        with pytest.raises(NewerFormatError, match="format 3"):
            cache.get([KEY])
        with pytest.raises(StoreError, match="format 3"):
            cache.set({KEY: ("new", None)})
    with PostgresCache[Any](postgres_url, table=table, **PATIENT) as cache:
        assert cache.get([KEY]) == {}
    assert ask(postgres_url, f"SELECT count(*) FROM {table}") == [(1,)]


def test_tables_of_an_older_format_are_brought_to_this_one(
    postgres_url: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
    monkeypatch.setattr(schema, "FORMAT", 4)
    monkeypatch.setattr(
        schema, "MIGRATIONS", {2: ("ALTER TABLE {entries} ADD one int",), 3: ("ALTER TABLE {entries} ADD two int",)}
    )
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        assert cache.get([KEY]) == {KEY: "value"}
    assert ask(postgres_url, f"SELECT one, two FROM {table}") == [(None, None)]
    assert ask(postgres_url, "SELECT obj_description(%s::regclass)", f"{table}_state") == [("hitrate cache, format 4",)]


def test_tables_that_are_dropped_are_made_again(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        names = ", ".join([table, *(table + suffix for suffix in COMPANIONS)])
        ask(postgres_url, f"DROP TABLE {names}")
        assert cache.get([KEY]) == {}
        cache.set({KEY: ("anew", None)})
        assert cache.get([KEY]) == {KEY: "anew"}


def test_one_table_that_is_dropped_is_told(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        ask(postgres_url, f"DROP TABLE {table}_namespaces")
        with pytest.raises(StoreError, match=r"missing.*_namespaces"):
            cache.get([KEY])


@pytest.mark.parametrize(("durability", "persistence"), [("normal", "u"), ("full", "p")])
def test_tables_are_unlogged_unless_durability_is_full(
    postgres_url: str, table: str, durability: Any, persistence: str
) -> None:
    with PostgresCache[Any](postgres_url, table=table, durability=durability, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
        assert cache.get([KEY]) == {KEY: "value"}
    kinds = ask(
        postgres_url,
        """SELECT DISTINCT relpersistence::text FROM pg_class
            WHERE starts_with(relname, %s) AND NOT starts_with(relname, %s)""",
        *(table, f"{table}_lifetime"),  # the counters are logged in any case
    )
    assert kinds == [(persistence,)]


def test_durability_full_on_unlogged_tables_is_told(
    postgres_url: str, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", None)})
    with PostgresCache[Any](postgres_url, table=table, durability="full", on_error="raise", **PATIENT) as cache:
        assert cache.get([KEY]) == {KEY: "value"}
    assert "UNLOGGED" in caplog.text


def test_another_durability_is_refused(postgres_url: str) -> None:
    wrong: Any = "none"
    with pytest.raises(ValueError, match="durability"):
        PostgresCache(postgres_url, durability=wrong)


@pytest.mark.parametrize("wrong", [None, 7, b"postgresql://", object()])
def test_what_is_neither_a_conninfo_nor_a_pool_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="conninfo_or_pool"):
        PostgresCache(wrong)


@pytest.mark.parametrize("wrong", ["no conninfo", "host=a nonsense=b", "postgresql+psycopg://localhost/x"])
def test_a_conninfo_that_cannot_be_understood_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="conninfo"):
        PostgresCache(wrong)


@pytest.mark.parametrize("option", ["timeout", "connect_timeout", "max_connections"])
@pytest.mark.parametrize("wrong", [0, -1, "5", None, True])
def test_an_option_that_cannot_be_is_refused(option: str, wrong: Any) -> None:
    options: dict[str, Any] = {option: wrong}
    with pytest.raises((TypeError, ValueError), match=option):
        PostgresCache("", **options)
