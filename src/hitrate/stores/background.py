"""A thread that runs while there is something to do; there is one at a time.

A finaliser may call ``start`` while this very thread is in ``start``, and an interrupt may come between any two of its
lines. If a thread was noted and never started, ``join`` would wait for it for ever. So a thread that could not be
started is forgotten again, and a thread that finds another one noted ends at once. No lock is held while a thread
starts, for that waits for the new thread's first steps, in which a finaliser may ask for the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hitrate.exclusive import a_few_lines, held, within_change
from hitrate.failsafe import log


class Background:
    """A thread for one purpose.

    Args:
        name: of the thread.
        run: what the thread does; it returns once ``ended`` has returned True, or when it is to end in any case.

    Attributes:
        thread: the one that runs; None if there is none.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.thread: threading.Thread | None = None
        self._name = name
        self._run = run

    def start(self) -> None:
        """See to it that the thread runs.

        Raises:
            RuntimeError: the system has no thread to spare, or the interpreter is about to exit.
        """
        if self.thread is not None:
            return
        thread = threading.Thread(target=self._begin, name=self._name, daemon=True)
        try:
            if held(a_few_lines, self._note, thread):
                thread.start()
        except BaseException:
            held(a_few_lines, self._forget, thread)
            raise

    def try_to_start(self, otherwise: str) -> None:
        """Do ``start``, for work that may wait: log what happens ``otherwise``, when no thread can be started."""
        try:
            self.start()
        except RuntimeError as error:
            log.debug("%s: %s", otherwise, error)

    def _note(self, thread: threading.Thread) -> bool:
        """Note a thread before it starts, since others may ask meanwhile; tell whether there was none."""
        if self.thread is not None:
            return False
        self.thread = thread
        return True

    def _forget(self, thread: threading.Thread) -> None:
        if self.thread is thread:
            self.thread = None

    def _begin(self) -> None:
        if self.thread is not threading.current_thread():  # its start was interrupted
            return
        try:
            self._run()
        finally:
            self.ended(lambda: False)

    def ended(self, is_wanted: Callable[[], object]) -> bool:
        """Return whether this thread, which found nothing to do, is to end; from then on ``start`` starts another.

        Args:
            is_wanted: looks once more for something to do.
        """
        with a_few_lines:
            if self.thread is not threading.current_thread():
                return True
            self.thread = None  # before the last look, so that whoever asks after it starts another thread
            if not is_wanted():
                return True
            if self.thread is None:
                self.thread = threading.current_thread()
            return self.thread is not threading.current_thread()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the thread to end, unless it is this one or may itself be waiting for a change of this thread."""
        thread = self.thread
        if thread is None or thread.ident is None or thread is threading.current_thread():
            return
        if not within_change():
            thread.join(seconds)

    def after_fork_in_child(self) -> None:
        """Forget the thread, which stayed with the parent."""
        self.thread = None
