"""Public names that are imported when they are first used, so that a package costs what is used of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported(module: str, name: str) -> object:
    """Return a name of a module, which is imported if it was not.

    Raises:
        ImportError: importing it raised an AttributeError, which is the cause. Out of a package's ``__getattr__`` it
            would mean that there is no such name: ``from package import name`` would drop it and say "cannot import
            name", and ``hasattr`` would be False. Any other error comes out as it is.
    """
    try:
        value: object = getattr(import_module(module), name)
    except AttributeError as error:
        raise ImportError(f"{module} cannot be imported: {type(error).__name__}: {error}", name=module) from error
    return value


def lazily(names: dict[str, Any], homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package (PEP 562).

    Args:
        names: the package's ``globals()``; a name is added to it when it is first asked for.
        homes: for each public name the module of the package that defines it.
    """
    package = names["__name__"]

    def get(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = names[name] = imported(f"{package}.{home}", name)
        return value

    def names_of() -> list[str]:
        return sorted({*names, *homes})

    return get, names_of
