"""Exceptions as values: what is stored of one, and how it is raised again.

Stored data chooses no class: an exception is restored only as one of the classes that the caller named, or a subclass
of them that is there already, by setting its state, without its constructor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hitrate.modules import canonical_name
from hitrate.serde.exceptions import exception_state

Described = tuple[Any, ...]
"""The module and qualified name of its class, its ``args``, its attributes, and if there are any its other fields."""


def described(error: Exception) -> Described | None:
    """Return what is to be stored of an exception; None if it could not be restored exactly."""
    cls = type(error)
    try:
        _, dump, _ = exception_state(cls)
        name, args, attributes, *others = dump(error, _name(cls))
        stored = (name, tuple(args), dict(attributes), *others)
        return stored if str(restored(stored, [cls])) == str(error) else None
    except Exception:  # an attribute cannot be read, or a __str__ of the program failed
        return None


def restored(stored: Any, kinds: Sequence[type[Exception]]) -> Exception | None:
    """Return the exception that was described; None if it is none of these kinds.

    Args:
        stored: what was stored; anything, for it may have been tampered with.
        kinds: the classes that it may have, or have as a base.
    """
    match stored:
        case (str(name), (tuple() | list()) as args, dict(attributes), *others):
            for kind in _with_subclasses(kinds):
                if _name(kind) == name:
                    try:
                        _, _, restore = exception_state(kind)
                        error: Exception = restore([name, [*args], dict(attributes), *others])
                    except Exception:  # the stored args or state are not those of the class
                        return None
                    return error
    return None


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
