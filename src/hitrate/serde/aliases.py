"""Types with arguments, such as ``list[int]`` or ``Box[int]``: by the names of the classes in them.

A class is found in an imported module, or not at all. What puts them together is the standard library's own code.
"""

from __future__ import annotations

import json
import types
import typing
from typing import Any

from hitrate.errors import DecodeError
from hitrate.modules import canonical_name
from hitrate.serde.classes import (
    ancestry,
    attribute,
    find_class,
    find_in_module,
    generic_arguments,
    reference_to,
)
from hitrate.serde.registry import Hook, Pack, Refused, register

ALIAS = 10

_MAX_DEPTH = 8
_ATOMS = (str, int, bool, type(None))
_names_in_typing: dict[str, Any] = vars(typing)
_getitem_of_generic = attribute(typing.Generic, "__class_getitem__")

_GENERIC: type = typing._GenericAlias  # type: ignore[attr-defined]
_UNION: type = type(typing.Union[int, str])  # noqa: UP007
_LITERAL: type = type(typing.Literal[1])


def text_of(spec: Any) -> str:
    """Return a description as text."""
    return json.dumps(spec, separators=(",", ":"))


def spec_of(annotation: Any, depth: int = 0) -> Any:
    """Return what a type is made of, as lists, text and None.

    Raises:
        Refused: it cannot be made again from that.
    """
    if depth > _MAX_DEPTH:
        raise Refused("its type is nested too deeply")
    if annotation is None:
        return None
    if annotation is ...:
        return "..."
    if annotation is types.NoneType:
        return "types:NoneType"
    kind = type(annotation)
    if issubclass(kind, type):
        if attribute(kind, "__hash__") is not object.__hash__ or attribute(kind, "__eq__") is not object.__eq__:
            raise Refused("the class of one of its types compares classes in its own way")
        origin, arguments = generic_arguments(annotation)
        if origin is None:
            return reference_to(annotation)
        return ["model", reference_to(origin), *(spec_of(each, depth + 1) for each in arguments)]
    if kind is typing.TypeVar:
        return ["variable", _reference_to_variable(annotation)]
    if kind is _LITERAL:
        values = annotation.__args__
        if not all(type(each) in _ATOMS for each in values):
            raise Refused("its type is a Literal of values that have no plain text")
        return ["literal", *values]
    if kind is types.GenericAlias:
        head = ["alias", spec_of(annotation.__origin__, depth + 1)]
    elif kind is types.UnionType:
        head = ["union"]
    elif kind is _UNION:
        head = ["typing", "Union"]
    elif kind is _GENERIC and annotation._name in _names_in_typing:
        head = ["typing", annotation._name]
    elif kind is _GENERIC:
        head = ["generic", spec_of(annotation.__origin__, depth + 1)]
    else:
        raise Refused(f"its type is or holds a {kind.__qualname__}, which cannot be stored")
    return [*head, *(spec_of(each, depth + 1) for each in annotation.__args__)]


def type_of(spec: Any, depth: int = 0) -> Any:
    """Return the type of a description.

    Raises:
        DecodeError: it describes none, or a class of it is not there.
    """
    if depth > _MAX_DEPTH:
        raise DecodeError("a stored type is nested too deeply")
    if spec is None:
        return None
    if spec == "...":
        return ...
    if type(spec) is str:
        return _class(spec)
    match spec:
        case ["model", str(origin), *arguments]:
            return _class(f"{origin}{text_of(arguments)}")
        case ["variable", str(ref)]:
            return _variable(ref)
        case ["literal", first, *others] if all(type(each) in _ATOMS for each in (first, *others)):
            return typing.Literal[(first, *others)]
        case ["alias" | "generic" as kind, str(name), first, *others]:
            origin = _class(name)
            inner = tuple(type_of(each, depth + 1) for each in (first, *others))
            if kind == "alias":
                return types.GenericAlias(origin, inner)
            if attribute(origin, "__class_getitem__") is _getitem_of_generic and not _subscribes(type(origin)):
                return origin[inner]
        case ["union", first, *others]:
            made = type_of(first, depth + 1)
            for each in others:
                made = made | type_of(each, depth + 1)
            return made
        case ["typing", str(name), first, *others] if name in _TYPING:
            return _names_in_typing[name][tuple(type_of(each, depth + 1) for each in (first, *others))]
    raise DecodeError("a stored type is none")


_TYPING = frozenset(
    {"Union", "List", "Dict", "Set", "FrozenSet", "Tuple", "Type", "Deque", "Sequence", "Mapping", "Iterable"}
)


def _reference_to_variable(variable: Any) -> str:
    ref = f"{canonical_name(variable.__module__)}:{variable.__name__}"
    if find_in_module(ref) is not variable:
        raise Refused(f"its type holds the type variable {variable}, which no module has under its name")
    return ref


def _variable(ref: str) -> Any:
    found = find_in_module(ref)
    if type(found) is not typing.TypeVar:
        raise DecodeError(f"no imported module has the type variable {ref!r}")
    return found


def _subscribes(kind: type) -> bool:
    return any("__getitem__" in vars(each) for each in ancestry(kind))


def _class(ref: str) -> Any:
    found = find_class(ref)
    if found is None:
        raise DecodeError(f"no imported module has the class {ref!r}")
    if found is not types.NoneType:
        spec_of(found)
    return found


def _encode(obj: Any, pack: Pack) -> bytes:
    spec = spec_of(obj)
    try:
        same: Any = type_of(spec)
    except (DecodeError, TypeError):
        same = None
    if type(same) is not type(obj) or same != obj or spec_of(same) != spec:
        raise Refused(f"the type {obj} cannot be stored")
    return text_of(spec).encode()


def _decode(data: bytes, hook: Hook) -> Any:
    spec = json.loads(data)
    made = type_of(spec)
    if type(made) not in _KINDS or spec_of(made) != spec:
        raise DecodeError("a stored type is none")
    return made


_KINDS: list[Any] = [types.GenericAlias, types.UnionType, _GENERIC, _UNION, _LITERAL]

register(ALIAS, _decode, types=_KINDS, encode=_encode)
