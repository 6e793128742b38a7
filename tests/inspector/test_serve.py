"""``hitrate serve``: a page on a port of this machine, and its bad days."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from hitrate import SqliteCache
from inspector.serving import serving


def fill(path: Path, entries: int = 20) -> str:
    with SqliteCache[Any](path) as cache:
        cache.set({(("a", str(i % 2)), f"k{i}"): ("x" * i, 3600 if i % 2 else None) for i in range(entries)})
    return f"sqlite:///{path}"


def serve(url: str, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a ``serve`` that ends by itself."""
    command = [sys.executable, "-W", "error", "-m", "hitrate", "serve", url, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


def digest(folder: Path) -> dict[str, str]:
    """Return what the files of a folder hold; the ``-shm`` beside a file in use aside."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith("-shm")
    }


def test_it_shows_a_file_and_writes_nothing_to_it(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    before = digest(tmp_path)
    with serving(url) as served:
        assert served.listed("entries")["found"] == 20
        for page in ("", "namespaces", "entries?sort=bytes", "expiry", "entry?ns=[%22a%22,%220%22]&key=k0"):
            assert served.get(page).status_code == 200
        assert served.get("overview.json").json()["limits"]["known"] is False
        assert served.client.post("delete?all=1", headers={"origin": served.base.rstrip("/")}).status_code == 403
    assert digest(tmp_path) == before


def test_it_is_for_whoever_knows_the_token_on_this_machine_alone(tmp_path: Path) -> None:
    with serving(fill(tmp_path / "c.db")) as served:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", served.url)
        assert httpx.get(served.base).status_code == 403
        assert httpx.get(f"{served.base}?token=wrong").status_code == 403
        assert httpx.get(served.url).status_code == 200
        assert httpx.get(served.url, headers={"host": "rebound.test"}).status_code == 403
        port = httpx.URL(served.base).port
        listening = [
            line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"
        ]
        assert [each for each in listening if each.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    with serving(url) as served:
        done = serve(url, "--port", str(httpx.URL(served.base).port))
        assert (done.returncode, done.stdout) == (3, "")
        assert "--port 0" in done.stderr
        assert "Traceback" not in done.stderr
        assert served.get("").status_code == 200


def make_another_programs(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("PRAGMA user_version = 7")
    con.execute("CREATE TABLE t (a)")
    con.close()


def make_newer(path: Path) -> None:
    con = apsw.Connection(str(path))
    con.pragma("application_id", 0x68747274)
    con.pragma("user_version", 99)
    con.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "is not there"),
        (lambda path: path.write_bytes(b"junk" * 5000), "damaged"),
        (lambda path: path.mkdir(), "not a regular file"),
        (make_another_programs, "another program"),
        (make_newer, "newer hitrate"),
    ],
    ids=["not there", "junk", "a folder", "another program's", "newer"],
)
def test_a_file_that_is_no_cache_is_told_and_stays(tmp_path: Path, make: Any, says: str) -> None:
    make(tmp_path / "c.db")
    before = sorted(os.listdir(tmp_path))
    done = serve(f"sqlite:///{tmp_path}/c.db", "--port", "0", "--allow-delete")
    assert (done.returncode, done.stdout) == (3, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "options", [["--port", "x"], ["--port", "70000"], ["--price", "m"], ["--price", "m=1"], ["--what"]]
)
def test_wrong_arguments_are_misuse(tmp_path: Path, options: list[str]) -> None:
    done = serve(fill(tmp_path / "c.db"), *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_cache_in_memory_is_misuse() -> None:
    assert serve("memory:").returncode == 2


def test_without_its_libraries_it_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')")
    done = serve(fill(tmp_path / "c.db"), env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "pip install '.[inspect]' in hitrate's folder" in done.stderr


def test_a_file_that_grows_is_listed_anew(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    with serving(url) as served, SqliteCache[Any](tmp_path / "c.db") as cache:
        assert served.listed("entries")["found"] == 20
        stop = threading.Event()

        def grow() -> None:
            for i in range(100_000):
                if stop.is_set():
                    return
                cache.set({(("more",), f"k{i}"): (i, None)})

        thread = threading.Thread(target=grow)
        thread.start()
        try:
            while served.listed("entries", fresh=1)["found"] < 200:
                pass
            assert served.get("").status_code == 200
            assert served.get("overview.json").json()["stats"]["entries"] >= 200
        finally:
            stop.set()
            thread.join()


def test_the_totals_of_a_file_that_others_write_to_are_those_of_now(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    with serving(url) as served:
        assert served.get("overview.json").json()["stats"]["entries"] == 20
        with SqliteCache[Any](tmp_path / "c.db") as cache:
            cache.set({(("more",), f"k{i}"): (i, None) for i in range(5)})
        while served.get("overview.json").json()["stats"]["entries"] != 25:  # it looks at the file now and then
            pass


def test_what_programs_did_until_now_is_counted(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    with SqliteCache[Any](tmp_path / "c.db") as cache:
        cache.get([(("a", "0"), "k0"), (("a", "0"), "k2"), (("a", "1"), "none")])
    with serving(url) as served:
        stats = served.get("overview.json").json()["stats"]
        assert (stats["hits"], stats["misses"], stats["sets"]) == (2, 1, 20)
        rows = served.listed("namespaces", under='["a"]')["namespaces"]
        assert {row["namespace"][1]: (row["hits"], row["misses"]) for row in rows} == {"0": (2, 0), "1": (0, 1)}
        with SqliteCache[Any](tmp_path / "c.db") as cache:
            cache.get([(("a", "0"), "k0")])
        while (page := served.get("overview.json").json())["stats"]["hits"] != 3:  # it looks at the file now and then
            pass
        assert sum(bucket["hits"] for bucket in page["history"]) == 1


def test_a_file_that_others_lock_is_still_shown(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    with serving(url) as served, SqliteCache[Any](tmp_path / "c.db"):
        con = apsw.Connection(str(tmp_path / "c.db"))
        con.execute("BEGIN IMMEDIATE")
        assert served.listed("entries", fresh=1)["found"] == 20
        con.execute("ROLLBACK")
        con.close()


def test_a_file_that_is_damaged_meanwhile_is_told_and_the_inspector_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    url = fill(path, 2000)
    with serving(url) as served:
        assert served.listed("entries")["found"] == 2000
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        while not (page := served.get("entries.json", fresh=1).json())["failure"]:
            pass
        assert page["found"] == 2000  # the list from before
        assert served.get("entries").status_code == 200
        assert "damaged" in served.get("entry", ns='["a", "0"]', key="k0").text
        assert served.get("overview").status_code in (200, 503)


def test_entries_are_removed_from_the_file_where_that_is_allowed(tmp_path: Path) -> None:
    url = fill(tmp_path / "c.db")
    with serving(url, "--allow-delete") as served:
        assert served.listed("entries")["found"] == 20
        assert served.get("entry", ns='["a", "0"]', key="k0").status_code == 200
        asked = served.get("delete", under='["a", "0"]').text
        assert "<dd>10</dd>" in asked
        token = re.search(r'name="form_token" value="([^"]+)"', asked)
        assert token is not None
        answer = served.client.post(
            "delete.json",
            params={"under": '["a", "0"]'},
            data={"form_token": token[1]},
            headers={"origin": served.base.rstrip("/")},
        )
        assert answer.json()["removed"] == 10
        assert served.get("entry", ns='["a", "0"]', key="k0").status_code == 404
        assert served.listed("entries", fresh=1)["found"] == 10
    with SqliteCache[Any](tmp_path / "c.db") as cache:
        assert {info.namespace for info in cache.entries()} == {("a", "1")}


def test_ten_requests_at_once_many_times(tmp_path: Path) -> None:
    with serving(fill(tmp_path / "c.db")) as served, ThreadPoolExecutor(10) as pool:
        paths = ["overview.json", "entries?q=k", "nothing", "static/style.css"] * 50
        answers = list(pool.map(lambda path: served.get(path).status_code, paths))
        assert set(answers) == {200, 404}
        assert served.get("").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /delete HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999\r\n\r\nx",
        b"\r\n" * 1000,
    ],
    ids=["a long path", "a long header", "TLS", "no host", "a long body", "nothing"],
)
def test_what_is_no_request_ends_nothing(tmp_path: Path, sent: bytes) -> None:
    with serving(fill(tmp_path / "c.db")) as served:
        url = httpx.URL(served.base)
        with socket.create_connection((url.host, url.port or 0), 30) as connection:
            try:
                connection.sendall(sent.replace(b"HOST", f"{url.host}:{url.port}".encode()))
            except OSError:  # it hung up
                pass
        assert served.get("").status_code == 200


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_it_ends_when_it_is_told_to(tmp_path: Path, number: int, code: int) -> None:
    with serving(fill(tmp_path / "c.db")) as served:
        assert served.get("").status_code == 200
        served.process.send_signal(number)
        _, err = served.process.communicate(timeout=30)
        assert served.process.returncode == code
        assert "Traceback" not in err


def test_other_commands_do_not_import_it() -> None:
    code = "from hitrate.cli.app import run; import sys; run(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"starlette", "uvicorn", "jinja2"} & set(done.stdout.split())
