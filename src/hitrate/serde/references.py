"""Classes, and types with arguments such as ``list[int]`` or ``Page[int]``: by name, and found again by it.

A class is found in an imported module, or not at all. What puts types together is the standard library's own code.

A generic pydantic model with arguments, as ``Page[int]``, is in no module: pydantic makes it when it is asked for and
keeps it only as long as someone uses it. It is looked for among the classes that there are. One that this process has
not made yet is made as the program would (``generics.py`` tells which may be), and only so many times.
"""

from __future__ import annotations

import json
import threading
import types
import typing
from typing import Any
from weakref import WeakValueDictionary

from hitrate.errors import DecodeError
from hitrate.modules import canonical_name
from hitrate.serde.classes import ancestry, attribute, find_in_module, generic_arguments, name_of_class
from hitrate.serde.generics import is_made_without_code
from hitrate.serde.registry import Hook, Pack, Refused, made_again, register

_MAX_DEPTH = 8
_MOST_MADE = 256

_found: WeakValueDictionary[tuple[type, str], type] = WeakValueDictionary()
_made: list[type] = []
_lock = threading.Lock()
_subclasses: Any = vars(type)["__subclasses__"]

_ATOMS = (str, int, bool, type(None))
_names_in_typing: dict[str, Any] = vars(typing)
_getitem_of_generic = attribute(typing.Generic, "__class_getitem__")

_GENERIC: type = typing._GenericAlias  # type: ignore[attr-defined]
_UNION: type = type(typing.Union[int, str])  # noqa: UP007
_LITERAL: type = type(typing.Literal[1])

ALIAS = 10
_KINDS: list[Any] = [types.GenericAlias, types.UnionType, _GENERIC, _UNION, _LITERAL]


# Classes


def reference_to(cls: type) -> str:
    """Return the ``module:qualname`` of a class; of a generic model with its arguments also these."""
    origin, arguments = generic_arguments(cls)
    if origin is not None:
        text = _text_of([spec_of(each) for each in arguments])
        ref = f"{reference_to(origin)}{text}"
        # Page[K][int] is another class than Page[int], of the same name.
        if _found.get((origin, text)) is not cls and find_class(ref) is not cls:
            raise Refused("there is another class of the same generic model and arguments")
        return ref
    if "<locals>" in cls.__qualname__:
        raise Refused("it is defined inside a function, where it cannot be found again")
    ref = name_of_class(cls)
    if find_class(ref) is cls:
        return ref
    ref = f"{cls.__module__}:{cls.__qualname__}"  # of a program that is loaded a second time, as the module it is
    if find_class(ref) is not cls:
        raise Refused("its module and name do not lead back to it")
    return ref


def find_class(ref: str) -> type | None:
    """Return the class of a reference, None if no imported module has it, or it is a model that cannot be made."""
    if "[" in ref:
        return _find_model(ref)
    found = find_in_module(ref)
    return found if issubclass(type(found), type) else None


def _find_model(ref: str) -> type | None:
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
                if _text_of([spec_of(argument) for argument in arguments]) == text:
                    return typing.cast("type", each)
            except Refused:
                continue
    return None


def _new(origin: Any, text: str) -> type | None:
    if len(_made) >= _MOST_MADE:
        return None
    try:
        arguments = tuple(map(type_of, json.loads(text)))
    except (DecodeError, ValueError, TypeError, RecursionError):
        return None
    if not is_made_without_code(origin, arguments):
        return None
    with _lock:
        try:
            made = origin[arguments]
            if _text_of([spec_of(each) for each in generic_arguments(made)[1]]) != text:
                return None
        except Exception:  # not as many arguments as it has parameters, or not of their bounds
            return None
        _made.append(made)
    return typing.cast("type", made)


# Types with arguments


def spec_of(annotation: Any, depth: int = 0) -> Any:
    """Return what a type is made of, as lists, text and None."""
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
    """Return the type of a description."""
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
            return _class(f"{origin}{_text_of(arguments)}")
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


def _text_of(spec: Any) -> str:
    return json.dumps(spec, separators=(",", ":"))


# Such types as values


def _encode(obj: Any, pack: Pack) -> bytes:
    spec = spec_of(obj)
    same: Any = made_again(type_of, spec)
    if type(same) is not type(obj) or same != obj or spec_of(same) != spec:
        raise Refused(f"the type {obj} cannot be stored")
    return _text_of(spec).encode()


def _decode(data: bytes, hook: Hook) -> Any:
    spec = json.loads(data)
    made = type_of(spec)
    if type(made) not in _KINDS or spec_of(made) != spec:
        raise DecodeError("a stored type is none")
    return made


register(ALIAS, _decode, types=_KINDS, encode=_encode)
