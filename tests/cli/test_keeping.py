"""``hitrate check`` and ``compact``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cli.conftest import Command
from hitrate import SqliteCache

URL = "sqlite:///c.db"


def damage(sql: str) -> None:
    con = sqlite3.connect("c.db")
    con.execute("PRAGMA writable_schema = ON")
    con.execute(sql)
    con.commit()
    con.close()


@pytest.fixture
def many() -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a", str(i % 3)), f"k{i}"): ("x" * i, None) for i in range(1000)})


def test_a_sound_file_is_in_order(hitrate: Command, many: None) -> None:
    assert hitrate("check", URL).out == "1000 entries, all in order\n"
    assert hitrate("check", URL, "--json").json == {"entries": 1000, "problems": []}


def test_what_was_cleared_and_waits_to_be_removed_is_in_order(hitrate: Command, many: None) -> None:
    with SqliteCache("c.db") as cache:
        cache.clear([("a", "1")])
        assert hitrate("check", URL).code == 0


@pytest.mark.parametrize(
    ("sql", "says", "lost"),
    [
        ("UPDATE hitrate_entries SET payload = x'c0' WHERE id = 7", "checksum", 1),
        ("UPDATE hitrate_entries SET expiry = 5e9 WHERE id IN (7, 300)", "checksum", 2),
        ("UPDATE hitrate_entries SET expiry = 'soon' WHERE id = 7", "type", 1),
        ("UPDATE hitrate_entries SET key = x'6b' WHERE id = 7", "key was damaged", 1),
        ("UPDATE hitrate_entries SET key = x'ff' WHERE id = 7", "key was damaged", 1),
        ("UPDATE hitrate_entries SET encoding = 'odd' WHERE id = 7", "checksum", 1),
        ("UPDATE hitrate_entries SET encoding = CAST(x'ff' AS TEXT) WHERE id = 7", "encoding", 1),
        ("UPDATE hitrate_entries SET checksum = 'x' WHERE id = 7", "checksum", 1),
        ("DELETE FROM hitrate_namespaces WHERE base = (SELECT max(base) FROM hitrate_namespaces)", "no namespace", 333),
        ("UPDATE hitrate_entries SET total_entries = 5 WHERE id = 1000", "says that it holds 5 entries", 0),
        ("DELETE FROM hitrate_entries WHERE id = 7", "says that it holds 1000 entries", 1),
    ],
)
def test_what_is_wrong_is_listed_and_put_right(hitrate: Command, many: None, sql: str, says: str, lost: int) -> None:
    damage(sql)
    before = Path("c.db").read_bytes()
    answer = hitrate("check", URL)
    assert answer.code == 1
    assert says in answer.out
    assert Path("c.db").read_bytes() == before
    assert hitrate("check", URL, "--repair").code == 0
    assert hitrate("check", URL).out == f"{1000 - lost} entries, all in order\n"


def test_an_index_that_lacks_a_row_is_made_anew(hitrate: Command, many: None) -> None:
    con = sqlite3.connect("c.db", isolation_level=None)
    con.execute("PRAGMA writable_schema = ON")
    (sql,) = con.execute("SELECT sql FROM sqlite_schema WHERE name = 'hitrate_slots'").fetchone()
    con.execute("UPDATE sqlite_schema SET sql = sql || ' WHERE slot % 2' WHERE name = 'hitrate_slots'")
    con.close()
    con = sqlite3.connect("c.db", isolation_level=None)
    con.execute("REINDEX hitrate_slots")
    con.execute("PRAGMA writable_schema = ON")
    con.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'hitrate_slots'", (sql,))
    con.close()
    answer = hitrate("check", URL)
    assert answer.code == 1
    assert "index hitrate_slots" in answer.out
    assert hitrate("check", URL, "--repair").code == 0
    assert hitrate("check", URL).out == "1000 entries, all in order\n"


def test_compacting_tells_before_and_after(hitrate: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), f"{i}"): ("x" * 10_000, None) for i in range(500)})
        cache.set({(("b",), f"{i}"): ("x" * 10_000, None) for i in range(5)})
        cache.clear([("a",)])
        told = hitrate("compact", URL, "--json").json
        assert told["before"] > 5_000_000
        assert told["after"] < 300_000
        assert cache.get([(("b",), "4")]) == {(("b",), "4"): "x" * 10_000}
    assert hitrate("check", URL).out == "5 entries, all in order\n"
