"""Takes away what only some systems have; import it before hitrate, in a process of its own."""

# What others that are imported here need for themselves.
import asyncio  # noqa: F401
import logging  # noqa: F401
import multiprocessing.shared_memory  # noqa: F401
import os
import select
import signal
import socket
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
from functools import partial

import hypothesis  # noqa: F401
import langgraph.cache.base  # noqa: F401
import psycopg  # noqa: F401
import pytest  # noqa: F401
import redis  # noqa: F401

# Event loops have a pair of sockets; its kind is told by no name from here on.
socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)  # type: ignore[assignment]

_CALLS = {
    os: (
        *("register_at_fork", "fork", "forkpty", "pread", "preadv", "pwrite", "fchmod", "fchown", "chown", "lchown"),
        *("geteuid", "getuid", "getegid", "getgid", "getgroups", "getpgid", "setsid", "killpg", "sysconf"),
        *("O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "O_NONBLOCK", "sched_getaffinity", "statvfs", "fdatasync"),
        *("posix_fadvise", "mkfifo", "getloadavg"),
    ),
    select: ("poll", "POLLIN", "POLLOUT", "POLLERR", "POLLHUP"),
    signal: ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "SIGCHLD", "setitimer", "pthread_sigmask", "pthread_kill"),
    socket: ("AF_UNIX", "MSG_DONTWAIT", "SO_REUSEPORT"),
}
_MODULES = ("fcntl", "grp", "posix_ipc", "pwd", "resource", "syslog", "termios", "tty")

for _home, _names in _CALLS.items():
    for _name in _names:
        if hasattr(_home, _name):
            delattr(_home, _name)
for _module in _MODULES:
    sys.modules[_module] = None  # type: ignore[assignment]

_isdir = os.path.isdir


def _without_proc(real):  # type: ignore[no-untyped-def]
    def call(path=".", *more, **options):  # type: ignore[no-untyped-def]
        if isinstance(path, str) and path.startswith(("/proc", "/dev/fd")):
            if real is _isdir:
                return False
            raise FileNotFoundError(2, "no such folder", path)
        return real(path, *more, **options)

    return call


os.listdir, os.path.isdir = _without_proc(os.listdir), _without_proc(os.path.isdir)
os.supports_effective_ids.clear()
