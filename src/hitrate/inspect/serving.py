"""The inspector on a port of this machine, for whoever knows its token."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from hitrate.inspect.guard import Guard

_HOST = "127.0.0.1"
_BACKLOG = 128
_GRACE = 2  # seconds that requests are waited for at the end


class Site:
    """Pages on a port of the loopback interface.

    Args:
        pages: the app without a guard.
        port: which, 0 for any that is free.

    Attributes:
        url: where they are, with the token.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(self, pages: ASGIApp, port: int) -> None:
        # With the protocol named, for asyncio sets TCP_NODELAY only then, and an answer would wait 40 ms for an ACK.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((_HOST, port))
            self._socket.listen(_BACKLOG)
        except BaseException:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        token = secrets.token_urlsafe()
        self.url = f"http://{_HOST}:{self.port}/?token={token}"
        self._app = Guard(pages, token, [f"{host}:{self.port}" for host in (_HOST, "localhost")])

    def run(self, started: Callable[[], None]) -> None:
        """Call ``started``, since the port is open, and answer requests until the process is told to end."""
        config = uvicorn.Config(
            self._app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        started()
        with self._socket:
            uvicorn.Server(config).run(sockets=[self._socket])
