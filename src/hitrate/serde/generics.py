"""Which generic pydantic models pydantic gives arguments without calling code of the program's classes."""

from __future__ import annotations

import enum
import sys
import types
import typing
from typing import Any

from hitrate.serde.attributes import all_fields
from hitrate.serde.classes import ancestry, attribute
from hitrate.serde.registry import ENCODERS

_PYTHONS_OWN = (
    *(object, typing.Generic, str, int),
    *(enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag, enum.ReprEnum),
)
_HOOKS = (
    *("__init_subclass__", "__pydantic_init_subclass__", "__pydantic_on_complete__", "__class_getitem__"),
    *("model_parametrized_name", "__get_pydantic_core_schema__", "__set_name__", "__prepare__", "model_rebuild"),
)


def is_made_without_code(origin: Any, arguments: tuple[Any, ...]) -> bool:
    """Tell that pydantic makes the class of a generic model and its arguments without calling code of the program's."""
    # With defer_build, as OpenAI's models have it, pydantic makes the class and looks into no type of its fields.
    deferred = getattr(origin, "model_config", {}).get("defer_build") is True
    if not _is_plain(origin, deferred):
        return False
    annotations = [info.annotation for info in origin.__pydantic_fields__.values()]
    return all(_is_plain_type(each, deferred) for each in (*annotations, *arguments))


def _is_plain(cls: Any, deferred: bool) -> bool:
    """Tell that pydantic makes a class from a model without calling code of the model's own."""
    pydantic = sys.modules["pydantic"]
    theirs = (pydantic.BaseModel, pydantic.RootModel, typing.Generic, object)
    if type(cls) is not type(pydantic.BaseModel):
        return False
    if not cls.__pydantic_complete__ and not (deferred and cls.__pydantic_fields_complete__):
        return False
    return not any(hook in vars(each) for each in ancestry(cls) if each not in theirs for hook in _HOOKS)


def _is_plain_type(annotation: Any, deferred: bool) -> bool:
    """Tell that pydantic reads a type without calling code of its own."""
    if annotation is None or annotation is ... or annotation is Any or type(annotation) is typing.TypeVar:
        return True
    if issubclass(type(annotation), type):
        if annotation in ENCODERS or annotation in (object, str, int, float, bool, bytes, list, dict, types.NoneType):
            return True
        return _is_plain(annotation, deferred) or _is_plain_enum(annotation) or _is_plain_dataclass(annotation)
    if type(annotation) is type(typing.Literal[1]):
        return True
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        # What it is annotated with is not asked for anything before the schema is built, but may be hashed.
        inner, *metadata = typing.get_args(annotation)
        return deferred and all(map(_is_hashed_by_identity, metadata)) and _is_plain_type(inner, deferred)
    if origin is None:
        return False
    return (origin in (typing.Union, types.UnionType) or _is_plain_type(origin, deferred)) and all(
        _is_plain_type(each, deferred) for each in typing.get_args(annotation)
    )


def _is_hashed_by_identity(obj: Any) -> bool:
    cls = type(obj)
    return attribute(cls, "__hash__") is object.__hash__ and attribute(cls, "__eq__") is object.__eq__


def _is_plain_enum(cls: type) -> bool:
    return type(cls) is enum.EnumType and not _has_hooks(cls)


def _is_plain_dataclass(cls: type) -> bool:
    # An annotation that is text would be evaluated, which is code.
    types_of_fields = [each.type for each in (all_fields(cls) or {}).values()]
    return (
        bool(types_of_fields)
        and type(cls) is type
        and not _has_hooks(cls)
        and all(not isinstance(each, str) and _is_plain_type(each, False) for each in types_of_fields)
    )


def _has_hooks(cls: type) -> bool:
    return any(hook in vars(each) for each in ancestry(cls) if each not in _PYTHONS_OWN for hook in _HOOKS)
