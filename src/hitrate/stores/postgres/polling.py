"""Waits for one socket: by ``poll`` where the system has it, and else, as on Windows, by ``select``."""

from __future__ import annotations

import select
from typing import Any

POLLIN: int = getattr(select, "POLLIN", 1)
POLLOUT: int = getattr(select, "POLLOUT", 4)


class SelectPoll:
    """The part of ``select.poll`` that a connection uses, for one socket."""

    def __init__(self) -> None:
        self._socket = -1
        self._events = 0

    def register(self, socket: int, events: int) -> None:
        """Wait for these events on a socket."""
        self._socket, self._events = socket, events

    modify = register

    def poll(self, milliseconds: float) -> list[tuple[int, int]]:
        """Return the socket with the events that came within this time; nothing if none did."""
        reads = [self._socket] if self._events & POLLIN else []
        writes = [self._socket] if self._events & POLLOUT else []
        # Windows tells of a connection that failed among the third alone.
        readable, writable, failed = select.select(reads, writes, [self._socket], max(milliseconds, 0.0) / 1000)
        events = (POLLIN if readable else 0) | (POLLOUT if writable else 0) | (self._events if failed else 0)
        return [(self._socket, events)] if events else []


new_poll: Any = getattr(select, "poll", SelectPoll)
