"""Caches work where a system has neither forks nor users, descriptors in /proc, file locks nor poll, as Windows."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

import hitrate
from hitrate import SqliteCache
from hitrate.stores.postgres.polling import POLLIN, POLLOUT, SelectPoll
from hitrate.stores.sqlite.rights import refuse_planted_links

HERE = Path(__file__).parent
README = (HERE.parent.parent / "README.md").read_text()
SERVERS = re.compile("redis|postgres", re.IGNORECASE)
EXAMPLES = [
    (code, printed)
    for code, printed in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    if not SERVERS.search(code)
]


STARTER = """
import json, os, sys
fork, wait, exit_code = os.fork, os.waitpid, os.waitstatus_to_exitcode
import bare_system

for order in sys.stdin:
    code, folder = json.loads(order)
    child = fork()
    if not child:
        break
    print(exit_code(wait(child, 0)[1]), flush=True)
else:
    sys.exit()
os.chdir(folder)
for number, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(f"../{name}", os.O_CREAT | os.O_WRONLY), number)
exec(compile(code, "<string>", "exec"))
"""
"""A Python on such a system that has imported what takes a second, though nothing of hitrate. For each program it
becomes a new process.
"""

Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def starter() -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)]),
    }
    command = [sys.executable, "-W", "error", "-c", STARTER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as starter:
        yield starter


@pytest.fixture
def on_a_bare_system(starter: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Runs a program in a new folder, once a test."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        assert starter.stdin
        assert starter.stdout
        (tmp_path / "here").mkdir()
        print(json.dumps([textwrap.dedent(code), str(tmp_path / "here")]), file=starter.stdin, flush=True)
        ended = int(starter.stdout.readline())
        out, err = ((tmp_path / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(code, ended, out, err)

    return run


def test_the_documented_contract_holds_without_what_only_some_systems_have(
    on_a_bare_system: Run, tmp_path: Path
) -> None:
    run = on_a_bare_system(
        f"""
        import pytest
        pytest.main([
            {str(HERE / "bare_contract.py")!r}, "-q", "-x", "-p", "no:cacheprovider", "--noconftest", "-c",
            {os.devnull!r}, "--rootdir", {str(HERE)!r}, "--basetemp", {str(tmp_path / "tries")!r},
        ])
        """
    )
    last = run.stdout.splitlines()[-1]
    assert re.search(r"\d{3,} passed", last), run.stdout[-3000:] + run.stderr[-2000:]
    assert "failed" not in last
    assert "error" not in last


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_readme_print_the_same(code: str, printed: str, on_a_bare_system: Run) -> None:
    run = on_a_bare_system(code)
    assert run.stderr == ""
    assert run.stdout == printed


def test_every_module_can_be_imported(on_a_bare_system: Run) -> None:
    run = on_a_bare_system(
        """
        import importlib, pkgutil, hitrate
        for module in pkgutil.walk_packages(hitrate.__path__, "hitrate."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        """
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_what_is_wrong_with_a_path_is_said_without_users(on_a_bare_system: Run) -> None:
    run = on_a_bare_system(
        """
        from hitrate.stores.sqlite.rights import no_permission
        print(no_permission("a/b.db", "."))
        """
    )
    assert run.stdout.startswith("path 'a/b.db' cannot be used: no permission to read and write '.'; give another path")


def test_a_database_of_another_program_is_left_alone_there_too(on_a_bare_system: Run) -> None:
    run = on_a_bare_system(
        """
        import sqlite3
        con = sqlite3.connect("a.db")
        con.execute("CREATE TABLE t (x)")
        con.commit()
        con.close()
        from hitrate import SqliteCache
        with SqliteCache(path="a.db") as cache:
            cache.set({(("n",), "k"): (1, None)})
            print(cache.get([(("n",), "k")]))
        import os
        print(sorted(os.listdir()))
        """
    )
    assert run.stdout == "{(('n',), 'k'): 1}\n['a.db', 'a.db.hitrate']\n"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///C:/caches/a.db", "C:/caches/a.db"),
        ("sqlite:///c:/caches/a%20b.db?max_entries=3", "c:/caches/a b.db"),
        (r"sqlite:///C:\caches\a.db", r"C:\caches\a.db"),
        ("sqlite:C:/caches/a.db", "C:/caches/a.db"),
    ],
)
def test_a_url_may_have_a_drive_letter(url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no drives are, it is a relative path
    with hitrate.open(url) as cache:
        cache.set({(("n",), "k"): (1, None)})
    assert (tmp_path / path).is_file()


def test_a_drive_letter_may_stand_behind_other_tiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with hitrate.open("memory:+sqlite:///C:/caches/a.db") as cache:
        cache.set({(("n",), "k"): (1, None)})
    assert (tmp_path / "C:/caches/a.db").is_file()


def test_a_system_whose_tmp_is_a_link_is_not_taken_for_one_with_planted_links(tmp_path: Path) -> None:
    """On macOS /tmp is a link to private/tmp."""
    shared = tmp_path / "private" / "tmp"
    shared.mkdir(parents=True)
    shared.chmod(stat.S_ISVTX | 0o777)
    (tmp_path / "tmp").symlink_to("private/tmp")
    refuse_planted_links(str(tmp_path / "tmp" / "a.db"))
    with SqliteCache(path=tmp_path / "tmp" / "a.db") as cache:
        cache.set({(("n",), "k"): (1, None)})
    assert (shared / "a.db").is_file()


@pytest.mark.parametrize(("durability", "full"), [("normal", 0), ("full", 1)])
def test_full_durability_asks_macos_to_empty_the_cache_of_the_disk(tmp_path: Path, durability: str, full: int) -> None:
    with SqliteCache(path=tmp_path / "a.db", durability=durability) as cache:
        (handle,) = cache._store._connections.idle
        assert isinstance(handle.con, apsw.Connection)
        assert handle.con.pragma("fullfsync") == full
        assert handle.con.pragma("checkpoint_fullfsync") == 1


def test_select_waits_as_poll_does() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        events = {SelectPoll: (POLLIN, POLLOUT), select.poll: (select.POLLIN, select.POLLOUT)}
        for kind, (readable, writable) in events.items():
            poll = kind()
            poll.register(ours.fileno(), readable)
            assert poll.poll(0) == []
            theirs.send(b"x")
            assert poll.poll(1000) == [(ours.fileno(), readable)]
            poll.modify(ours.fileno(), readable | writable)
            assert poll.poll(1000) == [(ours.fileno(), readable | writable)]
            ours.recv(1)
            assert poll.poll(1000) == [(ours.fileno(), writable)]
