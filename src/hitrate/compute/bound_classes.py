"""What stands in keys for a class whose method is called: its name."""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakKeyDictionary

from hitrate.compute.identity import name_of
from hitrate.content.calls import stable_key


class BoundClasses:
    """Tells of which classes a cached function is a method, and what stands for them in its keys.

    Args:
        function: the cached function.
    """

    __slots__ = ("_function", "_known")

    def __init__(self, function: Any) -> None:
        self._function = function
        self._known: WeakKeyDictionary[type, tuple[Any, ...]] = WeakKeyDictionary()

    def __getitem__(self, cls: type) -> Any:
        """Return what stands in a key for a class that is a call's first argument; the class itself if it is a plain
        argument.

        It is worked out at the first call and kept, so that a class which counts something in an attribute keeps its
        keys.
        """
        known = self._known.get(cls)
        if known is None:
            known = self._known.setdefault(cls, _reference_of(cls) if self._binds(cls) else ())
        return known or cls

    def _binds(self, cls: type) -> bool:
        """Tell whether this is a class method of the class, or a method of its metaclass."""
        of_class = (
            each.__func__ for base in cls.__mro__ for each in vars(base).values() if isinstance(each, classmethod)
        )
        metaclasses = inspect.getmro(type(cls))
        of_metaclass = (each for base in metaclasses for each in vars(base).values())
        return any(each is self._function for each in (*of_class, *of_metaclass))


def _reference_of(cls: type) -> tuple[Any, ...]:
    """Return the name of a class, which is enough for a class of a module.

    Classes that a function makes share a name; what they have of their own tells them apart.
    """
    name = name_of(cls)
    if "<locals>" not in cls.__qualname__:
        return name
    settings = {}
    for attribute, value in vars(cls).items():
        if attribute.startswith("__"):
            continue
        try:
            settings[attribute] = stable_key(value)
        except (TypeError, ValueError, RecursionError):  # such as a method: it cannot be part of a key
            continue
    return (*name, settings)
