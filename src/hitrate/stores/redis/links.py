"""One connection: the driver's own code opens it, after that its socket is used directly, which halves the time a hit
takes.
"""

from __future__ import annotations

import math
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from typing import Any

from hitrate.stores.redis.needs import hiredis

_READ_AT_ONCE = 1 << 16


Packed = bytes | Iterable[bytes]
"""Commands as they go over the wire, whole or in parts: the server reads the first while the next are packed."""


class Timeout(Exception):
    """The server did not answer in time."""


class Link:
    """An open connection.

    Args:
        connection: a connection of redis-py or valkey-py, connected.
        timeout: seconds that the server may be silent.

    Attributes:
        used: whether it has served before: only then can it have been lost in the meantime.
    """

    __slots__ = ("_connection", "_timeout", "reader", "sock", "used")

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self.sock: socket.socket = connection._sock
        self.reader = hiredis.Reader()
        self.used = False
        if isinstance(self.sock, ssl.SSLSocket):  # reads on until it has a record, whatever the kernel says
            self.sock.settimeout(timeout)
            return
        # The kernel's own timeouts: Python's cost one more system call for each read.
        self.sock.settimeout(None)
        span = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6) or int(timeout < 1))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)

    def send(self, packed: Packed) -> None:
        """Send commands.

        Raises:
            OSError: the connection is broken.
            Timeout: the server takes nothing.
        """
        try:
            if isinstance(packed, bytes):
                self.sock.sendall(packed)
            else:
                for part in packed:
                    self.sock.sendall(part)
        except (BlockingIOError, TimeoutError) as error:
            raise Timeout("the server takes no commands") from error

    def receive(self, replies: int, seconds: float) -> list[Any]:
        """Return the replies to what was sent.

        Args:
            replies: how many.
            seconds: how long they may take.

        Raises:
            OSError: the connection is broken.
            Timeout: the server is silent or too slow.
            hiredis.ProtocolError: it speaks something else.
        """
        reader = self.reader
        received: list[Any] = []
        deadline = math.inf  # until one read was not enough: the usual reply needs no clock
        while True:
            reply = reader.gets()
            if reply is not False:
                received.append(reply)
                if len(received) == replies:
                    self.used = True
                    return received
                continue
            if deadline != math.inf and time.monotonic() > deadline:
                raise Timeout("the server did not answer in time")
            try:
                data = self.sock.recv(_READ_AT_ONCE)
                if not data:
                    raise ConnectionResetError("the server closed the connection")
                reader.feed(data)
            except (BlockingIOError, TimeoutError):  # a large batch may take more than one timeout
                seconds -= self._timeout
                if seconds <= 0:
                    raise Timeout("the server did not answer in time") from None
            if deadline == math.inf:
                deadline = time.monotonic() + seconds

    def close(self) -> None:
        """Close the connection without a word to the server, which a forked child shares with its parent."""
        try:
            self.sock.close()
        except OSError:
            pass

    def __del__(self) -> None:
        self.close()
