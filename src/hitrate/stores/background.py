"""A thread that runs while there is something to do: started when it is asked for, once.

Whoever asks may be a finaliser within the very lines that start it, or be interrupted between any two of them. A thread
that was noted and never started would be waited for in vain; so one is noted only together with its start, and one that
is not the noted one ends at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hitrate.exclusive import reentrant


class Background:
    """A thread for one purpose.

    Args:
        name: of the thread.
        run: what it does; it returns some time after ``ended`` said so, or when it is to end in any case.

    Attributes:
        thread: the one that runs; None if there is none.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.thread: threading.Thread | None = None
        self._name = name
        self._run = run
        self._lock = reentrant()  # guards the start and the end; re-entrant for finalisers

    def start(self) -> None:
        """See to it that the thread runs.

        Raises:
            RuntimeError: no thread is to be had, or the interpreter is about to exit.
        """
        if self.thread is None:
            with self._lock: self._start()  # fmt: skip  # noqa: E701

    def _start(self) -> None:
        if self.thread is not None:
            return
        thread = threading.Thread(target=self._begin, name=self._name, daemon=True)
        try:
            self.thread = thread  # first: a finaliser may ask, too, while it starts
            thread.start()
        except BaseException:
            self.thread = None
            raise

    def _begin(self) -> None:
        with self._lock:  # until its start is done, or was interrupted
            if self.thread is not threading.current_thread():
                return
        try:
            self._run()
        finally:
            self.ended(lambda: False)

    def ended(self, is_wanted: Callable[[], object]) -> bool:
        """Have no thread be noted, unless there is something to do; tell whether this one is to end.

        Args:
            is_wanted: looks for something to do; what is asked for after that starts another thread.
        """
        with self._lock:
            if self.thread is not threading.current_thread():
                return True
            self.thread = None  # before the look: whoever asks from here on starts another
            if not is_wanted():
                return True
            if self.thread is None:
                self.thread = threading.current_thread()
            return self.thread is not threading.current_thread()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the thread, if there is one and this is another."""
        with self._lock:
            thread = self.thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def after_fork_in_child(self) -> None:
        """Forget the thread, which stayed with the parent."""
        self._lock = reentrant()
        self.thread = None
