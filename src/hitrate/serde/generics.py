"""Generic pydantic models with arguments, as ``Page[int]``: found again by the generic model and the arguments.

pydantic makes such a class when it is asked for and keeps it only as long as someone uses it; no module has it under a
name. It is looked for among the classes that there are. One that this process has not made yet is made by pydantic as
the program would, provided that no code of the program's classes takes part in it, and only so many times.
"""

from __future__ import annotations

import enum
import json
import sys
import threading
import types
import typing
from typing import Any
from weakref import WeakValueDictionary

from hitrate.errors import DecodeError
from hitrate.serde.aliases import spec_of, text_of, type_of
from hitrate.serde.attributes import dataclass_fields
from hitrate.serde.classes import ancestry, attribute, find_class, generic_arguments, reference_to
from hitrate.serde.registry import ENCODERS, Refused

_MOST_MADE = 256

_found: WeakValueDictionary[tuple[type, str], type] = WeakValueDictionary()
_made: list[type] = []
_lock = threading.Lock()
_subclasses: Any = vars(type)["__subclasses__"]
_PYTHONS_OWN = (
    *(object, typing.Generic, str, int),
    *(enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag, enum.ReprEnum),
)
_HOOKS = (
    *("__init_subclass__", "__pydantic_init_subclass__", "__pydantic_on_complete__", "__class_getitem__"),
    *("model_parametrized_name", "__get_pydantic_core_schema__", "__set_name__", "__prepare__", "model_rebuild"),
)


def reference_to_model(cls: type, origin: type, arguments: tuple[Any, ...]) -> str:
    """Return the reference to a class that is a generic model with its arguments.

    Raises:
        Refused: it, or a type among the arguments, does not lead back to the class.
    """
    text = text_of([spec_of(each) for each in arguments])
    ref = f"{reference_to(origin)}{text}"
    # Page[K][int] is another class than Page[int], of the same name.
    if _found.get((origin, text)) is not cls and find_model(ref) is not cls:
        raise Refused("there is another class of the same generic model and arguments")
    return ref


def find_model(ref: str) -> type | None:
    """Return the class of such a reference, None if it is not there and cannot be made."""
    origin_ref, bracket, rest = ref.partition("[")
    origin = find_class(origin_ref)
    if origin is None or type(attribute(origin, "__pydantic_generic_metadata__")) is not dict:
        return None
    text = bracket + rest
    found = _found.get((origin, text))
    if found is None:
        found = _existing(origin, text) or _new(origin, text)
        if found is not None:
            _found[origin, text] = found
    return found


def _existing(origin: type, text: str) -> type | None:
    for each in _subclasses(origin):
        its_origin, arguments = generic_arguments(each)
        if its_origin is origin:
            try:
                if text_of([spec_of(argument) for argument in arguments]) == text:
                    return typing.cast("type", each)
            except Refused:
                continue
    return None


def _new(origin: Any, text: str) -> type | None:
    # With defer_build, as OpenAI's models have it, pydantic makes the class and looks into no type of its fields.
    deferred = getattr(origin, "model_config", {}).get("defer_build") is True
    if len(_made) >= _MOST_MADE or not _is_plain(origin, deferred):
        return None
    try:
        arguments = tuple(map(type_of, json.loads(text)))
    except (DecodeError, ValueError, TypeError, RecursionError):
        return None
    annotations = [info.annotation for info in origin.__pydantic_fields__.values()]
    if not all(_is_plain_type(each, deferred) for each in (*annotations, *arguments)):
        return None
    with _lock:
        try:
            made = origin[arguments]
            if text_of([spec_of(each) for each in generic_arguments(made)[1]]) != text:
                return None
        except Exception:  # not as many arguments as it has parameters, or not of their bounds
            return None
        _made.append(made)
    return typing.cast("type", made)


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
    types_of_fields = [each.type for each in dataclass_fields(cls).values()]
    return (
        bool(types_of_fields)
        and type(cls) is type
        and not _has_hooks(cls)
        and all(not isinstance(each, str) and _is_plain_type(each, False) for each in types_of_fields)
    )


def _has_hooks(cls: type) -> bool:
    return any(hook in vars(each) for each in ancestry(cls) if each not in _PYTHONS_OWN for hook in _HOOKS)
