"""Turns failures of a backend into misses, counted and logged, unless the program wants them raised; log lines."""

from __future__ import annotations

import logging
import math
import time
from typing import Literal

from hitrate.errors import HitrateError, ReadOnlyError
from hitrate.exclusive import when_free
from hitrate.stats import Counters

OnError = Literal["miss", "raise"]

log = logging.getLogger("hitrate")

_SECONDS_BETWEEN_LINES = 60.0
_REASONS = 100


class Failsafe:
    """Turns failures into misses and dropped writes.

    Args:
        on_error: ``"miss"`` to count and log a failure and go on, ``"raise"`` to raise it.
        counters: where failures are counted.
        name: what the log lines call the cache.
    """

    def __init__(self, on_error: OnError, counters: Counters, name: str) -> None:
        if on_error not in ("miss", "raise"):
            raise ValueError(f"on_error is 'miss' or 'raise', not {on_error!r}")
        self._raises = on_error == "raise"
        self._counters = counters
        self._name = name
        self._last_line: dict[str, float] = {}

    def failed(self, doing: str, error: HitrateError) -> None:
        """Count a failure, log it at most once a minute for each kind, and raise it if that was asked for.

        Args:
            doing: what failed, such as ``"read"``.
            error: why.

        Raises:
            HitrateError: the given error, with ``on_error="raise"``.
        """
        self._counters.errors += 1
        if self._raises:
            raise error
        kind = f"{doing} {type(error).__name__}"
        now = time.monotonic()
        if now - self._last_line.get(kind, -_SECONDS_BETWEEN_LINES) >= _SECONDS_BETWEEN_LINES:
            # The program itself asked for a read-only cache: one line is enough.
            self._last_line[kind] = math.inf if isinstance(error, ReadOnlyError) else now
            when_free(log.warning, "%s: %s failed, going on without the cache: %s", self._name, doing, error)


class LoggedOnce:
    """Logs that calls of a model, a tool or a node run uncached: once for each reason, and for 100 of them at most."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log(self, what: str, why: object, how: str = "runs uncached") -> None:
        """Log that something runs uncached, or how else it is answered, and why."""
        reason = f"{what}: {why}"
        if reason not in self._logged and len(self._logged) < _REASONS:
            self._logged.add(reason)
            log.warning("%s %s (logged once): %s", what, how, why)
