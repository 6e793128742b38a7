"""Files that a group shares, and files that another user has put there."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bad_day_files import assert_sound, key, set_aside
from bad_day_processes import other, run, run_each

import hitrate
from hitrate import SqliteCache

KEY = key("a")
ALICE, BOB, EVE = 20001, 20002, 20003
TEAM, OTHERS = 30001, 30002

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can go on as other users")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the team, which everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, ALICE, TEAM)
        folder.chmod(0o2775)
        yield folder


@pytest.fixture
def sticky() -> Iterator[Path]:
    """A folder as /tmp is."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(path: Path) -> list[int]:
    return [stat.S_IMODE(path.with_name(path.name + suffix).stat().st_mode) for suffix in ("", "-wal", "-shm")]


@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o660, 0o664, 0o666])
def test_files_have_the_mode_that_was_given_less_the_umask(tmp_path: Path, umask: int, mode: Any) -> None:
    path = tmp_path / "new" / "cache.db"
    with SqliteCache[Any](path=path, mode=mode) as cache:
        cache.set({KEY: (1, None)})
        assert modes(path) == [(mode or 0o600) & ~umask] * 3
        folder = stat.S_IMODE(path.parent.stat().st_mode)
        assert folder == ((mode or 0o600) | ((mode or 0o600) & 0o444) >> 2) & ~umask
    assert SqliteCache[Any](path=path, mode=mode).get([KEY]) == {KEY: 1}


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("660", TypeError),
        (True, TypeError),
        (0o440, ValueError),
        (0o770, ValueError),
        (660, ValueError),
        (-1, ValueError),
    ],
)
def test_a_mode_that_makes_no_sense_is_refused(tmp_path: Path, mode: Any, error: Any) -> None:
    with pytest.raises(error, match="mode is"):
        SqliteCache(path=tmp_path / "cache.db", mode=mode)
    assert list(tmp_path.iterdir()) == []


