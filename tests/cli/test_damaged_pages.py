"""Files of which some pages are damaged: what ``check``, ``export`` and the other commands say and do."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Command
from hitrate import SqliteCache
from hitrate.records import Record, records

URL = "sqlite:///c.db"
PAGE = 4096
ENTRIES = 600


@pytest.fixture
def filled() -> None:
    sizes = random.Random(1)
    with SqliteCache("c.db") as cache:
        cache.set({(("a", str(i % 3)), f"k{i}"): ("x" * sizes.randrange(2000), None) for i in range(ENTRIES)})


def spoil(*pages: int) -> None:
    """Overwrite pages, which are numbered from 1, with noise."""
    with Path("c.db").open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(random.Random(page).randbytes(PAGE))


def page_of(name: str) -> int:
    """The first page of a table or index."""
    con = sqlite3.connect("c.db")
    ((page,),) = con.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
    con.close()
    return int(page)


def pages() -> int:
    return Path("c.db").stat().st_size // PAGE


def content(path: str) -> set[tuple[str, bytes]]:
    with SqliteCache(path, read_only=True) as cache:
        return {(each.key, each.payload) for each in records(cache) if isinstance(each, Record)}


DAMAGE: dict[str, tuple[Callable[[], object], int]] = {
    "one page of entries": (lambda: spoil(pages() // 2), 12),
    "pages here and there": (lambda: spoil(*range(20, pages(), 30)), 60),
    "the index of slots": (lambda: spoil(page_of("hitrate_slots")), 0),
    "the table of namespaces": (lambda: spoil(page_of("hitrate_namespaces")), 0),
    "the index of namespaces": (lambda: spoil(page_of("hitrate_bases")), 0),
}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("options", [[], ["--zstd"]], ids=["plain", "zstd"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_can_be_read_is_exported_and_the_rest_is_told(hitrate: Command, damage: str, options: list[str]) -> None:
    before = content("c.db")
    spoil_it, lost_at_most = DAMAGE[damage]
    spoil_it()
    spoilt = Path("c.db").read_bytes()
    answer = hitrate("export", URL, "x.export", *options)
    assert answer.code == 4
    assert "what can be read of it was exported" in answer.err
    assert hitrate("import", "sqlite:///new.db", "x.export").code == 0
    after = content("new.db")
    assert after <= before
    assert len(before) - len(after) <= lost_at_most
    lost = sum(int(line.split()[2]) for line in answer.err.splitlines() if line.startswith("left out"))
    assert lost == len(before) - len(after)
    assert (lost > 0) is (lost_at_most > 0)
    assert f"exported {len(after)} entries" in answer.out
    assert Path("c.db").read_bytes() == spoilt


@pytest.mark.usefixtures("filled")
def test_an_export_as_json_tells_by_namespace_what_cannot_be_read(hitrate: Command) -> None:
    spoil(pages() // 2)
    answer = hitrate("export", URL, "x.export", "--json")
    assert answer.code == 4
    assert all(f'"a",\n        "{part}"' in answer.out for part in "012")
    assert '"damaged": []' in answer.out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("damage", DAMAGE)
def test_check_says_what_is_lost_and_what_to_do(hitrate: Command, damage: str) -> None:
    DAMAGE[damage][0]()
    answer = hitrate("check", URL)
    assert answer.code == 1
    for raw in ("btreeInit", "disk image", "malformed", "SQL", "main ***", "Tree", "error code"):
        assert raw not in answer.out + answer.err
    assert "c.db: " in answer.out
    assert "damaged" in answer.out
    assert (" lost: " in answer.out) is (DAMAGE[damage][1] > 0)
    assert "hitrate export URL FILE takes what can be read" in answer.err
    assert "begin with an empty cache" in answer.err
    assert hitrate("check", URL, "--repair").code == 1


@pytest.mark.usefixtures("filled")
def test_what_check_counts_is_in_the_singular_and_the_plural(hitrate: Command) -> None:
    con = sqlite3.connect("c.db")
    con.execute("UPDATE hitrate_entries SET expiry = 5e9 WHERE id = 7")
    con.commit()
    answer = hitrate("check", URL)
    assert answer.out.endswith(f"\n1 problem, {ENTRIES} entries\n")
    assert "hitrate check --repair URL removes entries that are damaged" in answer.err
    con.execute("UPDATE hitrate_entries SET expiry = 5e9 WHERE id = 8")
    con.commit()
    con.close()
    assert hitrate("check", URL).out.endswith(f"\n2 problems, {ENTRIES} entries\n")


def test_one_of_anything_is_in_the_singular(hitrate: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), "k"): ("x" * 10_001, None)})
    assert hitrate("check", URL).out == "1 entry, all in order\n"
    assert hitrate("export", URL, "x.export").out.startswith("exported 1 entry, ")
    assert "1 more character;" in hitrate("show", URL, "a", "k").err
    assert "would remove 1 entry of the whole cache (" in hitrate("clear", URL, "--all", "--dry-run").out
    assert "remove 1 entry" not in hitrate("clear", URL, "--expired", "--dry-run").out
    assert hitrate("clear", URL, "--all", "--yes").out == "removed 1 entry\n"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "command", [["check"], ["export", URL, "x.export"], ["stats"], ["ls"]], ids=lambda each: each[0]
)
def test_a_file_of_which_nothing_can_be_read_is_told_with_what_to_do(hitrate: Command, command: list[str]) -> None:
    Path("c.db").write_bytes(Path("c.db").read_bytes()[: PAGE * 20])
    answer = hitrate(command[0], URL, *command[2:])
    assert (answer.code, answer.out) == (3, "")
    assert "c.db is damaged" in answer.err
    assert "disk image" not in answer.err
    assert "begin with an empty one" in answer.err
    assert not Path("x.export").exists()
