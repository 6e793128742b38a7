"""Housekeeping off everyone's path: a thread that starts when there is something to do, and ends with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hitrate.failsafe import log

_AFTER_YOU_SECONDS = 0.01
"""How long the thread lets whoever asked go on first; a caller is not to wait for it at the interpreter's lock."""


class Keeper:
    """Runs a job in the background, once however often it is asked for meanwhile.

    Args:
        job: does a bounded step of the work and tells whether there is more.
    """

    def __init__(self, job: Callable[[], bool]) -> None:
        self._job = job
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards the two below
        self._wanted = False
        self._thread: threading.Thread | None = None

    def request(self) -> None:
        """Ask for the job to be done soon."""
        with self._lock:
            self._wanted = True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="hitrate-keeper", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # no thread is to be had, or the interpreter is about to exit
                    log.debug("housekeeping was put off: %s", error)
                else:
                    self._thread = thread

    def stop(self) -> None:
        """Wait until the step under way is done; start no other."""
        self._stopped.set()
        with self._lock:
            self._wanted = False
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        self._stopped.wait(_AFTER_YOU_SECONDS)
        while True:
            with self._lock:
                if not self._wanted:
                    self._thread = None
                    return
                self._wanted = False
            try:
                if self._job():
                    with self._lock:
                        self._wanted = True
            except Exception as error:  # the next write asks again
                log.debug("housekeeping was put off: %s", error)