def test_a_url_gives_the_mode_in_octal(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with hitrate.open(f"sqlite:///{tmp_path}/cache.db?mode=660") as cache:
            cache.set({KEY: (1, None)})
            assert modes(tmp_path / "cache.db") == [0o660] * 3
    finally:
        os.umask(before)
    with pytest.raises(ValueError, match="mode in the URL of SqliteCache is to be an octal number"):
        hitrate.open(f"sqlite:///{tmp_path}/cache.db?mode=abc")


@as_root
def test_a_group_shares_a_file(folder: Path) -> None:
    path = folder / "cache.db"
    shared = {"mode": 0o660, "on_error": "raise"}
    assert run_each(
        ("use_as", ALICE, OTHERS, [TEAM], path, shared, "0"), ("use_as", BOB, OTHERS, [TEAM], path, shared, "1")
    ) == [{"found": ["0"], "errors": 0}, {"found": ["0", "1"], "errors": 0}]
    with other("replace_when_told", ALICE, TEAM, path, shared) as alice:  # both at once, over one -wal
        assert alice.line() == "open"
        assert run("use_as", BOB, OTHERS, [TEAM], path, shared, "2")["found"] == ["0", "1", "2"]
        assert [each.stat().st_gid for each in folder.iterdir()] == [TEAM] * 3
        alice.tell("go on")
        alice.communicate()


@as_root
def test_a_file_that_was_damaged_is_made_anew_for_the_same_group(folder: Path) -> None:
    path = folder / "cache.db"
    with other("replace_when_told", ALICE, OTHERS, path, {"mode": 0o660}) as alice:
        alice.line()
        alice.tell("go on")
        assert '"mode": 432' in alice.end()[-1]
    assert len(set_aside(path)) >= 1
    assert path.stat().st_gid == TEAM
    assert run("use_as", BOB, OTHERS, [TEAM], path, {"mode": 0o660}, "2")["found"] == ["1", "2"]


@as_root
def test_one_who_makes_a_shared_file_anew_and_gives_no_mode_keeps_it_shared(folder: Path) -> None:
    path = folder / "cache.db"
    assert run("use_as", ALICE, OTHERS, [TEAM], path, {"mode": 0o660}, "0")["found"] == ["0"]
    path.write_bytes(b"no database" * 2000)
    assert run("use_as", ALICE, OTHERS, [TEAM], path, {}, "1")["found"] == ["1"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert run("use_as", BOB, OTHERS, [TEAM], path, {"mode": 0o660}, "2")["found"] == ["1", "2"]


@as_root
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("on_error", ["miss", "raise"])
def test_a_user_without_rights_is_told_in_a_sentence(folder: Path, on_error: str, read_only: bool) -> None:
    path = folder / "cache.db"
    sealed = folder / "sealed"
    sealed.mkdir()
    os.chown(sealed, ALICE, TEAM)
    sealed.chmod(0o700)
    options = {"on_error": on_error, "read_only": read_only}
    own, bob, eve, *deeper = run_each(
        ("use_as", ALICE, TEAM, [], path, {}, "0"),
        ("use_as", BOB, OTHERS, [TEAM], path, options, "1"),
        ("use_as", EVE, OTHERS, [], path, options, "1"),
        ("use_as", BOB, OTHERS, [TEAM], sealed / "cache.db", options, "1"),
        ("use_as", BOB, OTHERS, [TEAM], sealed / "deeper" / "cache.db", options, "1"),
    )
    assert own["found"] == ["0"]
    for user, told in ((BOB, bob), (EVE, eve)):
        assert told["error"] == "PermissionError", told
        assert str(path) in told["text"] or str(folder) in told["text"]
        assert f"user {user}" in told["text"]
        assert "mode=0o660" in told["text"]
    assert len(deeper) == 2
    for told in deeper:
        assert told["error"] in ("PermissionError", "FileNotFoundError"), told
        assert "sealed" in told["text"]


@as_root
def test_it_goes_by_the_user_whose_rights_the_process_has(folder: Path) -> None:
    path = folder / "cache.db"
    with SqliteCache[Any](path=path) as cache:
        cache.set({KEY: (1, None)})
    path.chmod(0o444)
    told = run("use_with_rights_of", BOB, OTHERS, path)
    assert told["error"] == "PermissionError", told
    assert f"user {BOB}" in told["text"]
    assert "read_only=True" in told["text"]  # it may be read
    path.chmod(0o400)
    told = run("use_with_rights_of", BOB, OTHERS, path)
    assert told["error"] == "PermissionError", told
    assert "read_only=True" not in told["text"]


# What another user has put there


def plant(path: Path, owner: int, mode: int) -> None:
    SqliteCache[Any](path=path).close()
    if os.geteuid() == 0:
        os.chown(path, owner, owner)
    path.chmod(mode)


@as_root
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("mode", [0o666, 0o644, 0o600, 0o660])
def test_a_file_of_another_user_is_refused(sticky: Path, suffix: str, mode: int) -> None:
    path = sticky / "cache.db"
    with SqliteCache[Any](path=path) as cache:
        cache.set({KEY: ("ours", None)})
    planted = sticky / f"cache.db{suffix}"
    planted.touch()
    os.chown(planted, EVE, OTHERS)
    planted.chmod(mode)
    before = planted.read_bytes()
    for options in ({}, {"on_error": "raise"}, {"mode": 0o640}, {"read_only": True}):
        with pytest.raises(PermissionError, match=r"every user|belongs to user 20003") as told:
            SqliteCache[Any](path=path, **options)  # type: ignore[arg-type]
        assert str(planted) in str(told.value)
        assert "mode=0o666" in str(told.value)
    assert planted.read_bytes() == before
    assert set_aside(path) == []
    with SqliteCache[Any](path=path, mode=0o666) as cache:  # whoever wants it
        assert cache.get([KEY]) == {KEY: "ours"}


def test_our_own_file_that_others_may_write_is_refused(sticky: Path) -> None:
    path = sticky / "cache.db"
    plant(path, os.geteuid(), 0o666)
    for options in ({}, {"mode": 0o660}, {"read_only": True}):
        with pytest.raises(PermissionError, match="every user"):
            SqliteCache[Any](path=path, **options)  # type: ignore[arg-type]
    SqliteCache[Any](path=path, mode=0o666).close()
    path.chmod(0o664)  # as a umask of 002 makes files
    SqliteCache[Any](path=path).close()


@as_root
def test_a_user_of_another_group_is_none_of_those_who_share(sticky: Path) -> None:
    path = sticky / "cache.db"
    plant(path, EVE, 0o660)
    os.chown(path, EVE, OTHERS)
    stranger, member, another = run_each(
        ("use_as", BOB, TEAM, [TEAM], path, {"mode": 0o660}, "1"),
        ("use_as", BOB, TEAM, [OTHERS], path, {"mode": 0o660}, "1"),
        ("use_as", ALICE, ALICE, [OTHERS], path, {}, "1"),
    )
    assert stranger["error"] == "PermissionError"
    assert member["found"] == ["1"]
    assert another["error"] == "PermissionError"


@as_root
def test_a_wal_that_was_planted_while_the_cache_is_open_is_not_read(sticky: Path) -> None:
    path = sticky / "cache.db"
    with SqliteCache[Any](path=path) as cache:
        cache.set({KEY: ("ours", None)})
        cache._store._connections._replace_idle([])  # type: ignore[attr-defined]  # as before a fork
        planted = sticky / "cache.db-wal"
        planted.touch()
        os.chown(planted, EVE, OTHERS)
        assert cache.get([KEY]) == {}
        assert cache.stats().errors == 2
        planted.unlink()
        assert cache.get([KEY]) == {KEY: "ours"}
    assert_sound(path)


@as_root
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("where", ["file", "folder", "link to a link"])
def test_a_link_that_another_user_planted_is_not_followed(
    sticky: Path, tmp_path: Path, where: str, read_only: bool
) -> None:
    precious = tmp_path / "notes.txt"
    precious.write_text("not a cache")
    path = planted = sticky / "cache.db"
    if where == "folder":
        planted = sticky / "folder"
        planted.symlink_to(tmp_path)
        path = planted / "notes.txt"
    else:
        planted.symlink_to(precious)
    os.chown(planted, EVE, OTHERS, follow_symlinks=False)
    if where == "link to a link":
        path = tmp_path / "cache.db"
        path.symlink_to(planted)
    with pytest.raises(PermissionError, match="link of user 20003") as told:
        SqliteCache[Any](path=path, read_only=read_only)
    assert str(planted) in str(told.value)
    assert precious.read_text() == "not a cache"
    assert set_aside(precious) == []


def test_links_of_ones_own_are_followed(sticky: Path, tmp_path: Path) -> None:
    (sticky / "folder").symlink_to(tmp_path)
    (tmp_path / "link.db").symlink_to("real.db")
    with SqliteCache[Any](path=sticky / "folder" / "link.db") as cache:
        cache.set({KEY: ("ours", None)})
    with SqliteCache[Any](path=tmp_path / "real.db") as cache:
        assert cache.get([KEY]) == {KEY: "ours"}
