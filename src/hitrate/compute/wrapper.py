"""A callable object that passes for the function it wraps, and for a method where it is bound to an object.

With a real function there could be no ``service.method.get(1)``: a method has the attributes of its function, which do
not know the object. So this is an object of a class of its own, which answers all questions about what it is as a
function does; ``wrapt`` works in the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from functools import update_wrapper
from types import FunctionType, MethodType
from typing import Any

_OWN_CALLS = ("cache_info", "clear", "get", "invalidate", "key_for", "refresh")


def _of_function(name: str) -> Any:
    return property(lambda wrapper: getattr(wrapper._as_function, name))


def _with_object(name: str) -> Any:
    """Return a method that calls that of the function, with the object that it is bound to."""
    return lambda method, /, *args, **kwargs: getattr(method.__func__, name)(method.__self__, *args, **kwargs)


class FunctionWrapper:
    """Passes for the function that it wraps: for ``inspect``, ``help`` and hosts that ask what they were given.

    What is its own is in slots, and only what a function would have in ``__dict__``: ``functools.wraps`` copies that.
    """

    __slots__ = ("__dict__", "__weakref__", "_function")

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        for name in _OWN_CALLS:  # an attribute of the function would come before the method of that name
            self.__dict__.pop(name, None)
        self._function = function
        if not hasattr(function, "__code__"):
            self._describe_object(function)

    def _describe_object(self, function: Callable[..., Any]) -> None:
        """Have what an object that can be called lacks: a name, and the annotations of its ``__call__``."""
        called: Any = getattr(function, "__call__")  # noqa: B004, B009 - mypy knows no such attribute
        self.__annotations__ = dict(getattr(called, "__annotations__", ()))
        if hasattr(called, "__code__"):
            self.__wrapped__ = called  # so that annotations that are strings are looked up in its module
        for name in ("__name__", "__qualname__"):
            self.__dict__.setdefault(name, getattr(type(function), name))

    @property
    def __class__(self) -> Any:  # what isinstance goes by, beside the type
        return FunctionType

    @__class__.setter
    def __class__(self, cls: Any) -> None:
        raise TypeError("the class of a cached function cannot be set")

    # What a function has. An object that can be called lacks it; its place is taken by what our __call__ has.
    __code__ = _of_function("__code__")
    __globals__ = _of_function("__globals__")
    __builtins__ = _of_function("__builtins__")
    __closure__ = _of_function("__closure__")
    __defaults__ = _of_function("__defaults__")
    __kwdefaults__ = _of_function("__kwdefaults__")

    @property
    def _as_function(self) -> Any:
        return self._function if hasattr(self._function, "__code__") else type(self).__call__

    def __call__(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # LangGraph takes its hints for the function's
        """Call the function."""
        raise NotImplementedError

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        return self if instance is None else BoundMethod(self, instance)

    # Copies and pickles: as with a function, a copy is the same object, and a pickle is its name

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self

    def __reduce__(self) -> str:
        module, name = self.__module__, self.__dict__["__qualname__"]
        found = _at(module, name)
        if found is self:
            return str(name)
        for other, value in list(getattr(sys.modules.get(module), "__dict__", {}).items()):
            if value is self:
                return str(other)
        from pickle import PicklingError

        if "<locals>" in name:
            raise PicklingError(
                f"the cached function {name} cannot be pickled, for it is made inside a function, where another "
                f"process does not find it; define it at the top of a module"
            )
        there = f"there is nothing in {module}" if found is None else "that is another object"
        raise PicklingError(
            f"the cached function {name} is pickled by its name, {module}.{name}, and {there}; "
            f"decorate the function with @cached(...) where it is defined, or assign the cached one to a name in "
            f"the module {module}"
        )

    def __repr__(self) -> str:
        return f"<cached {self._function!r}>"


class BoundMethod:  # without a docstring here: it shows that of its function
    # A cached function that is bound to an object, or to a class: passes for a method, and has the function's calls.

    __slots__ = ("__dict__", "__func__", "__self__", "__weakref__")

    def __init__(self, function: Any, instance: Any) -> None:
        self.__func__ = function
        self.__self__ = instance
        self.__dict__ = function.__dict__  # the name, docstring and annotations, and what else a method takes from it

    @property
    def __class__(self) -> Any:
        return MethodType

    @__class__.setter
    def __class__(self, cls: Any) -> None:
        raise TypeError("the class of a cached method cannot be set")

    def __call__(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # as above
        return self.__func__(self.__self__, *args, **kwargs)

    get = _with_object("get")
    refresh = _with_object("refresh")
    invalidate = _with_object("invalidate")
    key_for = _with_object("key_for")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    def __eq__(self, other: object) -> Any:
        if type(other) is not BoundMethod:
            return NotImplemented
        return self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return BoundMethod(self.__func__, deepcopy(self.__self__, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        classes = (*getattr(self.__self__, "__mro__", ()), *type(self.__self__).__mro__)
        for name, value in [item for each in classes for item in vars(each).items()]:
            function = value.__func__ if isinstance(value, classmethod) else value
            if function is self.__func__ and getattr(self.__self__, name, None) == self:
                return getattr, (self.__self__, name)
        from pickle import PicklingError

        raise PicklingError(
            f"the cached method {self.__func__.__qualname__} is pickled by its name, and no attribute of the "
            f"{type(self.__self__).__qualname__} leads back to it; pickle the object, and ask that for the method"
        )

    def __repr__(self) -> str:
        return f"<bound {self.__func__!r} of {self.__self__!r}>"


def _at(module: str, qualified_name: str) -> Any:
    """Return what is at a qualified name in a module that was imported, None if nothing is."""
    found: Any = sys.modules.get(module)
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    return found
