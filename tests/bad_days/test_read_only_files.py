"""Files that are read and never written: prebuilt ones, on a disk or in a folder that cannot be written."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
from bad_day_files import Vandal, ask, assert_sound, contents, key, store
from bad_day_processes import run
from typing_extensions import TypedDict

import hitrate
import hitrate.langgraph
from hitrate import InMemoryCache, ReadOnlyError, SqliteCache, TieredCache, cached
from hitrate.stores.sqlite import read_only
from hitrate.testing import Clock
from hitrate.testing.faces import ASYNC, SYNC, Face

ENTRIES = contents(30)
KEY, NEW = next(iter(ENTRIES)), key("new")


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda face: str(face.name))
def face(request: pytest.FixtureRequest) -> Face:
    found: Face = request.param
    return found


@pytest.fixture(autouse=True)
def looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_only, "_LOOK_SECONDS", 0.0)


@pytest.fixture
def built(path: Path) -> Path:
    store(path, ENTRIES)
    return path


def names(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()}


def test_it_reads_and_drops_what_is_written(built: Path, face: Face, caplog: pytest.LogCaptureFixture) -> None:
    before = built.read_bytes(), built.stat().st_mtime_ns
    with (
        caplog.at_level(logging.DEBUG, "hitrate"),
        SqliteCache[Any](path=built, read_only=True) as raw,
        face.open(raw) as cache,
    ):
        assert cache.get(list(ENTRIES)) == ENTRIES
        assert names(built) == {"cache.db"}
        for number in range(3):
            cache.set({NEW: (number, None)})
            assert cache.get([NEW, KEY]) == {KEY: ENTRIES[KEY]}
        stats = raw.stats()
        assert (stats.entries, stats.sets, stats.errors) == (len(ENTRIES), 0, 3)
        assert [record.levelname for record in caplog.records].count("WARNING") == 1
        assert "read_only=True" in caplog.text
        cache.delete([KEY])
        assert cache.get([KEY]) == {}, "what cannot be removed is not served"
        cache.clear()
        assert cache.get(list(ENTRIES)) == {}
    assert (built.read_bytes(), built.stat().st_mtime_ns) == before
    assert names(built) == {"cache.db"}
    with SqliteCache[Any](path=built, read_only=True) as again:
        assert again.get(list(ENTRIES)) == ENTRIES


def test_on_error_raise_raises_what_is_written(built: Path, face: Face) -> None:
    with SqliteCache[Any](path=built, read_only=True, on_error="raise") as raw, face.open(raw) as cache:
        for write in (
            lambda: cache.set({NEW: (1, None)}),
            lambda: cache.delete([KEY]),
            lambda: cache.clear(),
            lambda: cache.clear([("a",)]),
            lambda: cache.clear_under(("a",)),
        ):
            with pytest.raises(ReadOnlyError, match="read_only=True"):
                write()
        assert cache.get(list(ENTRIES)) == ENTRIES


def test_what_is_computed_is_returned_and_not_stored(built: Path) -> None:
    runs: Counter[str] = Counter()
    with SqliteCache[Any](path=built, read_only=True) as cache:
        for lease in (None, 5.0):

            @cached(cache, lease=lease)
            def double(number: int) -> int:
                runs["double"] += 1
                return 2 * number

            assert double(2) == double(2) == 4
        assert cache.get_or_compute(KEY, lambda: runs.update(["other"])) == ENTRIES[KEY]
        assert cache.get_or_compute_many([KEY, NEW], lambda keys: dict.fromkeys(keys, 7)) == {KEY: ENTRIES[KEY], NEW: 7}
    assert runs == {"double": 4}
    assert names(built) == {"cache.db"}


class State(TypedDict):
    number: int


def test_a_graph_that_sets_results_runs(path: Path) -> None:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import CachePolicy

    runs: Counter[int] = Counter()

    def double(state: State) -> State:
        runs[state["number"]] += 1
        return {"number": 2 * state["number"]}

    def graph(cache: Any) -> Any:
        builder = StateGraph(State)
        builder.add_node("double", double, cache_policy=CachePolicy())
        builder.add_edge(START, "double")
        builder.add_edge("double", END)
        return builder.compile(cache=cache)

    with hitrate.langgraph.SqliteCache[Any](path=path) as cache:
        assert graph(cache).invoke({"number": 1}) == {"number": 2}
    with hitrate.langgraph.SqliteCache[Any](path=path, read_only=True) as cache:
        for number in (1, 2, 2):
            assert graph(cache).invoke({"number": number}) == {"number": 2 * number}
    assert runs == {1: 1, 2: 2}
    assert names(path) == {"cache.db"}


@contextmanager
def read_only_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own, to build a file on before it cannot be written any more."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_file_on_a_disk_that_cannot_be_written(tmp_path: Path, face: Face) -> None:
    with read_only_disk(tmp_path / "disk") as disk:
        path = disk / "cache.db"
        store(path, ENTRIES)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with SqliteCache[Any](path=path, read_only=True) as raw, face.open(raw) as cache:
            assert cache.get(list(ENTRIES)) == ENTRIES
            cache.set({NEW: (1, None)})
            assert cache.get([NEW]) == {}
            with TieredCache[Any](InMemoryCache(), hitrate.open(f"sqlite:///{path}?read_only=1")) as tiered:
                assert tiered.get([KEY]) == tiered.get([KEY]) == {KEY: ENTRIES[KEY]}
        with pytest.raises(OSError, match=r"cache\.db"):
            SqliteCache[Any](path=path)
        assert names(path) == {"cache.db"}


def test_a_file_in_a_folder_of_another_user(open_folder: Path) -> None:
    folder = open_folder
    path = folder / "cache.db"
    with SqliteCache[Any](path=path) as cache:
        cache.set({(("users",), "0"): ("built", None)})
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        if os.geteuid() == 0:
            assert run("use_as", 20002, 20002, [], path, {"read_only": True}, "1") == {"found": ["built"], "errors": 1}
        else:
            with SqliteCache[Any](path=path, read_only=True) as cache:
                assert cache.get([(("users",), "0")]) == {(("users",), "0"): "built"}
        assert names(path) == {"cache.db"}
    finally:
        folder.chmod(0o755)


# A file that changes after all


def test_a_writer_that_comes_meanwhile_is_seen(built: Path, face: Face) -> None:
    with SqliteCache[Any](path=built, read_only=True) as raw, face.open(raw) as cache:
        assert cache.get([KEY, NEW]) == {KEY: ENTRIES[KEY]}
        with SqliteCache[Any](path=built) as writer:
            writer.set({NEW: ("new", None)})
            assert cache.get([KEY, NEW]) == {KEY: ENTRIES[KEY], NEW: "new"}
            writer.delete([KEY])
            assert cache.get([KEY, NEW]) == {NEW: "new"}
        assert cache.get([KEY, NEW]) == {NEW: "new"}
        assert raw.stats().errors == 0
    with SqliteCache[Any](path=built, read_only=True) as again:
        assert again.get([KEY, NEW]) == {NEW: "new"}
    assert_sound(built)


def test_what_writers_do_between_two_looks_gives_no_wrong_value(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteCache[Any](path=built, read_only=True) as cache:
        for number in range(20):
            monkeypatch.setattr(read_only, "_LOOK_SECONDS", 0.0)
            assert cache.get(list(ENTRIES)).items() <= ENTRIES.items()
            monkeypatch.setattr(read_only, "_LOOK_SECONDS", float("inf"))
            with SqliteCache[Any](path=built) as writer:
                writer.clear()
                writer.set({full_key: (value, None) for full_key, value in ENTRIES.items()})
                writer.set({key(number, "beyond"): ("x" * 5000, None)})
            for full_key in ENTRIES:
                assert cache.get([full_key]) in ({}, {full_key: ENTRIES[full_key]})
        monkeypatch.setattr(read_only, "_LOOK_SECONDS", 0.0)
        assert cache.get(list(ENTRIES)) == ENTRIES


def test_who_lists_and_counts_sees_what_was_just_written(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteCache[Any](path=built, read_only=True) as cache:
        assert cache.get(list(ENTRIES)) == ENTRIES
        monkeypatch.setattr(read_only, "_LOOK_SECONDS", float("inf"))  # reads do not look now
        for left in range(len(ENTRIES) - 1, len(ENTRIES) - 10, -1):
            with SqliteCache[Any](path=built) as writer:
                writer.delete([(info.namespace, info.key) for info in writer.entries()][:1])
            assert len(list(cache.entries())) == left
            assert cache.stats().entries == left
        with SqliteCache[Any](path=built) as writer:
            writer.clear()
        assert list(cache.entries()) == []
        assert cache.stats().entries == 0


def test_a_file_that_is_replaced_is_read_anew(built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    store(other, {KEY: "of the next build"})
    with SqliteCache[Any](path=built, read_only=True) as cache:
        assert cache.get([KEY]) == {KEY: ENTRIES[KEY]}
        os.replace(other, built)
        assert cache.get([KEY]) == {KEY: "of the next build"}
        built.unlink()
        assert cache.get([KEY]) == {}
        store(built, {KEY: "of the last build"})
        assert cache.get([KEY]) == {KEY: "of the last build"}
    assert names(built) == {"cache.db"}


def test_a_file_left_by_a_killed_writer_is_read_with_its_wal(built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "cache.db"
    copy.parent.mkdir()
    with SqliteCache[Any](path=built) as writer:
        writer.set({NEW: ("new", None)})
        for suffix in ("", "-wal"):
            shutil.copy(f"{built}{suffix}", f"{copy}{suffix}")
    with SqliteCache[Any](path=copy, read_only=True) as cache:
        assert cache.get([KEY, NEW]) == {KEY: ENTRIES[KEY], NEW: "new"}


# What cannot be read


def test_what_is_not_there_is_not_made(path: Path) -> None:
    for where in (path, path.parent / "deeper" / "cache.db"):
        with pytest.raises(FileNotFoundError, match="a cache that is only read is not made"):
            SqliteCache[Any](path=where, read_only=True)
    path.mkdir()
    with pytest.raises(OSError, match="regular file"):
        SqliteCache[Any](path=path, read_only=True)
    with pytest.raises(ValueError, match="read_only=True"):
        SqliteCache[Any](path=":memory:", read_only=True)
    assert names(path) == {"cache.db"}


def test_what_is_no_file_of_ours_is_refused(path: Path) -> None:
    path.touch()
    with pytest.raises(ValueError, match="no tables of hitrate's"):
        SqliteCache[Any](path=path, read_only=True)
    with apsw.Connection(str(path)) as con:
        con.execute("PRAGMA application_id = 17; CREATE TABLE t (x)")
    con.close()
    with pytest.raises(ValueError, match="another program"):
        SqliteCache[Any](path=path, read_only=True)


@pytest.mark.parametrize("offset", [0, 100, 5000])
def test_a_damaged_file_is_misses_and_stays_where_it_is(built: Path, offset: int, vandal: Vandal) -> None:
    vandal.write(built, offset, b"no database" * 300)
    vandal.leave()
    before = built.read_bytes()
    with SqliteCache[Any](path=built, read_only=True) as cache:
        assert cache.get(list(ENTRIES)).items() <= ENTRIES.items()
        for full_key in ENTRIES:
            assert cache.get([full_key]) in ({}, {full_key: ENTRIES[full_key]})
        cache.set({NEW: (1, None)})
        assert cache.stats().errors > 0
    assert built.read_bytes() == before
    assert names(built) == {"cache.db"}
    with suppress(hitrate.HitrateError), SqliteCache[Any](path=built, read_only=True, on_error="raise") as cache:
        cache.get(list(ENTRIES))
    assert built.read_bytes() == before


def test_expired_entries_are_misses_and_stay(path: Path) -> None:
    clock = Clock()
    with SqliteCache[Any](path=path, clock=clock) as cache:
        cache.set({KEY: (1, 60), NEW: (2, 600)})
    with SqliteCache[Any](path=path, clock=clock, read_only=True) as cache:
        clock.advance(61)
        assert cache.get([KEY, NEW]) == {NEW: 2}
    assert ask(path, "SELECT count(*) FROM hitrate_entries") == 2


def test_a_url_says_so(built: Path) -> None:
    for text in ("1", "true", "yes", "True"):
        with hitrate.open(f"sqlite:///{built}?read_only={text}") as cache:
            assert cache.get([KEY]) == {KEY: ENTRIES[KEY]}
            cache.set({NEW: (1, None)})
            assert cache.stats().errors == 1
    with hitrate.langgraph.open(f"sqlite:///{built}?read_only=0") as cache:
        cache.set({NEW: (1, None)})
        assert cache.get([NEW]) == {NEW: 1}
    with pytest.raises(ValueError, match="read_only in the URL"):
        hitrate.open(f"sqlite:///{built}?read_only=maybe")


def test_it_is_usable_after_a_fork(built: Path) -> None:
    with SqliteCache[Any](path=built, read_only=True) as cache:
        assert cache.get([KEY]) == {KEY: ENTRIES[KEY]}
        child = os.fork()
        if not child:
            os._exit(0 if cache.get([KEY]) == {KEY: ENTRIES[KEY]} else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert cache.get([KEY]) == {KEY: ENTRIES[KEY]}
