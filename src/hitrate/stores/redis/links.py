"""One connection: the driver's own code opens it, after that its socket is used directly, which halves the time a hit
takes.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from hitrate.stores.redis.driver import hiredis

_READ_AT_ONCE = 1 << 16

Undo = Sequence[Callable[[], bytes]]
"""Functions, each of which returns a command that undoes a request whose caller is gone before the answer comes. The
commands are sent on the connection of the request, so that the server carries out both in this order, however late."""


class Request(NamedTuple):
    """One or several commands for a server.

    Attributes:
        packed: the commands as they go over the wire, whole or in parts: the server reads the first while the next are
            packed.
        replies: how many replies come back.
        work: how many keys they touch, which says how long they may take.
        bucket: the number of the bucket that they are for.
        undo: what undoes them.
    """

    packed: bytes | Iterable[bytes]
    replies: int = 1
    work: int = 1
    bucket: int = 0
    undo: Undo = ()

    def whole(self) -> bytes:
        """Return the commands in one piece."""
        return self.packed if isinstance(self.packed, bytes) else b"".join(self.packed)


class Timeout(Exception):
    """The server did not answer in time."""


class Link:
    """An open connection.

    Args:
        connection: a connection of redis-py or valkey-py, connected.
        timeout: seconds that the server may be silent.

    Attributes:
        used: whether it has served before: only then may it have been lost while it was idle.
    """

    __slots__ = ("_connection", "_limited", "_timeout", "reader", "sock", "used")

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self.sock: socket.socket = connection._sock
        self.reader = hiredis.Reader()
        self.used = False
        self._limited = False
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(None)
        self._wait_at_most(timeout)

    def _wait_at_most(self, seconds: float) -> None:
        """Set how long one read or write of the socket waits."""
        # TLS reads on until it has a record, whatever the kernel says; Windows' kernel takes a timeout in another form.
        if isinstance(self.sock, ssl.SSLSocket) or os.name == "nt":
            self.sock.settimeout(seconds)
            return
        # The kernel's own timeouts: Python's cost one more system call for each read.
        span = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6) or int(seconds < 1))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)

    def limit(self, seconds: float) -> None:
        """Wait less than the timeout for what is sent next: the call has spent some of its time already."""
        if seconds < self._timeout:
            self._wait_at_most(seconds)
            self._limited = True

    def send(self, request: Request, deadline: float) -> None:
        """Send commands, until a deadline by ``time.monotonic``.

        Raises:
            OSError: the connection is broken.
            Timeout: the server takes nothing, or too slowly.
        """
        try:
            if isinstance(request.packed, bytes):
                self.sock.sendall(request.packed)
                return
            for part in request.packed:
                self.sock.sendall(part)
                if time.monotonic() > deadline:
                    raise Timeout("the server did not take the commands in time")
        except (BlockingIOError, TimeoutError) as error:
            raise Timeout("the server takes no commands") from error

    def receive(self, replies: int, deadline: float) -> list[Any]:
        """Return so many replies to what was sent, until a deadline by ``time.monotonic``.

        Raises:
            OSError: the connection is broken.
            Timeout: the server is silent or too slow.
            hiredis.ProtocolError: it speaks something else.
        """
        reader = self.reader
        received: list[Any] = []
        waited = False  # the usual reply is there with the first read, and needs no clock
        while True:
            reply = reader.gets()
            if reply is not False:
                received.append(reply)
                if len(received) == replies:
                    self.used = True
                    if self._limited:
                        self._wait_at_most(self._timeout)
                        self._limited = False
                    return received
                continue
            if waited and time.monotonic() > deadline:
                raise Timeout("the server did not answer in time")
            waited = True
            try:
                data = self.sock.recv(_READ_AT_ONCE)
                if not data:
                    raise ConnectionResetError("the server closed the connection")
                reader.feed(data)
            except (BlockingIOError, TimeoutError):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Timeout("the server did not answer in time") from None
                self.limit(left)  # a large batch may take more than one timeout

    def send_last(self, undo: Undo) -> None:
        """Send what undoes the requests under way, as far as the system takes it at once; nobody reads the replies."""
        try:
            self.sock.settimeout(0.0)
            self.sock.send(b"".join([command() for command in undo]))
        except OSError:  # the connection is broken, or full: then most likely the requests are not through either
            pass

    def close(self) -> None:
        """Close the socket without sending anything: after a fork the parent still uses the connection."""
        try:
            self.sock.close()
        except OSError:
            pass

    def __del__(self) -> None:
        self.close()
