"""``hitrate export`` and ``import``."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.conftest import Command
from hitrate import SqliteCache
from hitrate.exchange.exports import CutShort, NoExport, opened, read_export
from hitrate.records import Record, records

NEW = "sqlite:///new.db"


@dataclass
class Thing:
    name: str


@pytest.fixture
def url() -> str:
    with SqliteCache("c.db") as cache:
        cache.set({(("a", str(i % 3)), f"k{i}"): (Thing("x" * i), 3600 if i % 2 else None) for i in range(1200)})
        cache.set({(("\ud800", ""), "é"): (None, None), ((), ""): (b"\x00", None)})
        cache.get([(("slow",), "k")])
        cache.set({(("slow",), "k"): ("v", None)})
    return "sqlite:///c.db"


def content(path: str) -> list[Record]:
    with SqliteCache(path, read_only=True) as cache:
        found = sorted(each for each in records(cache) if isinstance(each, Record))
    return [each._replace(created=None) for each in found]


@pytest.mark.parametrize("options", [[], ["--zstd"]], ids=["plain", "zstd"])
def test_what_is_exported_is_imported_as_it_was(hitrate: Command, url: str, options: list[str]) -> None:
    assert hitrate("export", url, "x.export", *options, "--json").json["entries"] == 1203
    told = hitrate("import", NEW, "x.export", "--json").json
    assert told == {"stored": 1203, "there": 0, "expired": 0, "left": {}}
    assert content("new.db") == content("c.db")
    assert (os.stat("x.export").st_size < 100_000) is bool(options)
    assert sorted(os.listdir()) == ["c.db", "new.db", "x.export"]
    with SqliteCache("new.db") as cache:
        assert cache.get([(("a", "1"), "k1")]) == {(("a", "1"), "k1"): Thing("x")}


def test_a_part_is_exported(hitrate: Command, url: str) -> None:
    assert hitrate("export", url, "x.export", "--under", "a/1", "--json").json["entries"] == 400


def test_what_is_there_stays_unless_it_is_to_be_replaced(hitrate: Command, url: str) -> None:
    hitrate("export", url, "x.export")
    with SqliteCache("new.db") as cache:
        cache.set({(("a", "1"), "k1"): ("mine", None)})
        assert hitrate("import", NEW, "x.export").out == "stored 1202, there already 1, expired 0\n"
        assert cache.get([(("a", "1"), "k1")]) == {(("a", "1"), "k1"): "mine"}
        assert hitrate("import", NEW, "x.export", "--replace").code == 0
        assert cache.get([(("a", "1"), "k1")]) == {(("a", "1"), "k1"): Thing("x")}


def test_what_has_expired_meanwhile_is_passed_over(hitrate: Command) -> None:
    with SqliteCache("c.db", clock=lambda: time.time() - 100) as cache:
        cache.set({(("a",), "k"): (1, 90), (("a",), "l"): (1, None)})
        with Path("x.export").open("wb") as file:
            from hitrate.exchange.exports import write_export

            write_export(file, (each for each in records(cache) if isinstance(each, Record)), version="0")
    assert hitrate("import", NEW, "x.export", "--json").json["expired"] == 1
    assert [each.key for each in content("new.db")] == ["l"]


def whole_records(path: str) -> list[Record]:
    """The records of an export as far as it goes."""
    found: list[Record] = []
    with Path(path).open("rb") as file, suppress(CutShort):
        found.extend(each for each in read_export(opened(file)) if isinstance(each, Record))
    return found


@pytest.mark.parametrize("options", [[], ["--zstd"]], ids=["plain", "zstd"])
def test_what_follows_the_end_of_an_export_is_told(hitrate: Command, url: str, options: list[str]) -> None:
    hitrate("export", url, "x.export", *options)
    Path("two.export").write_bytes(Path("x.export").read_bytes() * 2)
    answer = hitrate("import", NEW, "two.export")
    assert (answer.code, answer.out) == (3, "stored 1203, there already 0, expired 0\n")
    assert "more follows its end" in answer.err


@pytest.mark.parametrize("name", ["c.db", "c.db-wal", "link.db", "other.db"])
def test_an_export_replaces_no_database(hitrate: Command, url: str, name: str) -> None:
    with SqliteCache("other.db"), SqliteCache("c.db") as cache:
        cache.set({(("a",), "in the -wal"): (1, None)})
        Path("link.db").symlink_to("c.db")
        before = Path(name).read_bytes()
        answer = hitrate("export", url, name, "--force")
        assert (answer.code, answer.out) == (2, "")
        assert "is of a database" in answer.err
        assert Path(name).read_bytes() == before
    assert not [each for each in os.listdir() if ".part-" in each]


def test_an_export_that_cannot_be_written_names_its_file(hitrate: Command, url: str) -> None:
    answer = hitrate("export", url, "no/such/x.export")
    assert answer.code == 3
    assert answer.err.endswith("no/such/x.export cannot be written: No such file or directory\n")
    assert hitrate("export", url, "-").code == 2
    assert not Path("-").exists()


@pytest.mark.parametrize("options", [[], ["--zstd"]], ids=["plain", "zstd"])
def test_a_file_that_was_cut_short_gives_what_it_has_and_is_carried_on(
    hitrate: Command, url: str, options: list[str]
) -> None:
    hitrate("export", url, "x.export", *options)
    whole = Path("x.export").read_bytes()
    Path("x.export").write_bytes(whole[: len(whole) * 9 // 10])
    answer = hitrate("import", NEW, "x.export")
    assert answer.code == 3
    assert "x.export" in answer.err
    before = len(content("new.db"))
    assert 500 < before < 1203
    assert answer.out == f"stored {before}, there already 0, expired 0\n"
    assert before == len(whole_records("x.export"))
    Path("x.export").write_bytes(whole)
    assert hitrate("import", NEW, "x.export", "--json").json == {
        "stored": 1203 - before,
        "there": before,
        "expired": 0,
        "left": {},
    }


def test_a_damaged_record_is_left_and_told(hitrate: Command, url: str) -> None:
    hitrate("export", url, "x.export")
    raw = bytearray(Path("x.export").read_bytes())
    raw[raw.index(b"x" * 100)] ^= 1
    Path("x.export").write_bytes(raw)
    answer = hitrate("import", NEW, "x.export")
    assert answer.code == 1
    assert "stored 1202" in answer.out
    assert "does not match its checksum" in answer.out


def test_a_damaged_entry_is_not_exported_and_told(hitrate: Command, url: str) -> None:
    con = sqlite3.connect("c.db")
    con.execute("UPDATE hitrate_entries SET payload = x'c0' WHERE id = 7")
    con.commit()
    con.close()
    answer = hitrate("export", url, "x.export")
    assert (answer.code, answer.out[:21]) == (1, "exported 1202 entries")
    assert "checksum" in answer.err


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"hitrate export 2\n", b"hitrate export 1\n", b"\x28\xb5\x2f\xfd junk", b"SQLite format 3\0" * 500],
)
def test_what_is_no_export_is_refused_and_no_cache_is_made(hitrate: Command, content: bytes) -> None:
    Path("x.export").write_bytes(content)
    answer = hitrate("import", NEW, "x.export")
    assert (answer.code, answer.out) == (3, "")
    assert "x.export: " in answer.err
    assert os.listdir() == ["x.export"]


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lambda: None, ["import", NEW, "nosuch"]),
        (lambda: Path("d").mkdir(), ["import", NEW, "d"]),
        (lambda: Path("there").touch(), ["export", "sqlite:///c.db", "there"]),
        (lambda: None, ["export", "sqlite:///c.db", "nosuch/x"]),
        (lambda: None, ["export", "sqlite:///nosuch.db", "x"]),
    ],
)
def test_a_place_that_will_not_do_gets_a_sentence(
    hitrate: Command, url: str, make: Callable[[], None], arguments: list[str]
) -> None:
    make()
    before = sorted(os.listdir())
    answer = hitrate(*arguments)
    assert (answer.code, answer.out) == (3, "")
    assert sorted(os.listdir()) == before


def test_a_length_that_is_only_announced_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"hitrate export 1\n" + b"\xff" * 12)
    with path.open("rb") as file, pytest.raises(CutShort):
        list(read_export(file))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail_otherwise(junk: bytes) -> None:
    from io import BytesIO

    for start in (b"", b"hitrate export 1\n", b"hitrate export 1\n\x00\x00\x00\x01\xc0" + bytes(8)):
        try:
            list(read_export(BytesIO(start + junk)))
        except (NoExport, CutShort):
            pass


@pytest.mark.parametrize("name", ["", ".", "pipe", "to a pipe"])
def test_what_is_no_file_is_not_replaced_by_an_export(hitrate: Command, url: str, name: str) -> None:
    os.mkfifo("pipe")
    os.symlink("pipe", "to a pipe")
    before = sorted(os.listdir())
    answer = hitrate("export", url, name, "--force")
    assert (answer.code, answer.out) == (2, "")
    assert sorted(os.listdir()) == before
    assert Path("pipe").is_fifo()


def test_an_export_to_a_link_replaces_what_it_leads_to(hitrate: Command, url: str) -> None:
    Path("real").write_text("old")
    os.symlink("real", "link")
    assert hitrate("export", url, "link").code == 3
    assert hitrate("export", url, "link", "--force").code == 0
    assert Path("link").is_symlink()
    assert Path("real").read_bytes().startswith(b"hitrate export 1\n")
