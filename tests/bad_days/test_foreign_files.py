"""Files of a newer hitrate, of other programs, of LangGraph's own cache, and files that pretend to be ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from bad_day_files import ask, assert_sound, contents, key, raw, set_aside, store
from langgraph.cache.sqlite import SqliteCache as LangGraphCache

from hitrate import SqliteCache
from hitrate.errors import HitrateError, NewerFormatError, StoreError
from hitrate.stores.sqlite.schema import APPLICATION_ID, FORMAT

KEY = key("a")
ENTRIES = contents(12)


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.endswith("-shm")}


@pytest.mark.parametrize("on_error", ["miss", "raise"])
@pytest.mark.parametrize("newer", [1, 2, 1000])
def test_a_file_of_a_newer_version_is_a_clear_error_and_left_untouched(path: Path, on_error: Any, newer: int) -> None:
    store(path, ENTRIES)
    ask(path, f"PRAGMA user_version = {FORMAT + newer}")
    before = all_bytes(path.parent)
    with pytest.raises(NewerFormatError, match=rf"cache\.db has format {FORMAT + newer}.*newer hitrate"):
        SqliteCache(path=path, on_error=on_error)
    assert issubclass(NewerFormatError, HitrateError)
    assert all_bytes(path.parent) == before


@pytest.fixture
def left_in_the_log(path: Path) -> Callable[[str], None]:
    """Executes statements whose outcome stays in the -wal file, as after a kill of who wrote them."""

    def leave(sql: str) -> None:
        con = apsw.Connection(str(path))
        con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        con.pragma("journal_mode", "wal")
        con.execute(sql)
        con.close()
        assert path.with_name("cache.db-wal").stat().st_size > 0

    return leave


def test_a_newer_file_is_untouched_even_if_its_latest_writes_are_in_its_log(
    path: Path, left_in_the_log: Callable[[str], None]
) -> None:
    store(path, ENTRIES)
    left_in_the_log(f"PRAGMA user_version = {FORMAT + 1}")
    before = all_bytes(path.parent)
    with pytest.raises(NewerFormatError):
        SqliteCache(path=path)
    assert all_bytes(path.parent) == before


@pytest.mark.parametrize("on_error", ["miss", "raise"])
@pytest.mark.parametrize(
    "mark",
    [
        "PRAGMA application_id = 0x0f055112",
        "PRAGMA application_id = -1",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 7",
        f"PRAGMA application_id = {APPLICATION_ID + 1}; PRAGMA user_version = {FORMAT}",
    ],
)
def test_the_database_of_another_program_is_refused_and_left_untouched(
    path: Path, mark: str, on_error: Any, left_in_the_log: Callable[[str], None]
) -> None:
    with raw(path) as con:
        con.execute(f"{mark}; CREATE TABLE precious (a); INSERT INTO precious VALUES (1)")
    before = all_bytes(path.parent)
    with pytest.raises(ValueError, match=r"cache\.db is the database of another program"):
        SqliteCache(path=path, on_error=on_error)
    assert all_bytes(path.parent) == before
    left_in_the_log("INSERT INTO precious VALUES (2)")
    before = all_bytes(path.parent)
    with pytest.raises(ValueError, match="another program"):
        SqliteCache(path=path, on_error=on_error)
    assert all_bytes(path.parent) == before


def test_a_file_that_turns_newer_while_open_is_left_untouched_by_new_connections(path: Path) -> None:
    store(path, ENTRIES)
    with SqliteCache(path=path) as cache:
        ask(path, f"PRAGMA user_version = {FORMAT + 1}")
        with pytest.raises(NewerFormatError):
            SqliteCache(path=path)
        cache.get([KEY])
    assert set_aside(path) == []
    assert ask(path, "PRAGMA user_version") == FORMAT + 1


HIDE = """DROP INDEX hitrate_slots; CREATE TRIGGER hitrate_slots AFTER INSERT ON hitrate_entries BEGIN {act}; END;
    CREATE INDEX hitrate_slots ON hitrate_entries (slot)"""
ACT = "UPDATE canary SET fired = fired + 1"
SEEN = [
    f"CREATE TRIGGER spy AFTER INSERT ON hitrate_entries BEGIN {ACT}; END",
    f"CREATE TRIGGER spy AFTER INSERT ON HITRATE_ENTRIES BEGIN {ACT}; END",
    f"CREATE TRIGGER hitrate_entries AFTER INSERT ON hitrate_entries BEGIN {ACT}; END",
    f"CREATE TRIGGER spy AFTER INSERT ON hitrate_namespaces BEGIN {ACT}; END",
    f"CREATE TRIGGER spy BEFORE DELETE ON hitrate_entries BEGIN {ACT}; SELECT RAISE(IGNORE); END",
    HIDE.format(act=ACT),
    "CREATE VIEW hitrate_more AS SELECT * FROM hitrate_entries",
    "CREATE VIEW Hitrate_more AS SELECT 1",
    "CREATE INDEX spy ON hitrate_entries (payload)",
    "CREATE UNIQUE INDEX spy ON hitrate_entries (checksum)",
    "DROP INDEX hitrate_slots",
    "DROP TABLE hitrate_cleared",
    "ALTER TABLE hitrate_entries ADD COLUMN more",
    "ALTER TABLE hitrate_entries RENAME COLUMN seconds TO minutes",
    "DROP TABLE hitrate_state; CREATE TABLE HITRATE_STATE (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "DROP TABLE hitrate_cleared; CREATE VIEW hitrate_cleared AS SELECT 0 AS first, 1 << 62 AS last",
    "DROP TABLE hitrate_cleared; CREATE TABLE hitrate_cleared (first INTEGER PRIMARY KEY, last INTEGER CHECK (last))",
]


def tamper(path: Path, sql: str) -> None:
    with raw(path) as con:
        con.execute("CREATE TABLE IF NOT EXISTS canary (fired); INSERT INTO canary SELECT 0")
        con.execute(sql)


def fired(path: Path) -> int:
    return int(ask(path, "SELECT sum(fired) FROM canary"))


def use_all(cache: SqliteCache[Any]) -> None:
    for number in range(3):
        cache.set({key(number, "x"): (number, None), key(number, "y"): (number, None)})
        cache.get([key(number, "x")])
        cache.delete([key(number, "x")])
        cache.clear([("y",)])
        cache.stats()
    cache.clear()


@pytest.mark.parametrize("sql", SEEN)
def test_a_file_with_other_definitions_under_our_names_is_not_trusted(path: Path, sql: str) -> None:
    store(path, ENTRIES)
    tamper(path, sql)
    with pytest.raises(StoreError, match="does not have hitrate's tables as hitrate makes them"):
        SqliteCache(path=path, on_error="raise")
    assert set_aside(path) == []
    with SqliteCache(path=path) as cache:
        assert cache.get(list(ENTRIES)) == {}
        use_all(cache)
        assert cache.stats().errors == 0
    (aside,) = set_aside(path)
    assert fired(aside) == 0
    assert_sound(path)


@pytest.mark.parametrize("sql", SEEN[:6])
def test_no_trigger_ever_fires_even_if_it_is_made_while_the_file_is_in_use(path: Path, sql: str) -> None:
    store(path, ENTRIES)
    with SqliteCache(path=path, on_error="raise") as cache:
        cache.get(list(ENTRIES))
        tamper(path, sql)
        use_all(cache)
    assert fired(path) == 0


def test_a_view_put_in_the_place_of_a_table_is_never_read(path: Path) -> None:
    store(path, ENTRIES)
    full_key = next(iter(ENTRIES))
    with SqliteCache(path=path) as cache:
        assert cache.get([full_key]) == {full_key: ENTRIES[full_key]}
        ask(path, "ALTER TABLE hitrate_entries RENAME TO stolen")
        ask(path, "CREATE VIEW hitrate_entries AS SELECT * FROM stolen")
        assert cache.get([full_key]) == {}
        cache.set({KEY: (1, None)})
        assert cache.get([KEY]) == {KEY: 1}
    assert len(set_aside(path)) == 1


def test_a_file_of_langgraphs_own_cache_is_left_to_it_and_worked_beside(path: Path) -> None:
    theirs: LangGraphCache[Any] = LangGraphCache(path=str(path))
    theirs.set({full_key: ({"theirs": value}, None) for full_key, value in ENTRIES.items()})
    stored = {full_key: {"theirs": value} for full_key, value in ENTRIES.items()}
    before = all_bytes(path.parent)
    full_key = next(iter(ENTRIES))
    with SqliteCache(path=path, on_error="raise") as ours:
        assert ours.get(list(ENTRIES)) == {}  # not one of theirs is taken for ours
        assert ours.stats().entries == 0
        ours.set({full_key: ("ours", None), KEY: ("ours", None)})
        assert ours.get(list(ENTRIES)) == {full_key: "ours"}
        assert theirs.get(list(ENTRIES)) == stored
        use_all(ours)
        ours.clear()
        now = all_bytes(path.parent)
        assert {name: now[name] for name in before} == before
        assert theirs.get(list(ENTRIES)) == stored
        theirs.set({key("later"): ("theirs", None)})
        assert ours.get([key("later")]) == {}
        asyncio.run(theirs.aset({key("async"): (1, None)}))
        ours.set({KEY: ("ours", None)})
    theirs._conn.close()
    assert set_aside(path) == []
    again: LangGraphCache[Any] = LangGraphCache(path=str(path))
    assert again.get(list(ENTRIES)) == stored
    again.clear()
    with SqliteCache(path=path, on_error="raise") as ours:
        assert ours.get([KEY]) == {KEY: "ours"}
        assert again.get([KEY]) == {}
    again._conn.close()


def test_langgraphs_own_cache_works_beside_ours(path: Path) -> None:
    store(path, ENTRIES)
    theirs: LangGraphCache[Any] = LangGraphCache(path=str(path))
    theirs.set({KEY: ("theirs", None)})
    theirs.clear([KEY[0]])
    assert theirs.get(list(ENTRIES)) == {}
    theirs.clear()
    theirs._conn.close()
    with SqliteCache(path=path, on_error="raise") as ours:
        assert ours.get(list(ENTRIES)) == ENTRIES


def test_the_unmarked_database_of_another_program_is_left_alone(path: Path) -> None:
    with raw(path) as con:
        con.execute("CREATE TABLE hit (a); INSERT INTO hit VALUES (1); CREATE TABLE hitrate_entries (a)")
    before = path.read_bytes()
    for _ in range(2):
        with SqliteCache(path=path, on_error="raise") as cache:
            use_all(cache)
    assert path.read_bytes() == before
