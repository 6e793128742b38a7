"""A circuit breaker: after repeated failures of a backend calls are answered at once, and one now and then tries again.

Closed, every call goes through. A run of failures opens it: calls are refused, without waiting for a timeout each. When
the wait is over one call is let through to probe (half-open); its success closes the breaker, its failure opens it for
twice the wait. The pattern is Nygard's (Release It!, 2007).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

from hitrate.exclusive import a_few_lines

BreakerState = Literal["closed", "open", "half-open"]

log = logging.getLogger("hitrate")

FAILURES = 5
"""Failures in a row that open a breaker."""

FIRST_WAIT = 0.5
"""Seconds from opening to the first probe; doubled by each probe that fails."""

LONGEST_WAIT = 10.0
"""Seconds that the wait grows to at most."""


class Breaker:
    """Decides which calls to a backend are tried. Knows nothing of the backend; any number of threads may use it.

    Args:
        name: what the log lines call the backend; one line is logged when it opens and one when it closes.
        clock: returns seconds that only grow.

    Attributes:
        closed: whether every call is let through. Cheaper to read than ``allows()`` is to call.
    """

    __slots__ = (
        "_clock",
        "_failures",
        "_name",
        "_probing",
        "_retry_at",
        "_wait",
        "closed",
    )

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.closed = True
        self._name = name
        self._wait = FIRST_WAIT
        self._clock = clock
        self._failures = 0
        self._probing = False
        self._retry_at = 0.0

    @property
    def state(self) -> BreakerState:
        """``"closed"``, ``"open"``, or ``"half-open"`` while a probe is under way."""
        if self.closed:
            return "closed"
        return "half-open" if self._probing else "open"

    def allows(self) -> bool:
        """Return whether a call is to be tried now.

        The outcome of a call that is tried is reported with ``succeeded`` or ``failed``. A probe that reports neither,
        such as a cancelled one, is followed by another when the wait is over.
        """
        if self.closed:
            return True
        with a_few_lines:
            if self.closed:
                return True
            now = self._clock()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._wait
            self._probing = True
            return True

    def failed(self, error: BaseException) -> None:
        """Note that the backend failed a call: it could not be reached or did not answer in time."""
        with a_few_lines:
            if not self.closed:
                if self._probing:
                    self._probing = False
                    self._wait = min(self._wait * 2, LONGEST_WAIT)
                    self._retry_at = self._clock() + self._wait
                return  # it was begun before the breaker opened, and tells nothing new
            self._failures += 1
            if self._failures < FAILURES:
                return
            self.closed = False
            self._wait = FIRST_WAIT
            self._retry_at = self._clock() + self._wait
        log.warning(
            "%s: %d failures in a row, answering without it and probing now and then: %s",
            self._name,
            FAILURES,
            error,
        )

    def succeeded(self) -> None:
        """Note that the backend answered a call."""
        if self.closed and not self._failures:
            return  # the usual case takes no lock
        with a_few_lines:
            self._failures = 0
            self._probing = False
            if self.closed:
                return
            self.closed = True
        log.warning("%s: answers again", self._name)
