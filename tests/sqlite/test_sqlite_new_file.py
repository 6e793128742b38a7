"""A new file appears with its tables in it, as if SQLite had made them there."""

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from hitrate import SqliteCache
from hitrate.stores.sqlite import new_file, schema
from hitrate.testing import Clock

NAMESPACE = ("namespace",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def key(number: int) -> Any:
    return NAMESPACE, str(number)


def test_a_new_file_appears_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("the tables are made in the file")

    content = schema.new_file()
    monkeypatch.setattr(schema, "create", refuse)
    monkeypatch.setattr(schema, "new_file", lambda: content)
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({key(1): (1, None)})
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        assert cache.get([key(1)]) == {key(1): 1}
        assert cache._store._database.use(lambda handle: handle.con.pragma("auto_vacuum")) == 2  # type: ignore[attr-defined]
        assert cache._store._database.use(lambda handle: handle.con.pragma("integrity_check")) == "ok"  # type: ignore[attr-defined]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("lacking", ["O_TMPFILE", "link"])
def test_a_new_file_is_the_same_where_it_cannot_appear_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def tables() -> Any:
        with SqliteCache[Any](path=path, on_error="raise") as cache:
            cache.set({key(1): (1, None)})
            assert cache.get([key(1)]) == {key(1): 1}
        with closing(apsw.Connection(str(path))) as con:
            names = ("application_id", "user_version", "auto_vacuum", "journal_mode", "page_size", "encoding")
            return con.execute("SELECT * FROM sqlite_schema ORDER BY name").fetchall(), [con.pragma(n) for n in names]

    whole = tables()
    path.unlink()
    monkeypatch.delattr(new_file.os, lacking)
    assert tables() == whole


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_what_another_file_left_behind_does_not_get_into_a_new_one(path: Path, suffix: str) -> None:
    with SqliteCache[Any](path=path.with_name("other.db"), clock=Clock()) as cache:
        cache.set({key(1): ("old", None)})
        wal = path.with_name("other.db-wal").read_bytes()
    path.with_name(path.name + suffix).write_bytes(wal)
    with SqliteCache[Any](path=path) as cache:
        assert cache.get([key(1)]) == {}
        cache.set({key(1): ("new", None)})
        assert cache.get([key(1)]) == {key(1): "new"}
