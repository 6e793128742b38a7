"""A thread that runs while there is something to do: started when it is asked for, once.

Whoever asks may be a finaliser within the very lines that start it, or be interrupted between any two of them. A thread
that was noted and never started would be waited for in vain; so one that could not be started is noted no more, and one
that is not the noted one ends at once. No lock is held over the start, which waits for the new thread's first steps:
the collector may run a finaliser there, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hitrate.exclusive import a_few_lines, held, within_change


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

    def start(self) -> None:
        """See to it that the thread runs.

        Raises:
            RuntimeError: no thread is to be had, or the interpreter is about to exit.
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
        """Have no thread be noted, unless there is something to do; tell whether this one is to end.

        Args:
            is_wanted: looks for something to do; what is asked for after that starts another thread.
        """
        with a_few_lines:
            if self.thread is not threading.current_thread():
                return True
            self.thread = None  # before the look: whoever asks from here on starts another
            if not is_wanted():
                return True
            if self.thread is None:
                self.thread = threading.current_thread()
            return self.thread is not threading.current_thread()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the thread, if there is one and this is another; not within a change, which it may wait for."""
        thread = self.thread
        if thread is None or thread.ident is None or thread is threading.current_thread():
            return
        if not within_change():
            thread.join(seconds)

    def after_fork_in_child(self) -> None:
        """Forget the thread, which stayed with the parent."""
        self.thread = None
