"""Exceptions as values: what is stored of one, and how it is raised again.

Stored data chooses no class: an exception is restored only as one of the classes that the caller named, or a subclass
of them that is there already, by setting its state, without its constructor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Described = tuple[str, tuple[Any, ...], dict[str, Any]]
"""The module and qualified name of its class, its ``args``, and its attributes."""


def described(error: Exception) -> Described | None:
    """Return what is to be stored of an exception; None if it could not be restored exactly."""
    name = _name(type(error))
    stored: Described = (name, error.args, dict(vars(error)))
    other = restored(stored, [type(error)])
    if other is None or str(other) != str(error) or other.__reduce__()[1:] != error.__reduce__()[1:]:
        return None
    return stored


def restored(stored: Any, kinds: Sequence[type[Exception]]) -> Exception | None:
    """Return the exception that was described; None if it is none of these kinds.

    Args:
        stored: what was stored; anything, for it may have been tampered with.
        kinds: the classes that it may have, or have as a base.
    """
    match stored:
        case (str(name), tuple(args), dict(state)):
            for kind in _with_subclasses(kinds):
                if _name(kind) == name:
                    # The interpreter's own part of it only.
                    builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
                    try:
                        error: Exception = builtin.__new__(kind, *args)
                    except TypeError:  # these are not its args
                        return None
                    error.args = args
                    vars(error).update(state)
                    return error
    return None


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _with_subclasses(kinds: Sequence[type[Exception]]) -> Iterator[type[Exception]]:
    found: set[type[Exception]] = set()
    level = list(kinds)
    while level:
        fresh = [kind for kind in dict.fromkeys(level) if kind not in found]
        yield from fresh
        found.update(fresh)
        level = [sub for kind in fresh for sub in kind.__subclasses__()]
