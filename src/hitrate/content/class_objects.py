"""Classes and modules themselves: by name, and the program's own classes also by what their bodies define."""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from hitrate.content.describing import Description, Part, Said, named, register, tree_of
from hitrate.content.installed import is_installed, is_installed_module
from hitrate.content.rules import TREES
from hitrate.modules import canonical_name
from hitrate.serde.classes import describe, find_class, name_of_class
from hitrate.serde.registry import Pack

_HEAP_TYPE = 1 << 9
_DEFINES = "defines"
_FUNCTIONS = (types.FunctionType, classmethod, staticmethod, property, functools.cached_property)
# How the instances are laid out, of which the names are elsewhere.
_LAYOUT = (types.MemberDescriptorType, types.GetSetDescriptorType)


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
    return named("module", canonical_name(module.__name__))


def _class(cls: type, description: Description) -> Said:
    name = name_of_class(cls)
    if description.options.is_pinned or not is_own_class(cls):
        return ["class", name], name, ()
    return ["own class", name, _annotations(cls)], name.replace(":", "."), _parts(cls, description)


def _annotations(cls: type) -> list[str]:
    found = vars(cls).get("__annotations__")
    return [f"{name}:{describe(each)}" for name, each in found.items()] if type(found) is dict else []


def _parts(cls: type, description: Description) -> Iterator[Part]:
    for i, base in enumerate(cls.__bases__):
        if base is not object:
            yield Part(f"base {i}", base, "has as a")
    if is_own_class(type(cls)):
        yield Part("metaclass", type(cls), "has as its")
    # Where the name leads to the class, it tells it from others; one that a function made is told by its parts alone.
    has_name = find_class(name_of_class(cls)) is cls
    options = description.options._replace(is_lenient=True) if has_name else None
    for name, value in sorted((*_members(cls), *_fields(cls)), key=itemgetter(0)):
        yield Part(f".{name}", value, _DEFINES, options)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what the body of a class defines, less what Python and decorators added."""
    is_enum = issubclass(cls, enum.Enum)
    for name, value in vars(cls).items():
        is_function = isinstance(value, _FUNCTIONS)
        if name.startswith("__") and name.endswith("__") and (not is_function or _is_made(cls, value)):
            continue
        if isinstance(value, _LAYOUT) or name == "_abc_impl" or type(value).__name__ == "_tuplegetter":
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


def _fields(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a dataclass, a model or an attrs class, of which the class does not keep the defaults."""
    space = vars(cls)
    for name, field in (space.get("__dataclass_fields__") or {}).items():
        yield f"{name} field", [describe(field.type), *_given(field, "default", "default_factory", "init", "kw_only")]
    for name, field in (space.get("__pydantic_fields__") or {}).items():
        yield (
            f"{name} field",
            [
                describe(field.annotation),
                *_given(field, "default", "default_factory", "alias", "title", "description", "examples", "metadata"),
            ],
        )
    for field in space.get("__attrs_attrs__") or ():
        yield f"{field.name} field", [describe(field.type), *_given(field, "default", "validator", "converter")]


def _given(field: Any, *names: str) -> list[Any]:
    """Return the settings of a field, by name; of those that were not given nothing."""
    found = ((name, getattr(field, name, None)) for name in names)
    return [[name, value] for name, value in found if value is not None and type(value).__name__ not in _NOT_GIVEN]


_NOT_GIVEN = frozenset({"_MISSING_TYPE", "PydanticUndefinedType", "_Nothing", "NothingType"})


TREES[types.ModuleType] = _module
register(type, _class)
