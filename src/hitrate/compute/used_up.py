"""Results that the first who takes them uses up: coroutines, generators and other iterators, such as open files."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import fields, is_dataclass
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from hitrate.base import FullKey

_USED_UP = (Iterator, AsyncIterator, CoroutineType)
_CONTAINERS = (list, tuple, set, frozenset, deque)
_LOOKED_AT = 10_000
"""Objects within a result that are looked at: this is done for each caller that waited, and is to take no time."""


def refuse_what_is_used_up(key: FullKey, value: Any) -> None:
    """Raise a TypeError for a coroutine or a generator: it can be used once, and all who wait want it."""
    if isinstance(value, CoroutineType):
        value.close()
        raise TypeError(
            f"the function for namespace {key[0]!r}, key {key[1]!r} returned a coroutine, which can be awaited once; "
            f"use aget_or_compute, or decorate the coroutine function itself"
        )
    if isinstance(value, (GeneratorType, AsyncGeneratorType)):
        raise TypeError(
            f"the function for namespace {key[0]!r}, key {key[1]!r} returned a generator, whose items are used up by "
            f"the first who takes them; return a list of them"
        )


def is_used_up(value: Any) -> bool:
    """Tell whether a result is, or holds, what its first user leaves empty for all others.

    It is looked for in the containers of Python and in dataclasses, and not in other objects.
    """
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting and len(seen) < _LOOKED_AT:
        each = waiting.pop()
        if isinstance(each, _USED_UP):
            return True
        if id(each) not in seen:
            seen.add(id(each))
            waiting.extend(_within(each))
    return False


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, _CONTAINERS):
        return value
    if isinstance(value, dict):
        return value.values()
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in fields(value)]
    return ()
