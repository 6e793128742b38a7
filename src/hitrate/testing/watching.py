"""Which functions a cache calls: what it does in the wrong place, or should not do at all, shows in no result.

Python tells a profile function of each function in C before it is called, and of each in Python.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_OF_FILES = (
    *("open", "read", "write", "pread", "pwrite", "fsync", "fdatasync", "truncate", "ftruncate", "link", "symlink"),
    *("replace", "rename", "remove", "unlink", "mkdir", "rmdir", "listdir", "scandir"),
)
_WAITING = {time.sleep, open, *(getattr(os, name) for name in _OF_FILES if hasattr(os, name))}
_METHODS_OF_FILES = {"read", "readinto", "readline", "readlines", "write", "flush", "truncate"}
_METHODS_OF_SOCKETS = {"accept", "connect", "recv", "recv_into", "recvfrom", "recvmsg", "send", "sendall", "sendmsg"}
_FILES = (io.FileIO, io.BufferedReader, io.BufferedWriter, io.BufferedRandom)
_DATABASES = ("sqlite3", "_gdbm", "_dbm")

_UNPICKLING = {pickle.load, pickle.loads}
_UNPICKLING_IN_PYTHON = pickle._Unpickler.load.__code__  # which those of dill and joblib call


def waits(called: Any) -> bool:
    """Tell whether a function in C may wait for the disk, the network or the time to pass."""
    owner = getattr(called, "__self__", None)
    if isinstance(owner, _FILES):
        return called.__name__ in _METHODS_OF_FILES
    if isinstance(owner, socket.socket):
        return called.__name__ in _METHODS_OF_SOCKETS and owner.gettimeout() != 0
    return type(owner).__module__ in _DATABASES or called in _WAITING


def unpickles(called: Any) -> bool:
    """Tell whether a function in C, or what runs in this frame of Python, restores a pickle."""
    if isinstance(called, FrameType):
        return called.f_code is _UNPICKLING_IN_PYTHON
    return called in _UNPICKLING or (called.__name__ == "load" and isinstance(called.__self__, pickle.Unpickler))


@contextmanager
def called(is_meant: Callable[[Any], bool], *, in_threads: bool = False) -> Iterator[list[str]]:
    """Gather the names of those functions that this thread calls within the block and that are looked for.

    Args:
        is_meant: is given a function in C that is about to be called, or the frame of one in Python.
        in_threads: whether threads that are started meanwhile are watched, too.
    """
    names: list[str] = []
    ends = False

    def profile(frame: FrameType, event: str, function: Any) -> None:
        if ends:
            sys.setprofile(None)  # in a thread that goes on
        elif event == "c_call" and is_meant(function):
            names.append(function.__qualname__)
        elif event == "call" and is_meant(frame):
            names.append(frame.f_code.co_qualname)

    here, of_threads = sys.getprofile(), threading.getprofile()
    if in_threads:
        threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield names
    finally:
        sys.setprofile(here)
        threading.setprofile(of_threads)
        ends = True
