"""Imports the libraries that the Redis cache needs, and says which extra has them if they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["hiredis", "import_driver"]


def import_driver(name: str) -> ModuleType:
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


hiredis = import_driver("hiredis")
