"""Paths of the wrong type or form, files that cannot be used, and who may read what is made."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bad_day_files import key, set_aside
from bad_day_processes import run

from hitrate import SqliteCache

KEY = key("a")


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"cache.db"


@pytest.mark.parametrize("wrong", [17, None, b"cache.db", bytearray(b"cache.db"), ["cache.db"], BytesPath(), 1.5])
def test_a_path_of_the_wrong_type_is_a_type_error_that_names_it(wrong: Any) -> None:
    with pytest.raises(TypeError, match="path is a"):
        SqliteCache(path=wrong)


def test_a_path_is_required() -> None:
    with pytest.raises(TypeError, match="path"):
        SqliteCache()  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", ["", "a\0b", "cache.db\0", "\ud800.db", "caf\udce9.db", "sqlite:///cache.db"])
def test_a_path_that_names_no_file_is_a_value_error(wrong: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"path"):
        SqliteCache(path=wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("on_error", ["miss", "raise"])
def test_what_is_no_file_is_refused_and_left_alone(tmp_path: Path, on_error: Any, monkeypatch: Any) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = tmp_path / "text"
    text.write_text("text")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # the name of a socket is limited to 108 bytes
        listening.bind("socket")
        for wrong, error in {
            folder: IsADirectoryError,
            tmp_path: IsADirectoryError,
            fifo: OSError,
            tmp_path / "socket": OSError,
            Path("/dev/null"): OSError,
            text / "cache.db": NotADirectoryError,
            text / "deeper" / "cache.db": NotADirectoryError,
            loop: OSError,
            tmp_path / ("x" * 300): OSError,
        }.items():
            with pytest.raises(error):
                SqliteCache(path=wrong, on_error=on_error)
    assert text.read_text() == "text"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["fifo", "folder", "loop", "socket", "text"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_or_file_without_permission_is_a_permission_error(open_folder: Path) -> None:
    sealed, closed, readable, half = (open_folder / name for name in ("sealed", "closed", "readable", "half"))
    for folder in (sealed, closed, half):
        folder.mkdir()
    SqliteCache(path=readable).close()
    SqliteCache(path=half / "cache.db").close()
    before = readable.read_bytes()
    readable.chmod(0o444)
    (half / "cache.db").chmod(0o666)
    sealed.chmod(0o000)
    closed.chmod(0o555)
    half.chmod(0o555)
    try:
        unusable = [sealed / "c.db", sealed / "deeper" / "c.db", closed / "c.db", closed / "deeper" / "c.db", readable]
        # The last could be written, but not the -wal beside it.
        told = run("open_without_privilege", [*unusable, half / "cache.db"])
        assert told == ["PermissionError"] * 6
        assert readable.read_bytes() == before
    finally:
        for folder in (sealed, closed, half):
            folder.chmod(0o755)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(*paths: Path) -> list[int]:
    return [stat.S_IMODE(os.stat(path).st_mode) for path in paths]


@pytest.mark.usefixtures("no_umask")
def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(0o755)
    file = old / "new" / "newer" / "cache.db"
    with SqliteCache(path=file) as cache:
        cache.set({KEY: (1, None)})
        beside = [file.with_name(f"cache.db{suffix}") for suffix in ("", "-wal", "-shm")]
        assert modes(*beside) == [0o600] * 3
    assert modes(old, old / "new", old / "new" / "newer", file) == [0o755, 0o700, 0o700, 0o600]


@pytest.mark.usefixtures("no_umask")
def test_what_takes_the_place_of_a_damaged_file_is_for_its_owner_alone(path: Path) -> None:
    path.write_text("no database")
    path.chmod(0o644)
    with SqliteCache(path=path) as cache:
        cache.set({KEY: (1, None)})
        assert modes(path, path.with_name("cache.db-wal"), path.with_name("cache.db-shm")) == [0o600] * 3
    assert len(set_aside(path)) == 1


@pytest.mark.usefixtures("no_umask")
def test_a_link_leads_to_one_cache_private_even_where_it_led_nowhere(tmp_path: Path) -> None:
    target, link = tmp_path / "target.db", tmp_path / "link.db"
    link.symlink_to(target)
    with SqliteCache(path=link, on_error="raise") as one, SqliteCache(path=target, on_error="raise") as other:
        one.set({KEY: ("through the link", None)})
        assert other.get([KEY]) == {KEY: "through the link"}
        assert modes(target, tmp_path / "target.db-wal") == [0o600] * 2
    assert link.is_symlink()


def test_a_damaged_file_is_set_aside_where_a_link_leads(tmp_path: Path) -> None:
    target, link = tmp_path / "target.db", tmp_path / "link.db"
    target.write_text("no database")
    link.symlink_to(target)
    with SqliteCache(path=link) as one, SqliteCache(path=target) as other:
        one.set({KEY: (1, None)})
        assert other.get([KEY]) == {KEY: 1}
    assert link.is_symlink()
    assert [each.read_text() for each in set_aside(target)] == ["no database"]


def test_a_str_and_a_path_name_the_same_file(path: Path) -> None:
    with SqliteCache(path=str(path)) as one, SqliteCache(path=path) as other:
        one.set({KEY: (1, None)})
        assert other.get([KEY]) == {KEY: 1}


@pytest.mark.parametrize(
    "name", ["cache.db", "./deeper/cache.db", "file:cache.db?mode=memory", "%41 ' \" ; ü.db", ":memory"]
)
def test_a_relative_path_stays_where_it_was_whatever_the_working_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    with SqliteCache(path=name, on_error="raise") as cache:
        monkeypatch.chdir(second)
        cache.set({KEY: (1, None)})
        with SqliteCache(path=first / name, on_error="raise") as same:
            assert same.get([KEY]) == {KEY: 1}
    assert list(second.iterdir()) == []
    assert (first / name).is_file()


def test_every_memory_path_is_a_cache_of_its_own_and_makes_no_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with SqliteCache(path=":memory:") as one, SqliteCache(path=Path(":memory:")) as other:
        one.set({KEY: (1, None)})
        assert other.get([KEY]) == {}
    assert list(tmp_path.iterdir()) == []
