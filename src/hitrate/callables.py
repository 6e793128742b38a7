"""What runs when an object is called, and whether that must be awaited."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import CoroutineType
from typing import Any


def runs_as(function: Any, is_kind: Callable[[Any], bool]) -> bool:
    """Tell whether what runs when an object is called is of a kind, such as a generator function."""
    while isinstance(function, partial):
        function = function.func
    return is_kind(function) or is_kind(getattr(function, "__call__", None))  # noqa: B004


def refuse_coroutine_function(name: str, function: Any) -> None:
    """Raise a TypeError for a coroutine function that is given as ``name``: nobody would await what it returns."""
    if runs_as(function, inspect.iscoroutinefunction):
        raise TypeError(f"{name} is a plain function, not the coroutine function {function!r}: nobody would await it")


def refuse_coroutine(name: str, result: Any) -> None:
    """Close a coroutine that the plain function given as ``name`` returned as a result, and raise a TypeError."""
    if isinstance(result, CoroutineType):
        result.close()
        raise TypeError(f"{name} returned a coroutine, which nobody would await: it is to be a plain function")
