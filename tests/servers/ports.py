"""Ports of loopback that stay a test's own, also before its server is there and while it is down.

A port that is only looked up may be given to another program before the server listens there, or while a test has
stopped it. So each is bound for as long, by a socket that does not listen: servers bind beside it, since they set
SO_REUSEADDR as it does, and the system gives the port to nobody who asks for any.
"""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def reserved(port: int = 0) -> socket.socket:
    """Return a socket that keeps a port of loopback, any for 0, until it is closed.

    Raises:
        OSError: somebody else has it.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        keeper.bind((LOOPBACK, port))
    except BaseException:
        keeper.close()
        raise
    return keeper


def port_of(keeper: socket.socket) -> int:
    """Return the port that a socket keeps."""
    port: int = keeper.getsockname()[1]
    return port
