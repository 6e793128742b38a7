"""What the Redis cache needs installed, asked for in one place."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["driver", "hiredis"]


def driver(name: str) -> ModuleType:
    """Import a driver.

    Raises:
        ModuleNotFoundError: it is not installed; the message names the extra.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the Redis cache needs {name}: pip install 'hitrate[redis]'") from error


hiredis = driver("hiredis")
