"""Classes and modules themselves: by name, and the program's own classes also by what their bodies define."""

from __future__ import annotations

import enum
import functools
import sys
import types
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from hitrate.content.class_fields import LAYOUT, fields_of, is_of_python
from hitrate.content.describing import Description, Piece, Said, named, register, tree_of
from hitrate.content.installed import is_installed, is_installed_module, public_module
from hitrate.content.rules import TREES
from hitrate.modules import canonical_name
from hitrate.serde.classes import name_of_class
from hitrate.serde.references import find_class
from hitrate.serde.registry import Pack, Refused

_HEAP_TYPE = 1 << 9
_DEFINES = "defines"
_FUNCTIONS = (types.FunctionType, classmethod, staticmethod, property, functools.cached_property)


def is_own_class(cls: type) -> bool:
    """Tell whether a class counts by what it defines: it is the program's own, or not to be found by its name."""
    if not cls.__flags__ & _HEAP_TYPE:
        return False
    return not is_installed_module(cls.__module__) or find_class(name_of_class(cls)) is not cls


def rule_for(cls: type) -> Callable[[Any, Pack], Any] | None:
    """Return how the instances of a class are written if they are classes or modules."""
    if issubclass(cls, type):
        return tree_of(_class)
    if issubclass(cls, types.ModuleType):
        return _module
    return None


def _module(module: Any, pack: Pack) -> Any:
    if type(module) is types.ModuleType and sys.modules.get(module.__name__) is not module:
        raise Refused("it is not the module that is imported under its name")
    return named("module", canonical_name(module.__name__))


def _class(cls: type, description: Description) -> Said:
    name = name_of_class(cls)
    if not is_own_class(cls):
        return ["class", f"{public_module(cls.__module__, cls.__qualname__, cls)}:{cls.__qualname__}"], name, ()
    # With a version given, the name of a class says what it is, but classes made within a function may share a name.
    if description.options.is_pinned and find_class(name) is cls:
        return ["class", name], name, ()
    return ["own class", name], name.replace(":", "."), _parts(cls, description)


def _parts(cls: type, description: Description) -> Iterator[Piece]:
    for i, base in enumerate(cls.__bases__):
        if base is not object:
            yield Piece(f"base {i}", base, "has as a")
    if is_own_class(type(cls)):
        yield Piece("metaclass", type(cls), "has as its")
    # A name that leads to the class tells it from others; a class made within a function is told apart by its parts
    # alone.
    has_name = find_class(name_of_class(cls)) is cls
    options = description.options._replace(is_lenient=True) if has_name else None
    for name, value in sorted((*_members(cls), *fields_of(cls)), key=itemgetter(0)):
        yield Piece(f".{name}", value, _DEFINES, options)
    if has_name:
        return
    # Special attributes that Python does not define may be a library's own, and have no content.
    lenient = description.options._replace(is_lenient=True)
    for name, value in sorted(vars(cls).items()):
        if _is_special(name) and not isinstance(value, _FUNCTIONS) and not is_of_python(name):
            yield Piece(f".{name}", value, _DEFINES, lenient)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what the body of a class defines, less what Python and decorators added."""
    is_enum = issubclass(cls, enum.Enum)
    for name, value in vars(cls).items():
        if _is_special(name) and (not isinstance(value, _FUNCTIONS) or _is_made(cls, value)):
            continue
        if isinstance(value, LAYOUT) or name == "_abc_impl" or type(value).__name__ == "_tuplegetter":
            continue
        if is_enum and (
            isinstance(value, cls) or name.startswith("_") or isinstance(value, types.DynamicClassAttribute)
        ):
            continue
        yield name, value
    if is_enum:
        for name, member in vars(cls)["_member_map_"].items():
            yield name, member._value_


def _is_made(cls: type, function: Any) -> bool:
    """Tell whether a special method was made by a decorator or a metaclass, as the ``__init__`` of a dataclass."""
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return False
    file = code.co_filename
    is_made_of_fields = "__dataclass_fields__" in vars(cls) or "_fields" in vars(cls)
    return is_installed(file) or file.startswith("<attrs ") or (file == "<string>" and is_made_of_fields)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


TREES[types.ModuleType] = _module
register(type, _class)
