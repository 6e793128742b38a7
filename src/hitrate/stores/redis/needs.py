"""What the Redis cache needs installed, asked for in one place."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["driver", "hiredis"]


def driver(name: str) -> ModuleType:
    """Import a driver.

    Raises:
        ModuleNotFoundError: it is not installed; the message names the extra. An error inside it comes out as it is.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # the driver is there, and what it needs itself is not
            raise
        raise ModuleNotFoundError(
            f"the Redis cache needs {name}: pip install '.[redis]' in hitrate's folder", name=name
        ) from error


hiredis = driver("hiredis")
