"""Runs a check in a forked child, bounded in time, and brings its verdict home."""

from __future__ import annotations

import os
import select
import signal
import warnings
from collections.abc import Callable
from typing import NoReturn


def in_child(check: Callable[[], None], *, seconds: float = 20.0) -> None:
    """Fork, run ``check`` in the child and wait for it.

    The child leaves by ``os._exit``: nothing of the parent's test session runs in it.

    Args:
        check: what the child does; it fails by raising.
        seconds: how long the child may take; after that it is killed.

    Raises:
        AssertionError: the child raised, died, or did not end in time.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns that forking a process with threads may deadlock the child: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_the_child(check, writing)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], seconds)
        if not ready:
            os.kill(child, signal.SIGKILL)
        verdict = os.read(reading, 4096) if ready else b"it did not end in time"
    finally:
        os.close(reading)
        os.waitpid(child, 0)
    if verdict != b"ok":
        raise AssertionError(f"in the forked child: {verdict.decode() or 'it died'}")


def _be_the_child(check: Callable[[], None], writing: int) -> NoReturn:
    try:
        check()
        verdict = "ok"
    except BaseException as failure:
        verdict = f"{type(failure).__name__}: {failure}"
    os.write(writing, ascii(verdict).strip("'\"").encode()[:4096])
    os._exit(0)
