"""Housekeeping that no caller waits for: a thread starts when there is something to do, and ends a while after."""

from __future__ import annotations

from collections.abc import Callable

from hitrate.exclusive import Signal
from hitrate.failsafe import log
from hitrate.stores.background import Background

_LINGER_SECONDS = 5.0
"""Seconds that the thread waits for more to do, since starting a thread takes as long as clearing a namespace."""

_DELAY_SECONDS = 0.01
"""Seconds before the job starts, so that it does not take the GIL from the caller that asked for it."""


class Keeper:
    """Runs a job in the background: once, however often it was asked for since it last began.

    Args:
        job: does a bounded step of the work and tells whether there is more.
        when_idle: called once nothing has been asked for during some seconds.
        name: of the thread.
        lingers: whether it waits a while for more to do.
    """

    def __init__(
        self,
        job: Callable[[], bool],
        when_idle: Callable[[], None] = lambda: None,
        *,
        name: str = "hitrate-keeper",
        lingers: bool = True,
    ) -> None:
        self._job = job
        self._when_idle = when_idle
        self._wanted = Signal()
        self._stopped = Signal()
        self._lingers = lingers
        self._background = Background(name, self._run)

    def request(self) -> None:
        """Ask for the job to be done soon."""
        self._wanted.set()  # before the look: a thread that is about to end looks here last
        if self._background.thread is None and not self._stopped.is_set():
            self._background.try_to_start("housekeeping was put off")

    @property
    def runs(self) -> bool:
        """Whether there is a thread that does the job."""
        return self._background.thread is not None

    def rest(self, seconds: float) -> bool:
        """Sleep in the middle of the job, so that others are served; tell whether ``stop`` has ended the sleep."""
        return self._stopped.wait(seconds)

    def stop(self, seconds: float | None = None) -> None:
        """Wait until the step under way is done, so many seconds at most; start no other."""
        self._stopped.set()
        self._wanted.set()
        self._background.join(seconds)

    def _run(self) -> None:
        while True:
            if not self._wanted.wait(_LINGER_SECONDS if self._lingers else 0):
                try:
                    self._when_idle()
                except Exception as error:
                    log.debug("housekeeping was put off: %s", error)
                if self._background.ended(self._wanted.is_set):
                    return
            self._stopped.wait(_DELAY_SECONDS)
            self._wanted.clear()
            try:
                while not self._stopped.is_set() and self._job():
                    pass
            except Exception as error:  # the next write asks again
                log.debug("housekeeping was put off: %s", error)
            if self._stopped.is_set():
                return
