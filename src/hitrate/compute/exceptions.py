"""Exceptions as values: what is stored of one, and how it is raised again.

Stored data chooses no class: an exception is restored only as one of the classes that the caller named, or a subclass
of them that is there already, by setting its state, without its constructor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from hitrate.modules import canonical_name

_OF_THE_RAISE = frozenset(
    {"__traceback__", "__context__", "__cause__", "__suppress_context__", "__dict__", "__weakref__"}
)
"""What an exception has of the place where it was raised; that is another when it is raised again."""

Described = tuple[str, tuple[Any, ...], dict[str, Any]]
"""The module and qualified name of its class, its ``args``, and its attributes."""


def described(error: Exception) -> Described | None:
    """Return what is to be stored of an exception; None if it could not be restored exactly."""
    stored: Described = (_name(type(error)), error.args, dict(vars(error)))
    other = restored(stored, [type(error)])
    try:
        if other is None or str(other) != str(error) or other.__reduce__()[1:] != error.__reduce__()[1:]:
            return None
        for name in _fields(type(error)):
            if getattr(other, name, None) != getattr(error, name, None):
                return None
    except Exception:  # of the user's, in a __str__ or __eq__
        return None
    return stored


def restored(stored: Any, kinds: Sequence[type[Exception]]) -> Exception | None:
    """Return the exception that was described; None if it is none of these kinds.

    Args:
        stored: what was stored; anything, for it may have been tampered with.
        kinds: the classes that it may have, or have as a base.
    """
    match stored:
        case (str(name), (tuple() | list()) as args, dict(state)) if all(isinstance(each, str) for each in state):
            for kind in _with_subclasses(kinds):
                if _name(kind) == name:
                    # The interpreter's own part of it only.
                    builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
                    try:
                        error: Exception = builtin.__new__(kind, *args)
                        error.args = tuple(args)
                        vars(error).update(state)
                    except Exception:  # these are not its args, nor is that its state
                        return None
                    return error
    return None


def _fields(kind: type) -> Iterator[str]:
    """Return the names of what an exception holds outside of its ``args`` and its attributes, as ``OSError.errno``."""
    for base in kind.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, (GetSetDescriptorType, MemberDescriptorType)) and name not in _OF_THE_RAISE:
                yield name


def _name(kind: type) -> str:
    return f"{canonical_name(kind.__module__)}.{kind.__qualname__}"


def _with_subclasses(kinds: Sequence[type[Exception]]) -> Iterator[type[Exception]]:
    found: set[type[Exception]] = set()
    level = list(kinds)
    while level:
        fresh = [kind for kind in dict.fromkeys(level) if kind not in found]
        yield from fresh
        found.update(fresh)
        level = [sub for kind in fresh for sub in kind.__subclasses__()]
