"""Objects that are told by a name that the program gave them, and annotations, by what they are made of."""

from __future__ import annotations

import contextvars
import inspect
import logging
import struct
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any

from hitrate.content.describing import Description, Piece, Said, named, register, tree_of
from hitrate.content.functions import metadata
from hitrate.content.rules import TREES
from hitrate.modules import canonical_name
from hitrate.serde.registry import Pack, Refused

_ALIASES = ("GenericAlias", "AnnotatedAlias")
_HOMES_OF_ALIASES = ("types", "typing", "collections.abc", "_collections_abc")


def rule_for(cls: type) -> Callable[[Any, Pack], Any] | None:
    """Return how the instances of a class are written if they count by their name."""
    if issubclass(cls, (logging.Logger, logging.LoggerAdapter)):
        return lambda logger, pack: named("logger", logger.name)
    if cls is types.UnionType or (cls.__module__ in _HOMES_OF_ALIASES and cls.__name__.endswith(_ALIASES)):
        return tree_of(_alias)
    if (cls.__module__, cls.__qualname__) == ("pydantic.type_adapter", "TypeAdapter"):
        return tree_of(_type_adapter)
    return None


def _context_variable(variable: contextvars.ContextVar[Any], description: Description) -> Said:
    lenient = description.options._replace(is_lenient=True)
    try:
        parts = [Piece("default", contextvars.Context().run(variable.get), "has as a", lenient)]
    except LookupError:
        parts = []
    return ["context variable", variable.name], f"the context variable {variable.name}", parts


def _type_variable(variable: Any, description: Description) -> Said:
    values = [(name, getattr(variable, name, None)) for name in ("__bound__", "__constraints__", "__default__")]
    given = [
        Piece(name, value, "has as its") for name, value in values if value and type(value).__name__ != "NoDefaultType"
    ]
    return ["type variable", variable.__name__], f"the type variable {variable.__name__}", given


def _new_type(obj: Any, description: Description) -> Said:
    name = f"{canonical_name(obj.__module__)}:{obj.__qualname__}"
    return ["new type", name], name, [Piece("of", obj.__supertype__, "is made")]


def _alias(alias: Any, description: Description) -> Said:
    origin = typing.get_origin(alias)
    if origin is types.UnionType:
        origin = typing.Union
    # What is a class of `typing` in one version of Python is none in another.
    is_special = origin is not None and origin.__module__ == "typing"
    name = str(origin).replace("<class '", "").replace("'>", "") if is_special else None
    parts = [] if is_special else [Piece("origin", origin, "has as its")]
    args = [*typing.get_args(alias)]
    if origin is typing.Annotated:
        args[1:] = map(metadata, args[1:])
    return ["annotation", name], "the annotation", [*parts, Piece("args", args, "has as its")]


def _signature(signature: inspect.Signature, description: Description) -> Said:
    """Which decorators close over, to bind arguments by it."""
    parameters = [*signature.parameters.values()]
    lenient = description.options._replace(is_pinned=True, is_lenient=True)
    parts = [Piece(each.name, each.default, "has as a default", is_argument=True) for each in parameters]
    parts += [Piece(f"{each.name}:", each.annotation, "is annotated by", lenient) for each in parameters]
    parts.append(Piece("return:", signature.return_annotation, "is annotated by", lenient))
    return ["signature", [each.kind.name for each in parameters]], "the signature", parts


def _type_adapter(adapter: Any, description: Description) -> Said:
    parts = [Piece("type", adapter._type, "is made"), Piece("config", adapter._config, "has as its")]
    return ["type adapter"], "the TypeAdapter", parts


def _reference(reference: Any, description: Description) -> Said:
    target = reference()
    if target is None:
        raise Refused("the object that it referred to is gone")
    return ["weak reference"], "a weak reference", [Piece("object", target, "refers to an")]


register(contextvars.ContextVar, _context_variable)
for _type in (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple):
    register(_type, _type_variable)
for _form in (typing.Union, typing.Literal, typing.Callable, typing.Tuple, typing.List):  # noqa: UP006 - as they are
    TREES[type(_form)] = lambda form, pack: named("annotation", repr(form))
TREES[typing.ForwardRef] = lambda reference, pack: named("forward reference", reference.__forward_arg__)
register(typing.NewType, _new_type)
register(weakref.ref, _reference)
register(inspect.Signature, _signature)
register(struct.Struct, lambda struct_, description: (["struct", struct_.format], "the Struct", ()))
TREES[type(NotImplemented)] = lambda obj, pack: named("constant", "NotImplemented")
if hasattr(typing, "TypeAliasType"):  # from Python 3.12
    register(
        typing.TypeAliasType,
        lambda alias, description: (
            ["type alias", alias.__name__],
            f"the type {alias.__name__}",
            [Piece("of", alias.__value__, "is made")],
        ),
    )
