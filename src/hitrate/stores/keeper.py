"""Housekeeping off everyone's path: a thread that starts when there is something to do, and ends a while after it."""

from __future__ import annotations

from collections.abc import Callable

from hitrate.exclusive import Signal
from hitrate.failsafe import log
from hitrate.stores.background import Background

_LINGER_SECONDS = 5.0
"""How long the thread waits for more to do: to start one takes as long as to clear a namespace."""

_AFTER_YOU_SECONDS = 0.01
"""How long the thread lets whoever asked go on first; a caller is not to wait for it at the interpreter's lock."""


class Keeper:
    """Runs a job in the background, once however often it is asked for meanwhile.

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
            try:
                self._background.start()
            except RuntimeError as error:  # no thread is to be had, or the interpreter is about to exit
                log.debug("housekeeping was put off: %s", error)

    @property
    def runs(self) -> bool:
        """Whether there is a thread that does the job."""
        return self._background.thread is not None

    def rest(self, seconds: float) -> None:
        """Let others go on first, in the middle of the job."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """Wait until the step under way is done; start no other."""
        self._stopped.set()
        self._wanted.set()
        self._background.join()

    def _run(self) -> None:
        while True:
            if not self._wanted.wait(_LINGER_SECONDS if self._lingers else 0):
                try:
                    self._when_idle()
                except Exception as error:
                    log.debug("housekeeping was put off: %s", error)
                if self._background.ended(self._wanted.is_set):
                    return
            self._stopped.wait(_AFTER_YOU_SECONDS)
            self._wanted.clear()
            try:
                while not self._stopped.is_set() and self._job():
                    pass
            except Exception as error:  # the next write asks again
                log.debug("housekeeping was put off: %s", error)
            if self._stopped.is_set():
                return
