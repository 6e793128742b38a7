"""Ending by SIGTERM and SIGHUP as by Ctrl-C: what was begun is left whole, and then the process ends by the signal."""

from __future__ import annotations

import signal
import threading
from typing import Any

_NAMES = ("SIGTERM", "SIGHUP")  # the second is no signal of every system


class Ending:
    """Interrupts the command when the process is told to end."""

    def __init__(self) -> None:
        self._number: int | None = None

    def watch(self) -> None:
        """Begin to; a signal that the one who started us ignores, as nohup does, stays ignored.

        A program that runs the command on a thread of its own gets its signals itself.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)  # the same again ends the process at once
        self._number = number
        raise KeyboardInterrupt

    def end(self) -> None:
        """End the process by the signal that it was told to end by, if there was one."""
        if self._number is not None:
            signal.signal(self._number, signal.SIG_DFL)
            signal.raise_signal(self._number)
