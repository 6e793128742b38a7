"""User classes by name: found again without importing or running anything, and recognised as unchanged.

An instance is stored as ``[mark, *state]``, the mark being ``module:qualname#fingerprint``. It is looked up anew on
every load, since a module or class may have been replaced; only the form of a class, keyed by the class itself, is
remembered.
"""

from __future__ import annotations

import hashlib
import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.modules import canonical_name, loaded_name, module_dict
from hitrate.serde.registry import FIELDS, Encode, Form, Hook, Pack, Refused, form_of, listed

CLASS = 1

Place = tuple[str, types.ModuleType, Callable[[str], Any], str]
KnownClass = tuple[str, types.ModuleType, Callable[[str], Any], str, type, Callable[[list[Any]], Any]]

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


def reference_to(cls: type) -> str:
    """Return the ``module:qualname`` of a class.

    Raises:
        Refused: looking that up does not lead back to the class.
    """
    origin, arguments = generic_arguments(cls)
    if origin is not None:
        from hitrate.serde.generics import reference_to_model

        return reference_to_model(cls, origin, arguments)
    if "<locals>" in cls.__qualname__:
        raise Refused("it is defined inside a function, where it cannot be found again")
    ref = name_of_class(cls)
    if find_class(ref) is cls:
        return ref
    ref = f"{cls.__module__}:{cls.__qualname__}"  # of a program that is loaded a second time, as the module it is
    if find_class(ref) is not cls:
        raise Refused("its module and name do not lead back to it")
    return ref


def generic_arguments(cls: type) -> tuple[type | None, tuple[Any, ...]]:
    """Return the generic pydantic model and the arguments that a class was made of, None if it was written out."""
    metadata = _class_dict(cls).get("__pydantic_generic_metadata__")
    if type(metadata) is not dict or metadata["origin"] is None:
        return None, ()
    return metadata["origin"], metadata["args"]


def name_of_class(cls: type) -> str:
    """Return the ``module:qualname`` of a class, whether that leads back to it or not."""
    return f"{canonical_name(cls.__module__)}:{cls.__qualname__}"


def find_class(ref: str) -> type | None:
    """Return the class of a reference, or None if no imported module has it."""
    if "[" in ref:
        from hitrate.serde.generics import find_model

        return find_model(ref)
    found = find_in_module(ref)
    return found if issubclass(type(found), type) else None


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


def fingerprint_of(fields: Iterable[str]) -> str:
    """Return a short digest of a class's fields; ASCII, so that it looks like nothing else inside msgpack."""
    text = "\0".join(fields).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=6).hexdigest()


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


class Classes:
    """The user classes that one serializer stores and restores.

    Args:
        allowed: the only ones, or None for all.
    """

    def __init__(self, allowed: Iterable[type] | None) -> None:
        self._allowed = None if allowed is None else frozenset(allowed)
        self._forms: dict[type, Form] = {}
        self.known: dict[str, KnownClass] = {}
        """By mark, where the class was last found and how it is restored; good only while it is still there."""

    def encoder(self, cls: type) -> Encode:
        """Return the encoder of a class.

        Raises:
            Refused: it cannot be stored.
        """
        form = self._form(cls)
        dump, mark = form.dump, form.mark
        place = _place_of(form)
        if place is None:

            def encode_nested(obj: Any, pack: Pack) -> bytes:
                reference_to(cls)
                return pack(dump(obj, mark), FIELDS)

            return encode_nested

        module_name, module, get_class, name = place
        get_module = sys.modules.get

        def encode(obj: Any, pack: Pack) -> bytes:
            if get_module(module_name) is not module or get_class(name) is not cls:
                reference_to(cls)
            return pack(dump(obj, mark), FIELDS)

        return encode

    def decode(self, data: bytes, hook: Hook) -> Any:
        """Return the instance of a stored state.

        Raises:
            DecodeError: its class is not there, not allowed, of no known family, or has changed.
        """
        return self.restore(listed(unpackb(data, ext_hook=hook)))

    def restore(self, state: list[Any]) -> Any:
        """Return the instance of a decoded state; raises as ``decode`` does."""
        mark = state[0] if state else None
        if type(mark) is not str:
            raise DecodeError("a stored instance does not name its class")
        known = self.known.get(mark)
        if known is not None:
            module_name, module, get_class, name, known_class, restore = known
            if sys.modules.get(module_name) is module and get_class(name) is known_class:
                return restore(state)
        ref = mark.rpartition("#")[0]
        cls = find_class(ref)
        if cls is None:
            raise DecodeError(f"no imported module has the class {ref!r}")
        try:
            form = self._form(cls)
        except Refused as exc:
            raise DecodeError(f"the class {ref!r} cannot be restored: {exc}") from exc
        if form.mark != mark:
            raise DecodeError(f"the fields of {ref!r} are not the stored ones any more")
        place = _place_of(form)
        if place is not None:
            self.known[mark] = (*place, cls, form.restore)
        return form.restore(state)

    def _form(self, cls: type) -> Form:
        form = self._forms.get(cls)
        if form is None:
            form = form_of(cls)
            if self._allowed is not None and cls not in self._allowed and not form.open:
                raise Refused("it is not among the types that this serializer was given")
            self._forms[cls] = form
        return form


def _place_of(form: Form) -> Place | None:
    """Return where a class is found, None if inside another class or in no module's dict."""
    module_name, _, name = form.mark.rpartition("#")[0].partition(":")
    if "." in name or "[" in name:
        return None
    module_name = loaded_name(module_name)
    module = sys.modules[module_name]
    return module_name, module, module_dict(module).get, name
