"""Servers end with the tests, even when these are killed."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_the_tests() -> None:
    """In a process that is about to become a server: have the kernel end it when the thread that starts it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
