"""What a class is made of and called, and what is found under a name: looked up without importing or running code."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from hitrate.modules import canonical_name, loaded_name, module_dict

# The slots of the C types themselves: a metaclass cannot interfere, and a proxy's __class__ is not asked.
_class_dict: Callable[[type], types.MappingProxyType[str, Any]] = vars(type)["__dict__"].__get__

ancestry: Callable[[type], tuple[type, ...]] = vars(type)["__mro__"].__get__
"""The classes a class is made of, itself first, asked of the class itself and not of its metaclass."""


def attribute(cls: type, name: str) -> Any:
    """Return what a class or one of its bases defines under a name, or None, without running a metaclass's code."""
    for base in ancestry(cls):
        space = _class_dict(base)
        if name in space:
            return space[name]
    return None


def annotation(cls: type, name: str, otherwise: Any = None) -> Any:
    """Return the annotation of a field as the class was written: libraries resolve the names in it when it is used."""
    for base in ancestry(cls):
        annotations = _class_dict(base).get("__annotations__")
        if type(annotations) is dict and name in annotations:
            return annotations[name]
    return otherwise


def generic_arguments(cls: type) -> tuple[type | None, tuple[Any, ...]]:
    """Return the generic pydantic model and the arguments that a class was made of, None if it was written out."""
    metadata = _class_dict(cls).get("__pydantic_generic_metadata__")
    if type(metadata) is not dict or metadata["origin"] is None:
        return None, ()
    return metadata["origin"], metadata["args"]


def name_of_class(cls: type) -> str:
    """Return the ``module:qualname`` of a class, whether that leads back to it or not."""
    return f"{canonical_name(cls.__module__)}:{cls.__qualname__}"


def find_in_module(ref: str) -> Any:
    """Return what an imported module, or a class in it, has under a name; None if there is nothing."""
    module_name, _, qualname = ref.partition(":")
    module = sys.modules.get(module_name) or sys.modules.get(loaded_name(module_name))
    if not issubclass(type(module), types.ModuleType):
        return None
    space: Any = module_dict(module)
    found: Any = None
    for name in qualname.split("."):
        if space is None:
            return None
        found = space.get(name)
        space = _class_dict(found) if issubclass(type(found), type) else None
    return found


def describe(annotation: Any) -> str:
    """Return an annotation as text that is the same in every process."""
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, types.GenericAlias) or typing.get_origin(annotation) is not None:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            return describe(typing.get_args(annotation)[0])
        inner = ",".join(describe(each) for each in typing.get_args(annotation))
        return f"{describe(origin)}[{inner}]"
    if isinstance(annotation, type):
        return f"{canonical_name(annotation.__module__)}.{annotation.__qualname__}"
    if isinstance(annotation, typing.ForwardRef):
        return annotation.__forward_arg__
    if annotation is None or isinstance(annotation, (bool, int, float, bytes)):
        return repr(annotation)
    if isinstance(annotation, (list, tuple)):
        return f"({','.join(describe(each) for each in annotation)})"
    name = getattr(annotation, "__qualname__", None) or getattr(annotation, "__name__", None)
    return str(name or type(annotation).__qualname__)
